//! Helpers of the scenarios.

pub(crate) mod authority;
pub(crate) mod handlers;
pub(crate) mod head;
pub(crate) mod kinds;
pub(crate) mod numbered;
pub(crate) mod own_process;
pub(crate) mod peer;
pub(crate) mod resolver;
pub(crate) mod rooms_server;
pub(crate) mod server;
pub(crate) mod tls_peer;
pub(crate) mod transit;

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// How long a step may take before its scenario fails. No assertion about time depends on it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a future. Panics if it takes longer than [`TIMEOUT`].
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    crate::runtime::block_on(TIMEOUT, future)
}

/// The interval at which [`wait_until`] checks its condition. The thread sleeps in between, which
/// leaves the processor to the code under test.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits until a condition holds that no event announces.
#[track_caller]
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        thread::sleep(PAUSE);
    }
}

/// Formats the beginning of a value, so that a failure does not print megabytes.
pub(crate) fn short(it: &impl Debug) -> String {
    format!("{it:?}").chars().take(80).collect()
}

/// Returns bytes that differ by position, so that misplaced data is noticed.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}
