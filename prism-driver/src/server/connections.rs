//! [`Connections`]: the part of a server that needs no listener. [`Server`](crate::Server) adds a listener, a limit on
//! handshakes, and routes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    options::server::ServerOptions,
    outbox::budget::Budget,
    runtime::{
        Runtime,
        timeout::{until, within},
    },
    server::{
        address_limit::AddressLimit,
        events::{self, ServerEvents},
        registry::Registry,
        shutdown::GradualClose,
        stats::{NotUpgraded, ServerStats, Shutdown},
    },
};

/// How long a shutdown waits for the connections that it has cut. They end at once, unless a handler hangs.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// How long a shutdown waits for requests whose connections have yet to open, once none is open. Nothing that another
/// HTTP server holds can be evicted.
const OPENING_GRACE: Duration = Duration::from_secs(1);

/// The limits, the open connections, and the counters of a server.
pub(crate) struct Connections<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) options: ServerOptions,
    pub(crate) registry: Registry,
    /// Limits how much all connections together may buffer for peers that do not read.
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: ServerStats,
    pub(crate) events: ServerEvents,
}

impl<R: Runtime> Connections<R> {
    /// Creates the state. The [timers](Self::start_timers) have yet to be started.
    pub(crate) fn new(
        runtime: R,
        options: ServerOptions,
        stats: ServerStats,
        address_limit: Option<Arc<AddressLimit>>,
    ) -> Arc<Self> {
        let registry = Registry::new(stats.clone(), address_limit);
        let budget = Budget::new(&options, stats.clone());
        let events = ServerEvents::default();
        Arc::new(Self { runtime, options, registry, budget, stats, events })
    }

    /// Spawns the task of the timers. After [`Registry::expect_no_more`], the task ends with the last connection. Drops
    /// `running` when the task has ended.
    pub(crate) fn start_timers(self: &Arc<Self>, running: impl Send + 'static) {
        let timed = self.clone();
        self.runtime.spawn(async move {
            timed.registry.run_timers(&timed.runtime).await;
            drop(running);
        });
    }

    /// Counts and reports a request, or a peer without one, that gets no connection. `status` is that of the answer, if
    /// there is one.
    pub(crate) fn not_upgraded(
        &self,
        peer: Option<SocketAddr>,
        reason: NotUpgraded,
        status: Option<u16>,
    ) {
        self.stats.not_upgraded(reason);
        self.events.refused(|| self.runtime.now(), peer, reason, status);
    }

    /// Closes all connections over `spread`, and waits for `all_ended`, at most for the grace period. Then calls
    /// `before_cut`, and cuts those that have not ended.
    pub(crate) async fn shut_down(
        &self,
        spread: Duration,
        all_ended: impl Future<Output = ()>,
        before_cut: impl FnOnce(),
    ) -> Shutdown {
        let Self { runtime, options, registry, .. } = self;
        let grace = runtime.now().saturating_add(options.shutdown_grace);
        let open = registry.begin_shutdown();
        events::shutting_down(open.len());
        let closing = GradualClose::new(open);
        closing.run(runtime, registry, spread).await;
        until(runtime, grace, all_ended).await;
        before_cut();
        let outcome = registry.cut_all();
        within(runtime, CUT_GRACE, registry.until_fewer_than(1)).await;
        events::shut_down(&outcome);
        outcome
    }

    /// Waits until no connection is open. Requests that have been accepted get a [second](OPENING_GRACE) to open.
    pub(crate) async fn until_none_opens(&self) {
        let Self { runtime, registry, .. } = self;
        registry.until_fewer_open_than(1).await;
        within(runtime, OPENING_GRACE, registry.until_fewer_than(1)).await;
        registry.until_fewer_open_than(1).await;
    }
}
