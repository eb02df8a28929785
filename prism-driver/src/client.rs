//! [`Client`]: opens a connection to a `ws://` or `wss://` URL.

use std::{sync::Arc, time::Duration};

use prism_core::{Accepted, ClientRequest, MaskKeys};

#[cfg(feature = "tls")]
use crate::tls::client::TlsClient;
use crate::{
    client::{
        destination::Destination, handshake::Exchange, proxy::Proxy, target::split_query,
        task::ConnectionTask,
    },
    connection::{Connection, request_info::RequestInfo},
    error::{Disconnect, connect::ConnectError},
    handler::connection_handler::ConnectionHandler,
    options::client::ClientOptions,
    runtime::{AdaptStream, Network, Runtime, Transport, random::fill_random},
    session::{
        Established, Session, deadline::OwnTimer, rate_limit::Unlimited, read_buffer::ReadBuffer,
    },
    socket::Socket,
};

mod destination;
mod dial;
pub(crate) mod handshake;
mod happy_eyeballs;
pub(crate) mod percent;
pub(crate) mod proxy;
pub(crate) mod reconnect;
pub(crate) mod redirects;
pub(crate) mod service;
mod target;
pub(crate) mod task;
pub(crate) mod url;

/// A client that is ready to connect: the URL, the headers and subprotocols of the request, and the limits.
///
/// ```no_run
/// # use prism_driver::{Client, ConnectError, Network, Socket};
/// async fn log_in<N: Network + Default>(token: &str) -> Result<Socket, ConnectError> {
///     Client::<N>::new("ws://example.org/chat")?
///         .header("Authorization", &format!("Bearer {token}"))?
///         .subprotocol("chat.v2")?
///         .connect()
///         .await
/// }
/// ```
///
/// The adapters define a `Client` for their runtime, and a function `connect` for clients that need only a URL.
#[derive(Clone)]
pub struct Client<R> {
    runtime: R,
    destination: Destination,
    options: ClientOptions,
    proxy: Option<Arc<Proxy>>,
    max_redirects: u32,
    #[cfg(feature = "tls")]
    tls: Option<TlsClient>,
}

impl<R: Runtime> Client<R> {
    /// Creates a client for a URL such as `ws://example.org:8080/chat?room=1`.
    ///
    /// Characters that a path or a query cannot contain, such as spaces and `ü`, are percent-encoded as in a browser.
    /// [`Connection::path`] and [`query`](Connection::query) return what is sent. Write a host that is not ASCII in its
    /// IDNA encoding (`xn--...`). A link-local address can have a zone, which is not sent: `ws://[fe80::1%25eth0]/`, or
    /// equally `ws://[fe80::1%eth0]/`.
    ///
    /// A `wss://` URL needs the feature `tls`, or a TLS stream of your own, which you pass to
    /// [`connect_stream`](Self::connect_stream).
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`] if the URL is invalid. The error's text says what is wrong, and where.
    pub fn new(url: &str) -> Result<Self, ConnectError>
    where
        R: Default,
    {
        Self::new_on(R::default(), url)
    }

    /// Creates a client as [`new`](Self::new) does, on the given runtime.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_on(runtime: R, url: &str) -> Result<Self, ConnectError> {
        Ok(Self {
            runtime,
            destination: Destination::parse(url)?,
            options: ClientOptions::default(),
            proxy: None,
            max_redirects: 0,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Adds a header to the request.
    ///
    /// # Errors
    /// [`ConnectError::InvalidRequest`] if the header is malformed, or is one that the handshake sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        self.destination.request = self.destination.request.header(name, value)?;
        Ok(self)
    }

    /// Offers a subprotocol. The order of the calls is the order of preference (RFC 6455 §4.1).
    ///
    /// # Errors
    /// [`ConnectError::InvalidRequest`] if the name is not a token (RFC 9110 §5.6.2), or was offered before.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, ConnectError> {
        self.destination.request = self.destination.request.subprotocol(name)?;
        Ok(self)
    }

    /// Sets the limits.
    #[must_use]
    pub fn options(mut self, options: impl Into<ClientOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// Sets which certificates the client trusts, for a `wss://` URL. By default, those that the operating system
    /// trusts.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<TlsClient>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Connects through a proxy. By default, a client connects directly.
    ///
    /// ```no_run
    /// # use prism_driver::{Client, ConnectError, Network, Proxy, Socket};
    /// # async fn example<N: Network + Default>() -> Result<Socket, ConnectError> {
    /// let proxy = Proxy::new("http://alice:secret@proxy.example:3128")?; // or Proxy::from_env()?
    /// Client::<N>::new("ws://feed.example/v1")?.proxy(proxy).connect().await
    /// # }
    /// ```
    ///
    /// The connect timeout covers the proxy's answer as well. What goes wrong with the proxy is a
    /// [`ConnectError::Proxy`]. A stream that is already connected needs no proxy:
    /// [`connect_stream`](Self::connect_stream) and the like ignore it.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(Arc::new(proxy));
        self
    }

    /// Allows the client to follow up to `most` redirects, one after another: responses with the status 301, 302, 303,
    /// 307 or 308. By default, it follows none, and a redirect is a [`ConnectError::Refused`], as is one redirect too
    /// many.
    ///
    /// `Location` can be an absolute URL (`ws:`, `wss:`, `http:`, `https:`) or a relative one (RFC 3986 §4.2). A
    /// redirect from `wss:` to `ws:` is a [`ConnectError::Redirect`].
    ///
    /// If the origin changes (scheme, host or port), none of the headers that you have [added](Self::header) go along,
    /// except `User-Agent`, and the client shows no certificate of its own. Both hold for the redirects after that one
    /// as well, even if one leads back. The subprotocols go along, because the server has to select one. So do not send
    /// a token as a subprotocol if you follow redirects.
    ///
    /// [`Connection::path`] is that of the last URL. Each of the attempts has timeouts of its own.
    ///
    /// A stream that is already connected leads to one server only: [`connect_stream`](Self::connect_stream) and the
    /// like follow no redirects.
    #[must_use]
    pub fn redirects(mut self, most: u32) -> Self {
        self.max_redirects = most;
        self
    }

    /// Opens a connection over a stream that is already connected, such as a TLS stream. The connection runs in a task
    /// of its own; see [`Socket`]. The stream must be one that the runtime can [use](AdaptStream): on tokio, one that
    /// implements tokio's `AsyncRead` and `AsyncWrite`.
    ///
    /// If the future is dropped early, the stream is dropped.
    ///
    /// # Errors
    /// [`ConnectError`] if the stream fails, or if the server refuses, violates the protocol, or takes longer than the
    /// handshake timeout. A refusal is returned at most one second after its status has arrived, even if its body never
    /// ends.
    pub async fn connect_stream<S>(self, stream: S) -> Result<Socket, ConnectError>
    where
        R: AdaptStream<S>,
    {
        let session = self
            .open(R::adapt(stream), &self.destination.request, self.handshake_timeout())
            .await?;
        Ok(self.socket(session))
    }

    /// Opens a connection over a stream that is already connected, and runs a handler on the connection, in a task of
    /// its own. Returns that task as soon as the connection is open.
    ///
    /// If the future is dropped early, the stream is dropped.
    ///
    /// # Errors
    /// As [`connect_stream`](Self::connect_stream).
    pub async fn spawn_stream<S>(
        self,
        stream: S,
        handler: impl ConnectionHandler,
    ) -> Result<ConnectionTask, ConnectError>
    where
        R: AdaptStream<S>,
    {
        let session = self
            .open(R::adapt(stream), &self.destination.request, self.handshake_timeout())
            .await?;
        Ok(self.start(session, handler))
    }

    /// Opens a connection over a stream that is already connected, and runs a handler on the connection. Returns how
    /// the connection ended.
    ///
    /// The connection lives in this future. If the future is dropped early, the running call of the handler is dropped
    /// before it completes, `on_disconnect` does not run, and the server gets no close frame. The
    /// [`on_end`](Connection::on_end) hooks run.
    ///
    /// The future is ready only when the stream has ended as well. That can be seconds later than
    /// [`on_disconnect`](ConnectionHandler::on_disconnect); see the [close
    /// timeout](prism_core::Config::close_timeout). To react to the end without this delay, use `on_disconnect`.
    ///
    /// # Errors
    /// As [`connect_stream`](Self::connect_stream).
    pub async fn run_stream<S>(
        self,
        stream: S,
        handler: impl ConnectionHandler,
    ) -> Result<Disconnect, ConnectError>
    where
        R: AdaptStream<S>,
    {
        let session = self
            .open(R::adapt(stream), &self.destination.request, self.handshake_timeout())
            .await?;
        Ok(session.run(self.timer(), Unlimited, handler, |_, reason| reason).await)
    }

    fn socket(self, session: Session) -> Socket {
        let (socket, inbox) = Socket::new(Connection::clone(&session.connection));
        self.runtime.spawn(session.run(self.timer(), Unlimited, inbox, |_, _| ()));
        socket
    }

    fn start(self, session: Session, handler: impl ConnectionHandler) -> ConnectionTask {
        let (task, end) = ConnectionTask::new(Connection::clone(&session.connection));
        let notify = move |_: &OwnTimer<R>, reason| end.notify(reason);
        self.runtime.spawn(session.run(self.timer(), Unlimited, handler, notify));
        task
    }

    fn timer(&self) -> OwnTimer<R> {
        OwnTimer::new(self.runtime.clone(), &self.options.connection)
    }

    const fn handshake_timeout(&self) -> Duration {
        self.options.connection.handshake_timeout
    }

    /// Does the handshake over a transport, which may take this long.
    async fn open(
        &self,
        mut io: impl Transport,
        request: &ClientRequest,
        timeout: Duration,
    ) -> Result<Session, ConnectError> {
        let mut read_buffer = ReadBuffer::new();
        let exchange = Exchange::new(&mut io, &mut read_buffer, request, &self.options.connection);
        let establish = |accepted: Accepted<'_>| self.establish(request, accepted);
        let established = exchange.run(&self.runtime, timeout, establish).await?;
        Ok(Session::new(established, Box::new(io), None, read_buffer, &self.options.connection))
    }

    fn establish(&self, request: &ClientRequest, accepted: Accepted<'_>) -> Established {
        let (path, query) = split_query(request.target());
        let info = RequestInfo::new(path, query, std::iter::empty(), accepted.subprotocol());
        let headers = Some(accepted.response().headers().into_owned());
        let keys = MaskKeys::new(fill_random);
        let websocket = accepted.into_websocket(&self.options.connection.config(), keys);
        Established::new(websocket, None, headers, |compression| {
            Arc::new(info.with_compression(compression))
        })
    }
}

impl<N: Network> Client<N> {
    /// Opens a connection, which runs in a task of its own; see [`Socket`]. If the future is dropped early, the attempt
    /// is canceled, and no connection stays open.
    ///
    /// # Errors
    /// [`ConnectError`] if the server or the [proxy](Self::proxy) cannot be reached within the connect timeout,
    /// refuses, violates the protocol, or takes longer than the handshake timeout; also if the URL begins with
    /// `wss://`, and the server is not trusted, or if a [redirect](Self::redirects) leads where the client must not go.
    /// As with [`connect_stream`](Self::connect_stream), a refusal is returned at most one second after its status has
    /// arrived.
    pub async fn connect(self) -> Result<Socket, ConnectError> {
        let session = self.dial().await?;
        Ok(self.socket(session))
    }

    /// Opens a connection and runs a handler on it. Returns how the connection ended.
    ///
    /// A client attaches no [data](Connection::data) to its connection. What the handler needs to know, such as the
    /// account that it uses, belongs in a field of the [`ConnectionHandler`].
    ///
    /// The connection lives in this future, which is ready only when the transport has ended as well; see
    /// [`run_stream`](Self::run_stream).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn run(self, handler: impl ConnectionHandler) -> Result<Disconnect, ConnectError> {
        let session = self.dial().await?;
        Ok(session.run(self.timer(), Unlimited, handler, |_, reason| reason).await)
    }

    /// Opens a connection and runs a handler on it, in a task of its own. Returns that task, with the connection's
    /// handle, as soon as the connection is open. If the future is dropped early, the attempt is canceled, and no
    /// connection stays open.
    ///
    /// As with [`run`](Self::run), what the handler needs to know belongs in its fields. If the compiler says that the
    /// handler's future is not `Send`, see [`Handler`](crate::Handler#when-it-does-not-compile).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn spawn(
        self,
        handler: impl ConnectionHandler,
    ) -> Result<ConnectionTask, ConnectError> {
        let session = self.dial().await?;
        Ok(self.start(session, handler))
    }
}
