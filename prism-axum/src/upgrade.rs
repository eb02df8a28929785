//! [`WebSocketUpgrade`]: the extractor.

use std::{any::Any, net::SocketAddr, sync::LazyLock};

use axum::{
    body::Body,
    extract::{
        ConnectInfo, FromRequestParts, MatchedPath, OriginalUri, RawPathParams,
        rejection::RawPathParamsRejection,
    },
    http::{StatusCode, Version, request::Parts},
    response::Response,
};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use prism_tokio::{
    ConnectionHandler, HttpRequest, InvalidHeader, Opening, Options, PendingUpgrade, Socket, Tokio,
    Transport, WebSockets,
};

use crate::{rejection::WebSocketUpgradeRejection, stream::Stream};

/// The connections of requests without an `Extension` of [`WebSockets`].
static OF_PROCESS: LazyLock<WebSockets> = LazyLock::new(WebSockets::default);

/// An extractor for requests that ask for a WebSocket. All others are rejected.
///
/// [`handler`](Self::handler) or [`on_upgrade`](Self::on_upgrade) makes the response, which accepts the request. If the
/// application drops the extractor and answers otherwise, no WebSocket is opened, and the request is counted as
/// [`unauthorized`](crate::Refused::unauthorized). This also happens if an extractor after this one rejects the
/// request, so this one should be the last.
///
/// ```no_run
/// use axum::{Extension, extract::State, response::Response};
/// use prism_axum::{Connection, ConnectionHandler, Message, WebSocketUpgrade};
///
/// # #[derive(Clone)] struct User { name: String }
/// # #[derive(Clone)] struct Database;
/// /// The handler of one connection, with its state.
/// struct Chat {
///     database: Database,
///     received: usize,
/// }
///
/// impl ConnectionHandler for Chat {
///     async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
///         let user: &User = connection.data().expect("it is attached");
///         self.received += 1;
///         let _ = connection.send(format!("{}: {}", user.name, self.received)).await;
///     }
/// }
///
/// async fn chat(State(database): State<Database>, Extension(user): Extension<User>, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.subprotocols(["chat.v2", "chat"]).data(user).handler(Chat { database, received: 0 })
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct WebSocketUpgrade {
    pending: PendingUpgrade<Tokio>,
    stream: OnUpgrade,
    version: Version,
}

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = WebSocketUpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let params = params(parts, state).await?;
        let stream = parts.extensions.remove::<OnUpgrade>();
        let websockets = parts.extensions.get().unwrap_or(&*OF_PROCESS);
        let mut head =
            prism_hyper::with_extensions(HttpRequest::of_parts(parts), &parts.extensions);
        head = head.params(params);
        if let Some(OriginalUri(uri)) = parts.extensions.get() {
            head = head.uri(uri);
        }
        if let Some(matched) = parts.extensions.get::<MatchedPath>() {
            head = head.route(matched.as_str());
        }
        if let Some(ConnectInfo(addr)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            head = head.peer_addr(*addr);
        }
        if stream.is_none() {
            head = head.without_stream();
        }
        let pending = websockets.upgrade(head).await.map_err(WebSocketUpgradeRejection::new)?;
        let stream = stream.expect("a request without a stream is refused");
        Ok(Self { pending, stream, version: parts.version })
    }
}

/// Returns the parameters of the route.
async fn params<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(Box<str>, Box<str>)>, WebSocketUpgradeRejection> {
    match RawPathParams::from_request_parts(parts, state).await {
        Ok(params) => Ok(params.iter().map(|(name, value)| (name.into(), value.into())).collect()),
        // The handler of a fallback has none.
        Err(RawPathParamsRejection::MissingPathParams(_)) => Ok(Vec::new()),
        Err(invalid) => Err(rejection(invalid.status(), &invalid.body_text())),
    }
}

fn rejection(status: StatusCode, text: &str) -> WebSocketUpgradeRejection {
    let mut response = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *response.status_mut() = status;
    WebSocketUpgradeRejection::new(response)
}

impl WebSocketUpgrade {
    /// Returns the request.
    #[must_use]
    pub const fn request(&self) -> &prism_tokio::Request {
        self.pending.request()
    }

    /// Selects the first of these subprotocols that the client offers, in place of the one that was selected before. A
    /// client that offers none of them is accepted without a subprotocol.
    pub fn subprotocols<P: AsRef<str>>(self, names: impl IntoIterator<Item = P>) -> Self {
        Self { pending: self.pending.subprotocols(names), ..self }
    }

    /// Does the same as [`subprotocols`](Self::subprotocols). This is the name of the method in `axum::extract::ws`.
    pub fn protocols<P: AsRef<str>>(self, names: impl IntoIterator<Item = P>) -> Self {
        self.subprotocols(names)
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &str> {
        self.request().subprotocols()
    }

    /// Returns the selected subprotocol.
    #[must_use]
    pub fn selected_protocol(&self) -> Option<&str> {
        self.pending.subprotocol()
    }

    /// Attaches data to the connection, such as the user that another extractor has identified, in place of earlier
    /// data. [`Connection::data`](crate::Connection::data) returns it.
    pub fn data<T: Any + Send + Sync>(self, data: T) -> Self {
        Self { pending: self.pending.data(data), ..self }
    }

    /// Adds a header to the response that accepts the request.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        Ok(Self { pending: self.pending.header(name, value)?, ..self })
    }

    /// Sets limits for this connection, in place of those that all have. The connection takes about half a kilobyte
    /// more for that, so limits for all connections belong in [`WebSockets::new`].
    pub fn options(self, options: Options) -> Self {
        Self { pending: self.pending.options(options), ..self }
    }

    /// Accepts the request, and runs the handler on the connection: a [`ConnectionHandler`], whose fields are the
    /// connection's state, or a [`Handler`](crate::Handler), of which several connections can share an `Arc`. The
    /// handler runs in a task of its own.
    #[must_use = "the response accepts the request"]
    pub fn handler(self, handler: impl ConnectionHandler) -> Response {
        self.accept(RunHandler(handler))
    }

    /// Accepts the request, and runs an async function on the connection, in a task of its own. When the function
    /// returns, the connection is closed with 1000, and if it panics, with 1011. It is otherwise as on a route that
    /// [`socket`](crate::socket) makes.
    #[must_use = "the response accepts the request"]
    pub fn on_upgrade<F, P>(self, run: F) -> Response
    where
        F: FnOnce(Socket) -> P + Send + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        self.accept(RunFunction(run))
    }

    fn accept(self, run: impl Run) -> Response {
        let Self { pending, stream, version } = self;
        let (response, opening) = pending.accept();
        let stream = async move { Some(Stream::of(stream.await.ok()?, version)) };
        opening.when_ready(stream, |opening, stream| match stream {
            Stream::Tcp(tcp, early) => run.run(opening.received(&early), tcp),
            Stream::Hyper(stream) => run.run(opening, stream),
        });
        response.map(|()| Body::empty())
    }
}

/// What runs a connection, on a stream of any type.
trait Run: Send + 'static {
    fn run(self, opening: Opening<Tokio>, stream: impl Transport);
}

struct RunHandler<H>(H);

struct RunFunction<F>(F);

impl<H: ConnectionHandler> Run for RunHandler<H> {
    fn run(self, opening: Opening<Tokio>, stream: impl Transport) {
        opening.serve(stream, self.0);
    }
}

impl<F, P> Run for RunFunction<F>
where
    F: FnOnce(Socket) -> P + Send + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    fn run(self, opening: Opening<Tokio>, stream: impl Transport) {
        opening.serve_socket(stream, self.0);
    }
}
