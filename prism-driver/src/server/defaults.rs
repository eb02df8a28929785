//! The settings of a [`Server`], which apply to the routes that do not set their own.

use std::sync::Arc;

use prism_core::{InvalidHeader, Reply};

use crate::{
    runtime::Network,
    server::{
        Server, authorized::IntoAuthorized, origins::Origins, request::Request,
        upgrade_policy::Subprotocols,
    },
};

/// Settings for the routes that do not set [their own](crate::Route).
impl<N: Network> Server<N> {
    /// Sets the subprotocols that the server supports, in order of preference.
    ///
    /// The server selects the first of them that the client offers; the handler reads it from
    /// [`Connection::subprotocol`](crate::Connection::subprotocol). A client that offers none of them is accepted
    /// without a subprotocol. If that client is a browser and offered others, it then fails the connection. To refuse
    /// such clients instead, call [`require_subprotocols`](Self::require_subprotocols).
    #[must_use]
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, false));
        self
    }

    /// Sets the subprotocols that the server supports, as [`subprotocols`](Self::subprotocols) does, and refuses
    /// requests that offer none of them, with a 400 that lists them. If the list is empty, every request is refused.
    ///
    /// ```no_run
    /// # use prism_driver::{Handler, Network, Server};
    /// # fn example(server: Server<impl Network>, broker: impl Handler) {
    /// let server = server.require_subprotocols(["mqtt"]).websocket("/mqtt", broker);
    /// # }
    /// ```
    #[must_use]
    pub fn require_subprotocols(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.policy.subprotocols = Some(Subprotocols::new(names, true));
        self
    }

    /// Sets the origins whose pages may open connections. A browser sends the origin of the page in the header
    /// `Origin`; a request with an origin that is not among these gets a 403. Plain [pages](Self::get) are served to
    /// any origin. Default: [`Origins::any`].
    ///
    /// A server that identifies its users by cookies or by their network address needs this; see [`Origins`] and
    /// [State and identity](crate::docs::state_and_identity#identity).
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Origins, Server};
    /// # fn example(server: Server<impl Network>) -> Result<(), prism_driver::InvalidOrigin> {
    /// let server = server.origins(Origins::these(["https://example.org"])?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.policy.origins = Some(origins);
        self
    }

    /// Sets a function that authorizes each request before it becomes a connection, after its [origin](Self::origins)
    /// has been checked. [Pages](Self::get) are served without this check.
    ///
    /// The function returns a future. `Err` refuses the request with that reply, whatever the reply's status. `Ok`
    /// accepts it, with an [`Authorized`](crate::Authorized) that may carry data for the
    /// [connection](crate::Connection::data), a subprotocol and headers, or with `()`.
    ///
    /// ```no_run
    /// # use prism_driver::{Authorized, Network, Reply, Request, Server};
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// async fn log_in(request: Request) -> Result<Authorized, Reply> {
    ///     let token = request.bearer_token().ok_or_else(|| Reply::text(401, "a token is required"))?;
    ///     let user = find_user(&token).await.map_err(|_| Reply::text(503, "try again later"))?;
    ///     let user = user.ok_or_else(|| Reply::text(401, "the token is not valid"))?;
    ///     Ok(Authorized::new(user)) // `connection.data::<User>()` in the handler
    /// }
    /// # async fn find_user(token: &str) -> std::io::Result<Option<User>> { Ok(Some(User { name: token.into() })) }
    ///
    /// # fn example(server: Server<impl Network>) {
    /// let server = server.authorize(log_in);
    /// # }
    /// ```
    ///
    /// If the function needs anything besides the request, such as a database, it clones that for each call:
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use prism_driver::{Network, Reply, Request, Server};
    /// # struct Database;
    /// # impl Database { async fn knows(&self, token: Option<&str>) -> bool { token.is_some() } }
    /// # fn example(server: Server<impl Network>, database: Arc<Database>) {
    /// let server = server.authorize(move |request: Request| {
    ///     let database = database.clone();
    ///     async move {
    ///         match database.knows(request.bearer_token().as_deref()).await {
    ///             true => Ok(()),
    ///             false => Err(Reply::new(401)),
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    ///
    /// Without the clone, or as `async move |request| ...`, this does not compile; see
    /// [`Handler`](crate::Handler#when-it-does-not-compile), also for errors about `Send`.
    ///
    /// A script in a browser learns only that the connection failed, and not the status. To tell the script the reason,
    /// accept the connection and [close](crate::Connection::close) it with a code from 4000 to 4999.
    ///
    /// The future has to be ready within the rest of the [handshake timeout](crate::Options::handshake_timeout);
    /// otherwise, the answer is a 503. Only a [limited number](crate::ServerOptions::max_authorizations) of
    /// authorizations run at the same time. If the function or its future panics, the answer is a 500. Neither should
    /// block the thread, because other connections wait for it.
    ///
    /// The future is dropped early if it is late, if the peer disconnects, and in a [shutdown](Self::serve_until). What
    /// the peer sends in the meantime is kept for the connection: up to 16 KiB are read, and the rest waits in the
    /// operating system. If the peer has sent more than that, the server does not notice that it disconnects until
    /// the future is ready.
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

    /// Sets a function that decides for each request whether the connection may be compressed, where
    /// [`Options::compression`](crate::Options::compression) is set. Without such a function, all connections are whose
    /// clients ask for it.
    ///
    /// This is for clients that are known to compress badly, which their `User-Agent` tells, or for requests that
    /// carry secrets. If the function panics, the connection is not compressed.
    ///
    /// ```no_run
    /// # use prism_driver::{Network, Server};
    /// # fn example(server: Server<impl Network>) {
    /// let server = server.compress_for(|request| request.query_param("compress").as_deref() != Some("no"));
    /// # }
    /// ```
    #[must_use]
    pub fn compress_for(
        mut self,
        compress_for: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.compress_for = Some(Arc::new(compress_for));
        self
    }

    /// Adds a header to the answers to upgrade requests, that is, to the 101 and to refusals, and to a 426. A refusal
    /// that has a header of the same name keeps its own, such as its `Content-Type` or its
    /// [`Cache-Control`](Reply#caching).
    ///
    /// Other answers do not have the header: [pages](Self::get), and the answers to requests that could not be read
    /// (400, 431), did not arrive in time (408), or were for another path (404) or with another method (405).
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.policy.add_header(name, value)?;
        Ok(self)
    }
}
