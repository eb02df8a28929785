//! [`Route`]: what runs the connections on a path, and the settings for them.

use std::sync::Arc;

use prism_core::{InvalidHeader, Reply};

use crate::{
    connection::Connection,
    handler::{Handler, connection_handler::ConnectionHandler},
    options::Options,
    runtime::Runtime,
    server::{
        authorized::IntoAuthorized,
        endpoint::{Endpoint, PerConnection, Shared},
        origins::Origins,
        request::Request,
        socket_endpoint::SocketEndpoint,
        upgrade_policy::{Subprotocols, UpgradePolicy},
    },
    socket::Socket,
};

/// A route of a [`Server`](crate::Server): what runs the connections on a path, and the settings that differ from the
/// server's. These functions make a route:
///
/// | function | what runs the connections |
/// |---|---|
/// | [`shared`] | one [`Handler`] for all of them. A handler converts into such a route, so `shared` is needed only to add settings |
/// | [`per_connection`] | a [`ConnectionHandler`] for each connection, which your function makes |
/// | [`socket`] | your async function, which receives a [`Socket`] for each connection |
///
/// A setting of a route replaces the server's:
///
/// ```no_run
/// # use prism_driver::{Handler, Network, Options, Server, shared};
/// # fn example(server: Server<impl Network>, chat: impl Handler, uploads: impl Handler) {
/// let large = Options::default().max_message_size(256 << 20);
/// let server = server
///     .options(Options::default().max_message_size(16 << 10))
///     .websocket("/chat", chat)
///     .websocket("/upload", shared(uploads).options(large));
/// # }
/// ```
pub struct Route<R: Runtime> {
    pub(crate) endpoint: Box<dyn Endpoint<R>>,
    pub(crate) policy: UpgradePolicy,
    pub(crate) options: Option<Options>,
}

/// Makes a route whose connections share a handler.
pub fn shared<R: Runtime>(handler: impl Handler) -> Route<R> {
    Route::new(Shared(Arc::new(handler)))
}

/// Makes a route on which each connection has a handler of its own, whose fields are the connection's state.
///
/// `make` is called when a connection has opened, before anything is read from it. It runs on the runtime thread that
/// did the handshake, so it should not block. The [headers](Connection::header) of the request and the
/// [data](Connection::data) of its authorization are available. If `make` panics, the connection is closed with 1011.
///
/// `make` is not async. If the handler needs something that takes time to load, such as the user's profile, load it in
/// [`authorize`](Route::authorize), and let `make` take it from [`connection.data()`](Connection::data). Or load it in
/// [`on_connect`](ConnectionHandler::on_connect), which runs before any message is handled.
///
/// See [`ConnectionHandler`] for an example.
pub fn per_connection<R, F, H>(make: F) -> Route<R>
where
    R: Runtime,
    F: Fn(&Connection) -> H + Send + Sync + 'static,
    H: ConnectionHandler,
{
    Route::new(PerConnection(make))
}

/// Makes a route on which an async function runs each connection, with the connection's state in local variables. What
/// is known of the connection, such as the [data](Connection::data) of its authorization, is on its
/// [handle](Socket::connection).
///
/// ```no_run
/// # use prism_driver::{Authorized, Network, Reply, Request, Server, socket};
/// # struct User { name: String }
/// # async fn log_in(_: Request) -> Result<Authorized, Reply> { Ok(Authorized::new(User { name: "ada".into() })) }
/// # fn example(server: Server<impl Network>) {
/// let server = server.authorize(log_in).websocket(
///     "/count",
///     socket(|socket| async move {
///         let user: &User = socket.connection().data().expect("log_in attaches it");
///         let mut received = 0;
///         while let Ok(_message) = socket.recv().await {
///             received += 1;
///             let count = format!("{received} from {}", user.name);
///             let _ = socket.send(count).await; // fails only if the connection is closing
///         }
///     }),
/// );
/// # }
/// ```
///
/// If the function captures something, such as a database, or if the compiler says that its future is not `Send`, see
/// [`Handler`](crate::Handler#when-it-does-not-compile).
///
/// When the function returns, its socket is dropped, which closes the connection with 1000. (If you move the socket or
/// its halves to other tasks, the connection lives on with them.) If the function panics, the connection is closed with
/// 1011.
///
/// Rules 2 and 4 to 9 of [the contract](crate#the-contract) apply to the function as to a handler. In particular, its
/// future is never dropped before it completes, and the connection counts towards
/// [`max_connections`](crate::ServerOptions::max_connections) until then. So return when [`recv`](Socket::recv) fails.
///
/// The function runs in the connection's task, beside the code that reads and writes. Unlike a handler, it receives
/// messages that own their payload. While the function is slow, up to 16 messages wait for it, of 64 KiB in total or
/// one longer message. Rule 8 differs in one point: pings are answered until this limit is reached.
pub fn socket<R, F, P>(run: F) -> Route<R>
where
    R: Runtime,
    F: Fn(Socket) -> P + Send + Sync + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    Route::new(SocketEndpoint(run))
}

/// A type that converts into a route: a [`Route`], or a [`Handler`] that all connections of the route [share](shared).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run the connections of a route",
    label = "expected a `Handler` or a `Route`",
    note = "implement `Handler` for a type that all connections share",
    note = "for a `ConnectionHandler`, make the route with `per_connection(...)`",
    note = "for an async function of a `Socket`, make the route with `socket(...)`"
)]
pub trait IntoRoute<R: Runtime> {
    /// Converts into a route.
    fn into_route(self) -> Route<R>;
}

impl<R: Runtime> IntoRoute<R> for Route<R> {
    fn into_route(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<R: Runtime, H: Handler> IntoRoute<R> for H {
    fn into_route(self) -> Route<R> {
        shared(self)
    }
}

impl<R: Runtime> Route<R> {
    fn new(endpoint: impl Endpoint<R> + 'static) -> Self {
        Self { endpoint: Box::new(endpoint), policy: UpgradePolicy::default(), options: None }
    }

    /// Sets the limits of the connections, including the policy for [slow peers](Options::when_slow). They replace the
    /// server's [`connection`](field@crate::ServerOptions::connection) limits as a whole.
    ///
    /// The limits of the handshake (its timeout, and the size and number of headers) remain the server's, because the
    /// route is known only when the request has been read.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Sets the origins whose pages may open connections; see [`Server::origins`](crate::Server::origins).
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.policy.origins = Some(origins);
        self
    }

    /// Sets the supported subprotocols; see [`Server::subprotocols`](crate::Server::subprotocols).
    #[must_use]
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, false));
        self
    }

    /// Sets the supported subprotocols, of which a client has to offer at least one; see
    /// [`Server::require_subprotocols`](crate::Server::require_subprotocols).
    #[must_use]
    pub fn require_subprotocols(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, true));
        self
    }

    /// Sets the function that authorizes each request; see [`Server::authorize`](crate::Server::authorize).
    #[must_use]
    pub fn authorize<F, P, A>(mut self, authorize: F) -> Self
    where
        F: Fn(Request) -> P + Send + Sync + 'static,
        P: Future<Output = Result<A, Reply>> + Send + 'static,
        A: IntoAuthorized,
    {
        self.policy.set_authorize(authorize);
        self
    }

    /// Sets a function that decides for each request whether the connection may be compressed; see
    /// [`Server::compress_for`](crate::Server::compress_for).
    #[must_use]
    pub fn compress_for(
        mut self,
        compress_for: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.compress_for = Some(Arc::new(compress_for));
        self
    }

    /// Adds a header to the route's answers to upgrade requests, that is, to the 101 and to refusals, and to a 426; see
    /// [`Server::header`](crate::Server::header). A route with a header of its own has none of the server's.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.policy.add_header(name, value)?;
        Ok(self)
    }
}
