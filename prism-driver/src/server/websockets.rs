//! [`WebSockets`]: what a server is without a listener. It holds the limits, decides which requests become
//! connections, keeps the open connections with their one timer, counts, and shuts down.
//! [`Server`](crate::Server) is this with a listener, a limit for handshakes, and routes.

use std::{sync::Arc, time::Duration};

use crate::{
    options::server::ServerOptions,
    outbox::budget::Budget,
    runtime::{
        Runtime,
        timeout::{until, within},
    },
    server::{
        registry::Registry,
        shutdown::GradualClose,
        stats::{ServerStats, Shutdown},
        upgrade::UpgradePolicy,
    },
};

/// How long a shutdown waits for connections that it has cut: they end at once, unless a handler hangs.
const CUT_GRACE: Duration = Duration::from_secs(1);

pub(crate) struct WebSockets<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) options: ServerOptions,
    pub(crate) policy: UpgradePolicy,
    pub(crate) registry: Registry,
    /// What all connections may hold for peers that do not read.
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: ServerStats,
}

impl<R: Runtime> WebSockets<R> {
    /// Spawns the task of the timers. It ends when the last connection has ended after
    /// [`Registry::expect_no_more`].
    pub(crate) fn new(
        runtime: R,
        options: ServerOptions,
        policy: UpgradePolicy,
        stats: ServerStats,
    ) -> Arc<Self> {
        let registry = Registry::new(stats.clone());
        let budget = Budget::new(&options, stats.clone());
        let websockets = Arc::new(Self { runtime, options, policy, registry, budget, stats });
        let timed = websockets.clone();
        websockets.runtime.spawn(async move { timed.registry.run_timers(&timed.runtime).await });
        websockets
    }

    /// Closes all connections, and cuts those that have not ended after the grace time. `before_cut` is called when
    /// that time is over.
    pub(crate) async fn shut_down(&self, before_cut: impl FnOnce()) -> Shutdown {
        let Self { runtime, options, registry, .. } = self;
        let grace = runtime.now().saturating_add(options.shutdown_grace);
        let closing = GradualClose::new(registry.begin_shutdown());
        closing.run(runtime, registry, options.effective_spread()).await;
        until(runtime, grace, registry.until_fewer_than(1)).await;
        before_cut();
        let outcome = registry.cut_all();
        within(runtime, CUT_GRACE, registry.until_fewer_than(1)).await;
        outcome
    }
}
