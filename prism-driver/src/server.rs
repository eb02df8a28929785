//! [`Server`]: listens, and gives each request what its path asks for.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
};

use prism_core::{Reply, Request};

use crate::{
    handler::Handler,
    options::server::ServerOptions,
    runtime::Network,
    server::{
        accept::Acceptor,
        endpoint::Endpoint,
        listener::{limit_unsent_in_kernel, listen},
        origins::Origins,
        router::Router,
        shared::ServerShared,
        stats::{ServerStats, Shutdown},
        upgrade::UpgradePolicy,
        websockets::WebSockets,
    },
};

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod origins;
pub(crate) mod pending;
pub(crate) mod plain_answer;
pub(crate) mod registry;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod slot;
pub(crate) mod stats;
pub(crate) mod timers;
pub(crate) mod upgrade;
pub(crate) mod websockets;

/// A server of WebSocket routes, and of plain pages beside them.
///
/// Use the one of your runtime's adapter; this is what they share.
pub struct Server<N: Network> {
    network: N,
    listener: N::Listener,
    local_addr: SocketAddr,
    router: Router<Arc<dyn Endpoint<N>>>,
    policy: UpgradePolicy,
    options: ServerOptions,
    stats: ServerStats,
}

impl<N: Network> Server<N> {
    /// Listens on an address, such as `"127.0.0.1:8080"`; port 0 takes any free one. Cancel-safe:
    /// it is ready when it is first polled.
    ///
    /// Of a name with several addresses, such as `"localhost:8080"`, it listens on the first that works, and
    /// on no other; [`local_addr`](Self::local_addr) tells which one that is.
    ///
    /// # Errors
    /// If the name cannot be resolved, or none of its addresses can be listened on: the error names each
    /// address and what was wrong with it.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self>
    where
        N: Default,
    {
        Self::bind_on(N::default(), address).await
    }

    /// As [`bind`](Self::bind), on a runtime that is a value. Cancel-safe.
    ///
    /// The network may be one of your own, whose [`accept`](Network::accept) gives streams that speak TLS
    /// over those of an adapter, say. Let such a stream shake hands when it is first read, not in
    /// `accept`: there it would hold up all others, while a read is one of the server's handshake, with its
    /// [timeout](crate::Options::handshake_timeout), and [makes way](ServerOptions::max_handshakes). The example `tls`
    /// of prism-tokio is such a network.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_on(network: N, address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_listener_on(network, listen(address)?)
    }

    /// Serves on a listener that is there already: one that the process was started with, or one of
    /// [several](crate::shared_listeners).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self>
    where
        N: Default,
    {
        Self::from_listener_on(N::default(), listener)
    }

    /// As [`from_listener`](Self::from_listener), on a runtime that is a value.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn from_listener_on(network: N, listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        limit_unsent_in_kernel(&listener);
        let local_addr = listener.local_addr()?;
        let listener = network.listen(listener)?;
        Ok(Self {
            network,
            listener,
            local_addr,
            router: Router::new(),
            policy: UpgradePolicy::new(),
            options: ServerOptions::default(),
            stats: ServerStats::default(),
        })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// None so far; other listeners return a result, too.
    pub const fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }

    /// Gives the connections on a path to a handler.
    ///
    /// A path may have parameters, `/rooms/{room}`, and end in a catch-all, `/files/{*rest}` (which
    /// does not match `/files/` itself); see [`Connection::param`](crate::Connection::param).
    ///
    /// Paths are compared in their one [normal spelling](crate::normalize_path): the route `/café` is
    /// for `/caf%C3%A9`, and `/ws` also for `/%77s` and `/a/../ws`. [Pages](Self::get),
    /// [authorisation](Self::authorize) and handlers see that spelling as well. A request with a
    /// malformed escape gets a 400.
    ///
    /// On such a path, OPTIONS gets a 204 and GET without an upgrade a 426, with HTTP/1.0 too, which
    /// has no upgrade. Other methods get a 405.
    ///
    /// # Panics
    /// If the path is malformed, or conflicts with one given before.
    #[must_use]
    pub fn websocket(mut self, path: &str, handler: impl Handler) -> Self {
        self.router.websocket(path, Arc::new(handler));
        self
    }

    /// Answers plain GET and HEAD requests on a path, of HTTP/1.1 and HTTP/1.0. (OPTIONS gets a 204
    /// by itself.) Its path is [as that of a WebSocket](Self::websocket), and may be the same.
    ///
    /// A proxy's health check needs a path that is there: HAProxy's `option httpchk` asks for
    /// `OPTIONS /`, and `option httpchk GET /` for a page on `/`.
    ///
    /// `page` is called on the thread of the runtime that has read the request. It should not block:
    /// other connections wait for that thread. If it panics, the answer is a 500. A page that is the
    /// same for everybody is served without a copy if it is kept as `Bytes`, see [`Reply`]. What caches
    /// may do with a page is for its headers to say; only [refusals](Reply#caching) say something by
    /// themselves.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Reply, Server};
    /// # fn example(server: Server<impl Network>, script: &'static [u8]) -> Result<(), prism_driver::InvalidHeader> {
    /// let script = Reply::new(200).body("text/javascript", script)?.header("Cache-Control", "max-age=600")?;
    /// let server = server
    ///     .get("/", |_| Reply::html("<script src=chat.js></script>"))
    ///     .get("/chat.js", move |_| script.clone());
    /// # Ok(()) }
    /// ```
    ///
    /// # Slow readers
    ///
    /// Sending a page takes as long as its peer takes to read it, whatever that is in all, within two
    /// limits: a peer that reads nothing for the [write timeout](crate::Options::write_timeout), or less than
    /// the [least rate](crate::Options::min_write_rate), is given up. And where as many pages are under way as
    /// [there may be](ServerOptions::max_pages), the oldest is cut in favour of a new one. A page that was
    /// cut ends before its `Content-Length`, and is [counted](crate::Counts::incomplete).
    ///
    /// Refusals are sent in the same way.
    ///
    /// # Panics
    /// If the path is malformed, or conflicts with one given before.
    #[must_use]
    pub fn get(
        mut self,
        path: &str,
        page: impl Fn(&Request<'_>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.router.page(path, Box::new(page));
        self
    }

    /// Sets the sub-protocols that the server speaks, the preferred one first, on all routes.
    ///
    /// The first of them that a client offers is agreed on, and is
    /// [`Connection::subprotocol`](crate::Connection::subprotocol). A client that offers none of them is
    /// accepted without one: the answer names none, on which browsers fail the connection if they
    /// offered any. To refuse such a client, [require](Self::require_subprotocol) one.
    #[must_use]
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.policy.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses requests with which no [sub-protocol](Self::subprotocols) is agreed on, because they
    /// offer none of those that the server speaks, or none at all. They get a 400 that says which are
    /// spoken. If the server speaks none, that is every request.
    ///
    /// ```no_run
    /// # use prism_driver::{Handler, Network, Server};
    /// # fn example(server: Server<impl Network>, broker: impl Handler) {
    /// let server = server.subprotocols(["mqtt"]).require_subprotocol().websocket("/mqtt", broker);
    /// # }
    /// ```
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.policy.requires_subprotocol = true;
        self
    }

    /// Whose pages may open connections, by the `Origin` that their browsers send; others get a 403.
    /// Pages may be read by anybody. Default: [`Origins::any`].
    ///
    /// If the server knows its users by cookies, or by where they are in the network, this is needed:
    /// see [`Origins`].
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Origins, Server};
    /// # fn example(server: Server<impl Network>) -> Result<(), prism_driver::InvalidOrigin> {
    /// let server = server.origins(Origins::these(["https://example.org"])?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.policy.origins = origins;
        self
    }

    /// Judges each request before it becomes a connection, after its
    /// [origin](Self::origins): `Err` refuses it with that reply, whatever its status. The place to
    /// check cookies and tokens: all of the request is there. Its [`path`](Request::path) is the one
    /// by which the route was found; its [`target`](Request::target) is as the client wrote it, so
    /// do not decide by that. A name within the path has to be
    /// [decoded](prism_core::percent_decode) first, as a [parameter](crate::Connection::param) is:
    /// `/users/a%40b` is the user `a@b`.
    #[must_use]
    pub fn authorize(
        mut self,
        judge: impl Fn(&Request<'_>) -> Result<(), Reply> + Send + Sync + 'static,
    ) -> Self {
        self.policy.authorize = Some(Box::new(judge));
        self
    }

    /// Sets the limits: [`ServerOptions`], or, with the defaults for all else, the [`Options`](crate::Options) of
    /// each connection.
    #[must_use]
    pub fn options(mut self, options: impl Into<ServerOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// What the server does, in numbers, from now on and while it serves.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.stats.clone()
    }

    /// Serves for ever. Dropping this future stops accepting, and nothing else: connections go on.
    pub async fn serve(self) {
        self.serve_until(std::future::pending()).await;
    }

    /// Serves until `shutdown` is ready, then stops accepting, closes every connection with 1001,
    /// and waits for them for the [grace time](ServerOptions::shutdown_grace). Many connections are not
    /// closed at the same instant, but [over some seconds](ServerOptions::shutdown_spread). Pages that are
    /// being sent go on; handshakes are dropped.
    ///
    /// Within the grace time the [close timeout](prism_core::Config::close_timeout) holds as it always
    /// does: who has been told and does not answer within it is given up and has
    /// [failed](Shutdown::failed), however much of the grace time is left. What is cut at the end of the
    /// grace time is the rest: handlers that are still busy, pages that are still being sent, and whoever
    /// takes longer than that in some other way.
    ///
    /// Dropping this future stops accepting, and nothing else: connections go on. During a shutdown
    /// all of them are closed, and go on closing, but nobody is cut after the grace time.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Shutdown {
        let Self { network, listener, router, policy, options, stats, .. } = self;
        let websockets = WebSockets::new(network, options, policy, stats);
        let acceptor = Acceptor::new(ServerShared::new(websockets, router));
        futures_lite::future::or(shutdown, acceptor.run(&listener)).await;
        drop(listener);
        acceptor.shut_down().await
    }
}
