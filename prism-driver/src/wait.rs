//! Waiting for a condition that somebody else brings about.

use event_listener::Event as Notice;

/// Returns when `done`, which is not asked again when it has said so: it may take what it finds. Whoever
/// makes it so must notify afterwards.
pub(crate) async fn wait_until(notice: &Notice, done: impl Fn() -> bool) {
    while !done() {
        // On the heap: few wait, but every future that may has the room for it.
        let noticed = notice.listen();
        // It may have come about before we listened.
        if done() {
            return;
        }
        noticed.await;
    }
}
