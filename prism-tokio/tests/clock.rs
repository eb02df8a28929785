//! tokio's paused clock. This test has its own process, because the first reading of the clock counts.

use std::time::{Duration, Instant};

use prism_tokio::{Runtime, Tokio};
use tokio::runtime;

fn runtime(paused: bool) -> runtime::Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(paused).build().expect("a runtime")
}

#[test]
fn a_clock_paused_before_the_first_reading_still_advances() {
    let paused = runtime(true);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(5) {
        std::hint::spin_loop(); // real time passes, paused time does not
    }
    runtime(false).block_on(async { Tokio.now() });
    paused.block_on(async {
        let before = Tokio.now();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(Tokio.now() - before, Duration::from_millis(1));
    });
}
