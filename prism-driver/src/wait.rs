//! Waiting for a condition that somebody else brings about.

use event_listener::{Event as Notice, listener};

/// Returns when `done`. Whoever makes it so must notify afterwards.
pub(crate) async fn wait_until(notice: &Notice, done: impl Fn() -> bool) {
    while !done() {
        listener!(notice => noticed);
        // It may have come about before we listened.
        if !done() {
            noticed.await;
        }
    }
}
