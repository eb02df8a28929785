//! [`WebSockets`]: a server without a listener, for connections that arrive through another HTTP server.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{
    runtime::{Runtime, notice::Notice},
    server::{
        clients::Clients,
        connections::Connections,
        stats::{ServerStats, Shutdown},
        upgrade_policy::UpgradePolicy,
        websockets::known_routes::KnownRoutes,
    },
};

pub(crate) mod builder;
mod handshake_guard;
pub(crate) mod http_request;
mod known_routes;
pub(crate) mod opening;
pub(crate) mod pending_upgrade;
mod response;

/// A server without a listener: the connections that reach it through another HTTP server, such as a web framework,
/// with everything that a [`Server`](crate::Server) does for its own: limits, origins, authorization, keepalive,
/// counters, and a shutdown that closes them.
///
/// Applications usually use it through the crate for their framework: `prism-axum` or `prism-hyper`. For another
/// framework, this is all that such a crate does:
///
/// ```no_run
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use prism_driver::{Handler, HttpRequest, Runtime, Transport, WebSockets};
///
/// async fn answer<R: Runtime, S: Transport>(
///     websockets: &WebSockets<R>,
///     request: &Request<()>,
///     stream: impl Future<Output = Option<S>> + Send + 'static, // what the framework gives after the response
///     handler: impl Handler,
/// ) -> Response<Bytes> {
///     let upgrade = match websockets.upgrade(HttpRequest::of(request)).await {
///         Ok(upgrade) => upgrade,
///         Err(refusal) => return refusal,
///     };
///     let (response, opening) = upgrade.accept();
///     opening.when_ready(stream, |opening, stream| opening.serve(stream, handler)); // in a task of its own
///     response.map(|()| Bytes::new())
/// }
/// ```
///
/// Clones are handles to the same connections, limits and counters. When the last handle is gone, open connections
/// continue.
///
/// # What the HTTP server does
///
/// It accepts, reads requests, and has the deadlines for that. So these limits of
/// [`ServerOptions`](crate::ServerOptions) have no effect here:
/// [`max_handshakes`](crate::ServerOptions::max_handshakes), [`max_pages`](crate::ServerOptions::max_pages) and
/// [`max_authorizations`](crate::ServerOptions::max_authorizations). A request that finds
/// [`max_connections`](crate::ServerOptions::max_connections) open gets a 503, instead of waiting.
///
/// It has to say what the [address](crate::HttpRequest::peer_addr) of the peer is. Without it, there is no limit on the
/// connections of an address, and no proxy is trusted.
///
/// It may speak TLS, of which nothing is known here. So a shutdown takes the
/// [spread](field@crate::ServerOptions::shutdown_spread) of a server without TLS: if your clients come over TLS, double
/// it, and the [grace period](field@crate::ServerOptions::shutdown_grace), half of which is the longest spread.
///
/// # Runtimes
///
/// The timers of all connections run in one task, on the runtime on which the first request arrives. If that runtime
/// ends, connections on other runtimes have neither keepalive nor timeouts until the next request arrives, which starts
/// the task again. So where runtimes come and go, give each its own `WebSockets`.
pub struct WebSockets<R: Runtime>(Arc<Inner<R>>);

struct Inner<R: Runtime> {
    connections: Arc<Connections<R>>,
    routes: KnownRoutes<R>,
    policy: UpgradePolicy,
    clients: Clients,
    /// Whether the task of the timers runs.
    has_timers: Arc<AtomicBool>,
    shutdown: ShutdownOnce,
}

/// A shutdown, which happens once.
#[derive(Default)]
struct ShutdownOnce {
    has_begun: AtomicBool,
    outcome: OnceLock<Shutdown>,
    done: Notice,
}

/// The task of a shutdown, which ends the shutdown also if its runtime drops it.
struct ShutdownTask<R: Runtime>(WebSockets<R>);

impl<R: Runtime> WebSockets<R> {
    /// Returns a handle to the counters. A connection counts as [accepted](crate::Counts::accepted) when its request
    /// has arrived.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.0.connections.stats.clone()
    }

    /// Closes all connections with 1001, as [`Server::serve_until`](crate::Server::serve_until) does, and returns how
    /// they ended. From the first call on, requests get a 503. Further calls wait for the same shutdown.
    ///
    /// A request that was accepted before has until one second after the others have ended to open its connection,
    /// which is then closed with 1001 as well. A connection that opens later is cut at once. What has been cut may take
    /// another second to end.
    ///
    /// Cancel-safe: if you drop the future, the shutdown continues in a task of its own. If the runtime drops that
    /// task, because it ends, the connections that are left are cut at once.
    ///
    /// # Panics
    /// The first call panics if [`Runtime::spawn`] does, as on tokio outside of a runtime. All connections are then
    /// cut.
    pub async fn shut_down(&self) -> Shutdown {
        self.begin_shutdown();
        let ShutdownOnce { outcome, done, .. } = &self.0.shutdown;
        done.wait_until(|| outcome.get().is_some()).await;
        outcome.get().copied().unwrap_or_default()
    }

    /// Waits until `stop` is ready, and then begins to [shut down](Self::shut_down). This is for the graceful
    /// shutdown of an HTTP server: it waits for its connections, and over HTTP/2 those contain the WebSockets. So the
    /// WebSockets have to be told first.
    ///
    /// ```no_run
    /// # use prism_driver::{Runtime, WebSockets};
    /// # async fn example<R: Runtime>(
    /// #     websockets: WebSockets<R>,
    /// #     stop: impl Future<Output = ()>,
    /// #     serve_http: impl AsyncFn(std::pin::Pin<Box<dyn Future<Output = ()> + '_>>),
    /// # ) {
    /// serve_http(Box::pin(websockets.closing(stop))).await; // a server with a graceful shutdown
    /// println!("{:?}", websockets.shut_down().await);
    /// # }
    /// ```
    ///
    /// Cancel-safe: if you drop the future, `stop` is dropped, or the shutdown continues in a task of its own.
    ///
    /// # Panics
    /// As [`shut_down`](Self::shut_down).
    pub fn closing<F: Future<Output = ()>>(&self, stop: F) -> impl Future<Output = ()> + use<R, F> {
        let websockets = self.clone();
        async move {
            stop.await;
            websockets.begin_shutdown();
        }
    }

    fn begin_shutdown(&self) {
        if self.0.shutdown.has_begun.swap(true, Relaxed) {
            return;
        }
        let task = ShutdownTask(self.clone());
        self.0.connections.runtime.spawn(async move {
            let Inner { connections, shutdown, .. } = &*task.0.0;
            let spread = connections.options.effective_spread(false);
            let ended = connections.shut_down(spread, connections.until_none_opens(), || ()).await;
            let _ = shutdown.outcome.set(ended); // only this task sets it
        });
    }

    fn is_shutting_down(&self) -> bool {
        self.0.shutdown.has_begun.load(Relaxed)
    }

    /// Starts the task of the timers, unless it runs.
    fn ensure_timers(&self) {
        /// Notes the end of the task, also when its runtime drops it.
        struct Running(Arc<AtomicBool>);

        impl Drop for Running {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }

        let Inner { connections, has_timers, .. } = &*self.0;
        if !has_timers.swap(true, Relaxed) {
            let running = Running(has_timers.clone());
            connections.start_timers(running);
        }
    }
}

impl<R: Runtime> Drop for ShutdownTask<R> {
    fn drop(&mut self) {
        let Inner { connections, shutdown, .. } = &*self.0.0;
        if shutdown.outcome.get().is_none() {
            let _ = shutdown.outcome.set(connections.registry.cut_all());
        }
        shutdown.done.notify(usize::MAX);
    }
}

impl<R: Runtime> Clone for WebSockets<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Runtime> fmt::Debug for WebSockets<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSockets").field("counts", &self.stats().counts()).finish_non_exhaustive()
    }
}

impl<R: Runtime> Drop for Inner<R> {
    fn drop(&mut self) {
        self.connections.registry.expect_no_more();
    }
}
