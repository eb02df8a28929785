//! [`Server`]: listens for connections and routes their requests.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
};

use prism_core::IntoReply;

use crate::{
    options::server::ServerOptions,
    runtime::Network,
    server::{
        accept::Acceptor,
        address_limit::AddressLimit,
        clients::Clients,
        connections::Connections,
        listener::{limit_unsent_in_kernel, listen},
        proxies::Proxies,
        request::Request,
        route::IntoRoute,
        router::Routes,
        shared::ServerShared,
        stats::{ServerStats, Shutdown},
        upgrade_policy::UpgradePolicy,
    },
    tls::server::TlsServer,
};

pub(crate) mod accept;
pub(crate) mod accepted_stream;
pub(crate) mod active_route;
pub(crate) mod address_limit;
pub(crate) mod admission;
pub(crate) mod authorized;
pub(crate) mod clients;
pub(crate) mod connections;
mod defaults;
pub(crate) mod endpoint;
pub(crate) mod events;
pub(crate) mod handshake;
pub(crate) mod listener;
pub(crate) mod origins;
pub(crate) mod path_map;
pub(crate) mod pending_handshake;
pub(crate) mod permits;
pub(crate) mod plain_reply;
pub(crate) mod proxies;
mod proxy_settings;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod response_headers;
pub(crate) mod route;
pub(crate) mod route_context;
pub(crate) mod router;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod slot;
pub(crate) mod socket_endpoint;
pub(crate) mod stats;
pub(crate) mod timers;
#[cfg(feature = "tls")]
mod tls_handshake;
pub(crate) mod undecided;
pub(crate) mod upgrade_policy;
pub(crate) mod websockets;

/// A server of WebSocket routes and plain HTTP pages, on a given network.
///
/// Applications usually name the `Server` of their runtime's adapter, which is this type on that runtime's network.
///
/// ```no_run
/// # use prism_driver::{Handler, Network, Reply, Server};
/// async fn serve<N: Network + Default>(chat: impl Handler) -> std::io::Result<()> {
///     Server::<N>::bind("127.0.0.1:8080")
///         .await?
///         .get("/", |_| Reply::html("<script src=chat.js></script>"))
///         .websocket("/chat", chat)
///         .serve()
///         .await;
///     Ok(())
/// }
/// ```
pub struct Server<N: Network> {
    network: N,
    listener: N::Listener,
    local_addr: SocketAddr,
    routes: Routes<N>,
    policy: UpgradePolicy,
    proxies: Proxies,
    options: ServerOptions,
    stats: ServerStats,
    tls: Option<TlsServer>,
}

impl<N: Network> Server<N> {
    /// Listens on an address, such as `"127.0.0.1:8080"`. Port 0 selects any free port.
    ///
    /// A name with several addresses, such as `"localhost:8080"`, is tried address by address: the server listens on
    /// the first address that works, and on no other. [`local_addr`](Self::local_addr) returns that address.
    ///
    /// Cancel-safe: the future is ready the first time that it is polled. That poll blocks the thread while it resolves
    /// a name.
    ///
    /// # Errors
    /// If the name cannot be resolved, or if the server cannot listen on any of its addresses. The error lists each
    /// address with the reason.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self>
    where
        N: Default,
    {
        Self::bind_on(N::default(), address).await
    }

    /// Listens on an address as [`bind`](Self::bind) does, on the given network. Cancel-safe.
    ///
    /// The network may be one of your own: for instance, one whose [`accept`](Network::accept) wraps the streams of an
    /// adapter in TLS. Such a stream should do its TLS handshake when it is first read, not in `accept`. In `accept`,
    /// one slow handshake would delay all other connections. The first read, in contrast, is part of the server's own
    /// handshake, so it is subject to the [handshake timeout](crate::Options::handshake_timeout) and to the
    /// [limit](ServerOptions::max_handshakes) on handshakes. For TLS with rustls, no network of your own is needed: see
    /// [the guide to TLS](crate::docs::tls).
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub async fn bind_on(network: N, address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_listener_on(network, listen(address)?)
    }

    /// Creates a server on an existing listener: one that the process inherited, for instance, or one of several
    /// [shared listeners](crate::shared_listeners).
    ///
    /// # Errors
    /// If the operating system refuses to make the listener non-blocking or to return its address, or if the runtime
    /// cannot register it.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self>
    where
        N: Default,
    {
        Self::from_listener_on(N::default(), listener)
    }

    /// Creates a server on an existing listener as [`from_listener`](Self::from_listener) does, on the given network.
    ///
    /// # Errors
    /// As for [`from_listener`](Self::from_listener).
    pub fn from_listener_on(network: N, listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        limit_unsent_in_kernel(&listener);
        let local_addr = listener.local_addr()?;
        let listener = network.listen(listener)?;
        Ok(Self {
            network,
            listener,
            local_addr,
            routes: Routes::new(),
            policy: UpgradePolicy::default(),
            proxies: Proxies::default(),
            options: ServerOptions::default(),
            stats: ServerStats::default(),
            tls: None,
        })
    }

    /// Returns the address that the server listens on.
    ///
    /// # Errors
    /// Never at present. The signature is that of the listeners of the standard library.
    pub const fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }

    /// Routes the WebSocket connections on a path to a [`Handler`](crate::Handler) that all of them share, or to a
    /// [`Route`](crate::Route), which may be of another kind and may have settings of its own.
    ///
    /// A path may have parameters, as in `/rooms/{room}`, and may end in a catch-all, as in `/files/{*rest}` (which
    /// does not match `/files/` itself). See [`Connection::param`](crate::Connection::param).
    ///
    /// Paths are compared in [normalized form](crate::normalize_path): the route `/café` matches `/caf%C3%A9`, and
    /// `/ws` also matches `/%77s` and `/a/../ws`. [Pages](Self::get), [authorization](Self::authorize) and handlers see
    /// the normalized path as well. A request with a malformed escape gets a 400.
    ///
    /// On the path of a WebSocket route, OPTIONS gets a 204. Unless the path also has a [page](Self::get), GET without
    /// an upgrade gets a 426, and so does every GET over HTTP/1.0, which does not support upgrades. Other methods get a
    /// 405.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier route.
    #[must_use]
    pub fn websocket(mut self, path: &str, route: impl IntoRoute<N>) -> Self {
        self.routes.websocket(path, route.into_route());
        self
    }

    /// Serves over TLS: URLs begin with `wss://` and `https://`. Nothing else changes: the handshake of TLS is part of
    /// the server's own, so it is subject to the [handshake timeout](crate::Options::handshake_timeout) and the [limit
    /// on handshakes](ServerOptions::max_handshakes). An earlier call is replaced.
    ///
    /// A client that does not speak TLS is disconnected with an alert, and counted
    /// ([`Refused::bad_tls`](crate::Refused::bad_tls)). The header of the [PROXY protocol](Self::proxy_protocol) comes
    /// before TLS.
    ///
    /// ```no_run
    /// # use prism_driver::{Handler, Network, Server, tls::{TlsError, TlsServer}};
    /// # fn example(server: Server<impl Network>, chat: impl Handler) -> Result<(), TlsError> {
    /// let tls = TlsServer::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// let server = server.tls(tls).websocket("/chat", chat);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<TlsServer>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Serves a page: answers plain GET and HEAD requests on a path, over HTTP/1.1 and HTTP/1.0. (OPTIONS gets a 204
    /// without calling `page`.) The path has the [same syntax](Self::websocket) as that of a WebSocket route, and may
    /// be the path of one: an upgrade request then goes to the handler.
    ///
    /// The health check of a proxy needs a path that exists: HAProxy's `option httpchk` requests `OPTIONS /`, and
    /// `option httpchk GET /` requests a page on `/`. See [how to run a server behind a
    /// proxy](crate::docs::behind_a_proxy).
    ///
    /// Pages are for what belongs to a WebSocket application: its HTML and scripts, a health check, metrics. Each page
    /// has its own connection, which ends with the response, and is in memory as a whole. There is no POST (other
    /// methods get a 405), and the body of a request is not read. For anything more, such as forms, uploads, streams or
    /// middleware, use a web framework, and let Prism run its WebSockets: `prism-axum` and `prism-hyper` do that for
    /// axum and hyper, and [`WebSockets`](crate::WebSockets) for others.
    ///
    /// `page` returns a [`Reply`](prism_core::Reply), or a future of one. It runs on a runtime thread and should not
    /// block, because other connections wait for that thread. If it panics, the answer is a 500, and if it takes longer
    /// than the rest of the [handshake timeout](crate::Options::handshake_timeout), a 503. Until the reply is ready,
    /// the request counts [as a handshake](ServerOptions::max_handshakes), which may be evicted. The future is dropped
    /// early if it is late, if the connection is reset or evicted, and in a [shutdown](Self::serve_until).
    ///
    /// A page that is the same for everyone is served without a copy if it is kept as `Bytes`; see
    /// [`Reply`](prism_core::Reply). The headers of a page determine how caches treat it; by default, only replies with
    /// a status of 400 or above [forbid caching](prism_core::Reply#caching).
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Reply, Server};
    /// # fn example(server: Server<impl Network>, script: &'static [u8]) -> Result<(), prism_driver::InvalidHeader> {
    /// let script = Reply::new(200).body("text/javascript", script)?.header("Cache-Control", "max-age=600")?;
    /// let server = server
    ///     .get("/", |_| Reply::html("<script src=chat.js></script>"))
    ///     .get("/chat.js", move |_| script.clone())
    ///     .get("/users", |request| async move { list_users(request.query_param("page").as_deref()).await });
    /// # Ok(()) }
    /// # async fn list_users(_: Option<&str>) -> Reply { Reply::new(204) }
    /// ```
    ///
    /// If a page captures something, such as a database, or if the compiler says that its future is not `Send`, see
    /// [`Handler`](crate::Handler#when-it-does-not-compile).
    ///
    /// # Slow readers
    ///
    /// Sending a page may take as long as the peer needs, within these limits. A peer that reads nothing for the [write
    /// timeout](crate::Options::write_timeout), or less than the [minimum rate](crate::Options::min_write_rate), is
    /// disconnected. And when too many pages are being sent, or no further connection is possible, a page may be cut
    /// off to make room (see [`ServerOptions::max_pages`]). A page that was cut off ends before its `Content-Length`,
    /// and is [counted](crate::Counts::incomplete).
    ///
    /// The same limits apply to refusals.
    ///
    /// # Panics
    /// If the path is malformed or conflicts with an earlier page.
    #[must_use]
    pub fn get<P>(mut self, path: &str, page: impl Fn(Request) -> P + Send + Sync + 'static) -> Self
    where
        P: IntoReply<Future: Send + 'static>,
    {
        self.routes.page(path, Arc::new(move |request| Box::pin(page(request).into_reply())));
        self
    }

    /// Sets the limits of the server. Takes [`ServerOptions`], or the [`Options`](crate::Options) of each connection,
    /// with the defaults for everything else.
    #[must_use]
    pub fn options(mut self, options: impl Into<ServerOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// Returns a handle to the server's counters. It is valid while the server runs and afterwards.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.stats.clone()
    }

    /// Serves forever.
    ///
    /// Dropping this future stops accepting connections. Existing connections continue.
    pub async fn serve(self) {
        self.serve_until(std::future::pending()).await;
    }

    /// Serves until `shutdown` is ready, then shuts down and returns how the connections ended.
    ///
    /// A shutdown stops accepting, closes every connection with 1001 (RFC 6455 §7.4.1, "going away"), and waits for the
    /// connections to end, for at most the [grace period](ServerOptions::shutdown_grace). If there are many
    /// connections, they are closed [over several seconds](ServerOptions::shutdown_spread) instead of all at once.
    /// Pages that are being sent continue. Handshakes are dropped.
    ///
    /// The [close timeout](prism_core::Config::close_timeout) still applies: a peer that does not answer the close
    /// frame in time is disconnected and counted as [failed](Shutdown::failed), even if the grace period is not over.
    /// At the end of the grace period, everything else is cut off: pages that are still being sent, and connections
    /// that are still open, for instance because their handlers are busy.
    ///
    /// [Graceful shutdown](crate::docs::graceful_shutdown) shows what clients and handlers see, and what to set in
    /// process managers.
    ///
    /// Dropping this future stops accepting connections. Existing connections continue. If this future is dropped
    /// during a shutdown, the connections that are not closing yet are closed immediately, and none is cut off at the
    /// end of the grace period.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Server};
    /// # async fn example(server: Server<impl Network>, sigterm: impl Future<Output = ()>) {
    /// // On tokio, `sigterm` could be `async { tokio::signal::ctrl_c().await.unwrap() }`.
    /// let outcome = server.serve_until(sigterm).await;
    /// println!("{} closed, {} failed, {} cut", outcome.closed, outcome.failed, outcome.cut);
    /// # }
    /// ```
    pub async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Shutdown {
        events::listening(self.local_addr, self.tls.is_some());
        let Self { network, listener, routes, policy, proxies, mut options, stats, tls, .. } = self;
        options.max_buffered = options.max_buffered.max(routes.high_water_mark());
        let limit = options.max_connections_per_ip;
        let address_limit = limit.map(|limit| AddressLimit::new(limit, proxies.clone()));
        let clients = Clients { proxies, address_limit: address_limit.clone() };
        let connections = Connections::new(network, options, stats, address_limit);
        connections.start_timers(());
        let router = routes.activate(&connections, &policy);
        let acceptor = Acceptor::new(ServerShared::new(connections, router, clients, tls));
        futures_lite::future::or(shutdown, acceptor.run(&listener)).await;
        drop(listener);
        acceptor.shut_down().await
    }
}
