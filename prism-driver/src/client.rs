//! [`Client`]: opens a connection to a `ws://` URL.

use std::sync::Arc;

use prism_core::{Accepted, ClientRequest, MaskKeys};

use crate::{
    client::{
        connect::dial,
        handshake::Exchange,
        url::{InvalidUrl, ServerAddress, Url},
    },
    connection::{Connection, id::fill_random, request::RequestInfo},
    error::{Disconnect, connect::ConnectError},
    handler::Handler,
    options::client::ClientOptions,
    runtime::{Network, Runtime, Transport},
    session::{
        Established, Session, deadline::OwnTimer, rate_limit::Unlimited, read_buffer::ReadBuffer,
    },
    socket::Socket,
};

pub(crate) mod connect;
pub(crate) mod handshake;
pub(crate) mod percent;
pub(crate) mod url;

/// What to connect to, and how.
///
/// Use `connect` or `Client` of your runtime's adapter; this is what they share.
pub struct Client<R> {
    runtime: R,
    secure: bool,
    endpoint: ServerAddress,
    request: ClientRequest,
    options: ClientOptions,
}

impl<R: Runtime> Client<R> {
    /// Returns a client for a URL such as `ws://example.org:8080/chat?room=1`.
    ///
    /// What path and query may not have in them, such as spaces and `ü`, is percent-encoded as a browser
    /// does it; [`Connection::path`] and [`query`](Connection::query) are what is sent. A host that is
    /// not ASCII has to be written as IDNA encodes it (`xn--...`). The address of an interface may have
    /// its zone, which is not sent: `ws://[fe80::1%25eth0]/`, or `%eth0`.
    ///
    /// A `wss://` URL is understood, but the TLS is yours: connect a TLS stream, and give it to
    /// [`connect_stream`](Self::connect_stream).
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`] if it is not such a URL; its text says what is wrong, and where.
    pub fn new(url: &str) -> Result<Self, ConnectError>
    where
        R: Default,
    {
        Self::new_on(R::default(), url)
    }

    /// As [`new`](Self::new), on a runtime that is a value.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_on(runtime: R, url: &str) -> Result<Self, ConnectError> {
        let Url { secure, endpoint, authority, target } = Url::parse(url)?;
        let request = ClientRequest::new(&authority, &target)?;
        Ok(Self { runtime, secure, endpoint, request, options: ClientOptions::default() })
    }

    /// Adds a header to the request.
    ///
    /// # Errors
    /// If it is malformed, or one that the handshake sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        self.request = self.request.header(name, value)?;
        Ok(self)
    }

    /// Offers a sub-protocol; the first one offered is the preferred one.
    ///
    /// # Errors
    /// If it is no token (RFC 9110 §5.6.2).
    pub fn subprotocol(mut self, name: &str) -> Result<Self, ConnectError> {
        self.request = self.request.subprotocol(name)?;
        Ok(self)
    }

    /// Sets the limits.
    #[must_use]
    pub fn options(mut self, options: impl Into<ClientOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// Opens a connection over a transport that is connected already. Dropped early, it drops the
    /// transport, and leaves nothing behind.
    ///
    /// # Errors
    /// If the server refuses, breaks the protocol, or takes longer than the handshake timeout. A refusal
    /// is told a second after its status at the latest, even if its body never ends.
    pub async fn connect_stream(self, io: impl Transport) -> Result<Socket, ConnectError> {
        let session = self.open(io).await?;
        Ok(self.socket(session))
    }

    fn socket(self, session: Session) -> Socket {
        let (socket, inbox) = Socket::new(Connection::clone(&session.connection));
        self.runtime.spawn(session.run(self.timer(), Unlimited, Arc::new(inbox), |_, _| ()));
        socket
    }

    /// Runs a handler on a connection over a transport that is connected already, and returns when
    /// the connection is over. It lives in this future: dropped early, a handler is dropped
    /// half-way, and `on_disconnect` does not run.
    ///
    /// It returns when the transport has ended too, which may be up to the [close
    /// timeout](prism_core::Config::close_timeout) after [`on_disconnect`](Handler::on_disconnect). What has
    /// to be known earlier is known there.
    ///
    /// # Errors
    /// As [`connect_stream`](Self::connect_stream).
    pub async fn run_stream(
        self,
        io: impl Transport,
        handler: impl Handler,
    ) -> Result<Disconnect, ConnectError> {
        let session = self.open(io).await?;
        Ok(session.run(self.timer(), Unlimited, &handler, |_, reason| reason).await)
    }

    fn timer(&self) -> OwnTimer<R> {
        OwnTimer::new(self.runtime.clone(), &self.options.connection)
    }

    async fn open(&self, mut io: impl Transport) -> Result<Session, ConnectError> {
        let mut input = ReadBuffer::new();
        let exchange = Exchange::new(&mut io, &mut input, &self.request, &self.options.connection);
        let opened =
            exchange.run(&self.runtime, &self.options.connection, |accepted| self.opened(accepted));
        let opened = opened.await?;
        Ok(Session::new(opened, io, None, input, &self.options.connection))
    }

    fn opened(&self, accepted: Accepted<'_>) -> Established {
        let target = self.request.target();
        let (path, query) = match target.split_once('?') {
            None => (target, None),
            Some((path, query)) => (path, Some(query)),
        };
        let info = RequestInfo::new(path, query, std::iter::empty(), accepted.subprotocol());
        let headers = Some(accepted.response().headers().into_owned());
        let keys = MaskKeys::new(fill_random);
        let websocket = accepted.into_websocket(&self.options.connection.config(), keys);
        Established { websocket, unsent: None, info: Arc::new(info), headers }
    }
}

impl<N: Network> Client<N> {
    /// Opens a connection. Dropped early, it gives up what it has begun, and leaves nothing behind.
    ///
    /// # Errors
    /// If the server cannot be reached within the connect timeout, refuses, breaks the protocol, or
    /// takes longer than the handshake timeout; if the URL is `wss://`. As with
    /// [`connect_stream`](Self::connect_stream), a refusal does not wait for the end of its body.
    pub async fn connect(self) -> Result<Socket, ConnectError> {
        let session = self.dial().await?;
        Ok(self.socket(session))
    }

    /// Opens a connection, runs a handler on it, and returns when the connection is over. As with
    /// [`run_stream`](Self::run_stream), it lives in this future, which returns when the transport has ended
    /// too.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn run(self, handler: impl Handler) -> Result<Disconnect, ConnectError> {
        let session = self.dial().await?;
        Ok(session.run(self.timer(), Unlimited, &handler, |_, reason| reason).await)
    }

    async fn dial(&self) -> Result<Session, ConnectError> {
        if self.secure {
            return Err(InvalidUrl::needs_tls().into());
        }
        let deadline = self.runtime.now().saturating_add(self.options.connect_timeout);
        let dialled = dial(&self.runtime, &self.endpoint, deadline).await;
        self.open(dialled.map_err(ConnectError::Unreachable)?).await
    }
}
