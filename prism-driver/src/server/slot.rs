//! [`Slot`]: a connection's entry in a server's registry.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    connection::Connection,
    error::Disconnect,
    options::Options,
    outbox::state::Cut,
    runtime::Runtime,
    server::{
        registry::{Registry, Stage},
        route_context::RouteContext,
        shutdown::send_going_away,
        stats::{NotUpgraded, opened::HttpVersion},
    },
    session::{deadline::DeadlineTimer, moment::Moment, write_progress::WriteLimits},
};

/// An entry in the registry, removed when dropped. Its timer is one of the [registry's](crate::server::timers).
pub(crate) struct Slot<R: Runtime> {
    context: Arc<RouteContext<R>>,
    key: usize,
}

impl<R: Runtime> Slot<R> {
    /// Adds an entry to the registry. `context` has the server's settings, until the [route](Self::set_route) is known.
    pub(crate) fn new(context: Arc<RouteContext<R>>) -> Self {
        let key = context.connections.registry.insert();
        Self { context, key }
    }

    /// Adds an entry to the registry, unless it has as many as `limit`.
    pub(crate) fn try_new(context: Arc<RouteContext<R>>, limit: usize) -> Option<Self> {
        let key = context.connections.registry.try_insert(limit)?;
        Some(Self { context, key })
    }

    /// Sets the context of the connection's route.
    pub(crate) fn set_route(&mut self, context: &Arc<RouteContext<R>>) {
        self.context = context.clone();
    }

    /// Records that the handshake has succeeded. If the server is shutting down, the connection is closed at once, and
    /// after the grace period it is cut.
    pub(crate) fn opened(&self, connection: &Connection, version: HttpVersion) {
        connection.outbox().count_for(&self.context.stats);
        match self.registry().opened(self.key, connection, version) {
            Stage::Running => {}
            Stage::Closing => send_going_away(connection),
            Stage::Cut => connection.outbox().cut(Cut::Shutdown),
        }
    }

    /// Records that there will be no connection; see [`Connections::not_upgraded`].
    ///
    /// [`Connections::not_upgraded`]: crate::server::connections::Connections::not_upgraded
    pub(crate) fn not_upgraded(
        &self,
        peer: Option<SocketAddr>,
        reason: NotUpgraded,
        status: Option<u16>,
    ) {
        self.context.connections.not_upgraded(peer, reason, status);
    }

    /// Records that the connection has ended.
    #[expect(clippy::needless_pass_by_value, reason = "`Session::run` passes the reason by value")]
    pub(crate) fn closed(&self, reason: Disconnect) {
        self.registry().closed(self.key, (&reason).into());
    }

    fn registry(&self) -> &Registry {
        &self.context.connections.registry
    }

    pub(crate) fn runtime(&self) -> &R {
        &self.context.connections.runtime
    }

    /// Returns the limits of the connection.
    pub(crate) fn options(&self) -> &Options {
        &self.context.options
    }
}

impl<R: Runtime> Drop for Slot<R> {
    fn drop(&mut self) {
        self.registry().remove(self.key);
    }
}

impl<R: Runtime> DeadlineTimer for Slot<R> {
    fn write_limits(&self) -> WriteLimits {
        self.options().write_limits()
    }

    fn now(&self) -> Duration {
        self.runtime().now()
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.runtime().yield_to_others(waker);
    }

    fn set(&mut self, due: Duration) {
        self.registry().set_timer(self.key, due.into());
    }

    fn clear(&mut self) {
        self.registry().set_timer(self.key, Moment::END);
    }

    fn note_stalled(&self, connection: &Connection) {
        connection.count_in(&self.context.connections.budget);
    }

    fn note_stuck(&self, connection: &Connection) {
        if connection.outbox().set_stuck() {
            self.context.connections.stats.stuck();
        }
    }

    fn poll(&mut self, connection: &Connection, _: &mut Context<'_>) -> Poll<()> {
        // The waker need not be stored here: a session that waits leaves it in its outbox.
        if connection.outbox().take_timer_fired() { Poll::Ready(()) } else { Poll::Pending }
    }
}
