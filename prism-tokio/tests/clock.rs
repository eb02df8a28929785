//! A clock that is paused, as tests have it. Alone in its process: what counts is who asks first.

use std::time::{Duration, Instant};

use prism_tokio::{Runtime, Tokio};
use tokio::runtime;

fn runtime(paused: bool) -> runtime::Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(paused).build().expect("a runtime")
}

#[test]
fn a_clock_that_was_paused_before_anybody_asked_for_the_time_goes_on_when_it_is_moved() {
    let paused = runtime(true);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(5) {
        std::hint::spin_loop(); // the real time goes on, the paused one does not
    }
    runtime(false).block_on(async { Tokio.now() });
    paused.block_on(async {
        let before = Tokio.now();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(Tokio.now() - before, Duration::from_millis(1));
    });
}
