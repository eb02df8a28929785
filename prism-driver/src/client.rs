//! [`Client`]: opens a connection to a `ws://` address.

use std::{borrow::Cow, error::Error, fmt, io, sync::Arc};

use bytes::BytesMut;
use futures_lite::AsyncWriteExt;
use http::Uri;
use prism_core::{
    Accepted, Answer, ClientHandshake, ClientRequest, HandshakeError, Headers, InvalidRequest,
    MaskKeys, Response,
};

use crate::{
    alarm::Timer,
    connection::Connection,
    dial::dial,
    handler::{Disconnect, Handler},
    id::{fill_random, random_bytes},
    input::Input,
    options::Options,
    pace::Unpaced,
    request::RequestInfo,
    runtime::{Network, Runtime, Transport, within},
    session::{Opened, Session},
    socket::Socket,
};

/// What to connect to, and how.
///
/// Use `connect` or `Client` of your runtime's adapter; this is what they share.
pub struct Client<R> {
    runtime: R,
    host: String,
    port: u16,
    secure: bool,
    uri: Uri,
    request: ClientRequest,
    options: Options,
}

impl<R: Runtime> Client<R> {
    /// A client for an address such as `ws://example.org:8080/chat?room=1`.
    ///
    /// A `wss://` address is understood, but the TLS is yours: connect a TLS stream, and give it to
    /// [`connect_stream`](Self::connect_stream).
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`] if it is no such address.
    pub fn new(url: &str) -> Result<Self, ConnectError>
    where
        R: Default,
    {
        Self::new_on(R::default(), url)
    }

    /// As [`new`](Self::new), on a runtime that is a value.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`] if it is no such address.
    pub fn new_on(runtime: R, url: &str) -> Result<Self, ConnectError> {
        let invalid = |what| ConnectError::InvalidUrl(what);
        if url.contains('#') {
            return Err(invalid("fragments mean nothing to WebSocket (RFC 6455 §3)"));
        }
        let uri: Uri = url.parse().map_err(|_| invalid("it can not be parsed"))?;
        let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
        let (secure, default_port) = match scheme.as_deref() {
            Some("ws") => (false, 80),
            Some("wss") => (true, 443),
            _ => return Err(invalid("expected ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("there is no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("user names belong in an Authorization header"));
        }
        if authority.host().is_empty() {
            return Err(invalid("there is no host"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = match authority.as_str().get(authority.host().len()..) {
            None | Some("" | ":") => default_port,
            Some(_) => authority.port_u16().ok_or_else(|| invalid("the port is none"))?,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
        let request = ClientRequest::new(authority.as_str(), &target)?;
        let options = Options::default();
        Ok(Self { runtime, host, port, secure, uri, request, options })
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
    pub fn protocol(mut self, name: &str) -> Result<Self, ConnectError> {
        self.request = self.request.protocol(name)?;
        Ok(self)
    }

    /// Sets the limits.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Opens a connection over a transport that is connected already. Dropped early, it drops the
    /// transport, and leaves nothing behind.
    ///
    /// # Errors
    /// If the server refuses, breaks the protocol, or takes longer than the handshake timeout.
    pub async fn connect_stream(self, io: impl Transport) -> Result<Socket, ConnectError> {
        let session = self.open(io).await?;
        Ok(self.socket(session))
    }

    fn socket(self, session: Session) -> Socket {
        let (socket, inbox) = Socket::new(Connection::clone(&session.connection));
        self.runtime.spawn(session.run(self.alarm(), Unpaced, Arc::new(inbox), |_, _| ()));
        socket
    }

    /// Runs a handler on a connection over a transport that is connected already, and returns when
    /// the connection is over. It lives in this future: dropped early, a handler is dropped
    /// half-way, and `on_disconnect` does not run.
    ///
    /// # Errors
    /// As [`connect_stream`](Self::connect_stream).
    pub async fn run_stream(
        self,
        io: impl Transport,
        handler: impl Handler,
    ) -> Result<Disconnect, ConnectError> {
        let session = self.open(io).await?;
        Ok(session.run(self.alarm(), Unpaced, &handler, |_, reason| reason).await)
    }

    fn alarm(&self) -> Timer<R> {
        Timer::new(self.runtime.clone(), &self.options)
    }

    async fn open(&self, mut io: impl Transport) -> Result<Session, ConnectError> {
        let mut input = Input::new();
        let handshake = self.handshake(&mut io, &mut input);
        let opened = within(&self.runtime, self.options.handshake_timeout, handshake).await;
        let opened = opened.ok_or(ConnectError::TimedOut)??;
        Ok(Session::new(opened, io, None, input, &self.options))
    }

    async fn handshake(
        &self,
        io: &mut impl Transport,
        input: &mut Input,
    ) -> Result<Opened, ConnectError> {
        let mut request = BytesMut::new();
        let protocol = &self.options.protocol;
        let mut handshake =
            ClientHandshake::start(protocol, &self.request, random_bytes(), &mut request);
        io.write_all(&request).await?;
        io.flush().await?;
        loop {
            let answer = match input.fill(io).await? {
                0 => Some(handshake.receive_eof(input.buffer())?),
                _ => handshake.receive(input.buffer())?,
            };
            match answer {
                None => {}
                Some(Answer::Refused(response)) => return Err(Refusal::from(&response).into()),
                Some(Answer::Accepted(accepted)) => return Ok(self.opened(accepted)),
            }
        }
    }

    fn opened(&self, accepted: Accepted<'_>) -> Opened {
        let info = RequestInfo::new(
            self.uri.path(),
            self.uri.query(),
            std::iter::empty(),
            accepted.protocol(),
        );
        let headers = Some(accepted.response().headers().into_owned());
        let keys = MaskKeys::new(fill_random);
        let websocket = accepted.into_websocket(&self.options.config(), keys);
        Opened { websocket, unsent: None, info: Arc::new(info), headers }
    }
}

impl<N: Network> Client<N> {
    /// Opens a connection. Dropped early, it gives up what it has begun, and leaves nothing behind.
    ///
    /// # Errors
    /// If the server can not be reached within the connect timeout, refuses, breaks the protocol,
    /// or takes longer than the handshake timeout; if the address is `wss://`.
    pub async fn connect(self) -> Result<Socket, ConnectError> {
        let session = self.dial().await?;
        Ok(self.socket(session))
    }

    /// Opens a connection, runs a handler on it, and returns when the connection is over. As with
    /// [`run_stream`](Self::run_stream), it lives in this future.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn run(self, handler: impl Handler) -> Result<Disconnect, ConnectError> {
        let session = self.dial().await?;
        Ok(session.run(self.alarm(), Unpaced, &handler, |_, reason| reason).await)
    }

    async fn dial(&self) -> Result<Session, ConnectError> {
        if self.secure {
            return Err(ConnectError::InvalidUrl(
                "for wss:// connect a TLS stream, and give it to connect_stream",
            ));
        }
        let deadline = self.runtime.now().saturating_add(self.options.connect_timeout);
        let dialled = dial(&self.runtime, &self.host, self.port, deadline).await;
        self.open(dialled.map_err(ConnectError::Unreachable)?).await
    }
}

/// Why a client got no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server's answer was no valid handshake.
    Handshake(HandshakeError),
    /// A header or sub-protocol can not be sent.
    InvalidRequest(InvalidRequest),
    /// The address can not be connected to, for this reason.
    InvalidUrl(&'static str),
    /// The transport failed or ended during the handshake.
    Io(io::Error),
    /// The server refused: it asks for a login, redirects, has no such path ... Prism follows no
    /// redirect and answers no challenge: what the server said is in here, for you to act on.
    Refused(Refusal),
    /// The handshake took longer than the handshake timeout.
    TimedOut,
    /// The host has no address, or none at which somebody answered within the connect timeout. The
    /// error names each address that was tried.
    Unreachable(io::Error),
}

/// A server's answer other than "switching protocols".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The status, such as 401 or 302.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The start of the body.
    pub body: Vec<u8>,
}

impl Refusal {
    /// Returns a header; several lines of it are joined as for [`Connection::header`].
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        Headers::join(name, self.values(name))
    }

    /// Returns the value of each line of a header, in their order: also of `Set-Cookie`, whose lines
    /// cannot be joined.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.values(name).map(String::from_utf8_lossy)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let is_it = move |(own, _): &&(String, _)| own.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_it).map(|(_, value)| &**value)
    }
}

impl From<&Response<'_>> for Refusal {
    fn from(response: &Response<'_>) -> Self {
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        Self {
            status: response.status(),
            headers: headers.collect(),
            body: response.body().to_vec(),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "not a WebSocket server: {error}"),
            Self::InvalidRequest(error) => fmt::Display::fmt(error, f),
            Self::InvalidUrl(why) => write!(f, "not an address to connect to: {why}"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Refused(refusal) => write!(f, "the server refused with {}", refusal.status),
            Self::TimedOut => f.write_str("the server did not answer the handshake in time"),
            Self::Unreachable(error) => write!(f, "the server can not be reached: {error}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::InvalidRequest(error) => error.source(),
            Self::Io(error) | Self::Unreachable(error) => Some(error),
            Self::InvalidUrl(_) | Self::Refused(_) | Self::TimedOut => None,
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<InvalidRequest> for ConnectError {
    fn from(error: InvalidRequest) -> Self {
        Self::InvalidRequest(error)
    }
}

impl From<Refusal> for ConnectError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
