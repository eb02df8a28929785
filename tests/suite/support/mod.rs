//! What the scenarios are told with.

pub(crate) mod alone;
pub(crate) mod handlers;
pub(crate) mod head;
pub(crate) mod peer;
pub(crate) mod server;

use std::time::Duration;

/// How long anything may take before the scenario has failed. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future, for as long as there is [`PATIENCE`].
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    crate::runtime::block_on(PATIENCE, future)
}

/// Bytes in which a place can be told from another.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}
