//! [`Slot`]: a connection's entry in a server's registry.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    connection::Connection,
    error::Disconnect,
    options::Options,
    runtime::Runtime,
    server::{shutdown::send_going_away, websockets::WebSockets},
    session::{deadline::DeadlineTimer, moment::Moment, write_progress::WriteLimits},
};

/// An entry in the registry, removed when dropped. Its timer is one of the [registry's](crate::server::timers).
pub(crate) struct Slot<R: Runtime> {
    websockets: Arc<WebSockets<R>>,
    key: usize,
}

impl<R: Runtime> Slot<R> {
    pub(crate) fn new(websockets: Arc<WebSockets<R>>) -> Self {
        let key = websockets.registry.insert();
        Self { websockets, key }
    }

    /// Records that the handshake has succeeded. If the server is shutting down, the connection is closed at once.
    pub(crate) fn opened(&self, connection: &Connection) {
        if self.websockets.registry.opened(self.key, connection) {
            send_going_away(connection);
        }
    }

    /// Records that the connection has ended.
    #[expect(clippy::needless_pass_by_value, reason = "`Session::run` passes the reason by value")]
    pub(crate) fn closed(&self, reason: Disconnect) {
        let cleanly = !matches!(reason, Disconnect::Failed(_));
        self.websockets.registry.closed(self.key, cleanly);
    }

    pub(crate) fn runtime(&self) -> &R {
        &self.websockets.runtime
    }

    /// Returns the limits of the connection.
    pub(crate) fn options(&self) -> &Options {
        &self.websockets.options.connection
    }
}

impl<R: Runtime> Drop for Slot<R> {
    fn drop(&mut self) {
        self.websockets.registry.remove(self.key);
    }
}

impl<R: Runtime> DeadlineTimer for Slot<R> {
    fn write_limits(&self) -> WriteLimits {
        self.options().write_limits()
    }

    fn now(&self) -> Duration {
        self.runtime().now()
    }

    fn set(&mut self, due: Duration) {
        self.websockets.registry.set_timer(self.key, due.into());
    }

    fn clear(&mut self) {
        self.websockets.registry.set_timer(self.key, Moment::END);
    }

    fn note_stalled(&self, connection: &Connection) {
        connection.count_in(&self.websockets.budget);
    }

    fn note_stuck(&self, connection: &Connection) {
        if connection.outbox().set_stuck() {
            self.websockets.stats.stuck();
        }
    }

    fn poll(&mut self, connection: &Connection, _: &mut Context<'_>) -> Poll<()> {
        // The waker need not be stored here: a session that waits leaves it in its outbox.
        if connection.outbox().take_timer_fired() { Poll::Ready(()) } else { Poll::Pending }
    }
}
