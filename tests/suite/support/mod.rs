//! What the scenarios are told with.

pub(crate) mod alone;
pub(crate) mod handlers;
pub(crate) mod head;
pub(crate) mod hotel;
pub(crate) mod numbered;
pub(crate) mod peer;
pub(crate) mod server;

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before the scenario has failed. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future, for as long as there is [`PATIENCE`].
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    crate::runtime::block_on(PATIENCE, future)
}

/// How long to wait before looking again whether something has come about that nobody tells of. The
/// core is for those who bring it about.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits for something that nobody tells of.
#[track_caller]
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "it did not come about that {what}");
        thread::sleep(PAUSE);
    }
}

/// How something begins: a failure should not print megabytes.
pub(crate) fn short(it: &impl Debug) -> String {
    format!("{it:?}").chars().take(80).collect()
}

/// Bytes in which a place can be told from another.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}
