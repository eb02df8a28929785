//! [`ServerHandshake`]: reads a request and makes a connection of it (RFC 6455 §4.2).

use bytes::{BufMut, BytesMut};

use super::{
    accept_key::AcceptKey,
    error::HandshakeError,
    fields::{Fields, InvalidHeader},
    head::{HeadReader, is_later_http1, lower_minor_version},
    request::Request,
    tokens,
};
use crate::{buffer::RecvBuffer, config::Config, websocket::WebSocket};

/// The server's side of the opening handshake.
///
/// ```
/// use bytes::BytesMut;
/// use prism_core::{Accept, Config, RecvBuffer, ServerHandshake};
///
/// let config = Config::default();
/// let mut handshake = ServerHandshake::new(&config);
/// let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
/// input.extend_from_slice(
///     b"GET /chat HTTP/1.1\r\n\
///       Host: example.org\r\n\
///       Upgrade: websocket\r\n\
///       Connection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///       Sec-WebSocket-Version: 13\r\n\
///       Sec-WebSocket-Protocol: chat, superchat\r\n\r\n",
/// );
///
/// let ws = match handshake.receive(&mut input) {
///     Ok(Some(mut offer)) if offer.request().path() == "/chat" => {
///         offer.select_protocol(["superchat"]);
///         offer.accept(&Accept::new(), &config, &mut out)
///     }
///     Ok(Some(_)) => return prism_core::Reply::new(404).write(&mut out, false),
///     Ok(None) => return, // read more, and call it again
///     Err(error) => return error.reply().write(&mut out, false),
/// };
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # let answer = std::str::from_utf8(&out).unwrap();
/// # assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
/// # assert!(answer.contains("Sec-WebSocket-Protocol: superchat\r\n"));
/// # drop(ws);
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    reader: HeadReader,
    /// What every further call gives.
    ended: Option<HandshakeError>,
}

impl ServerHandshake {
    /// A handshake with the configured limits on a head.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { reader: HeadReader::new(config), ended: None }
    }

    /// Reads the head of a request of any kind. `None` means that more bytes are needed.
    ///
    /// What follows the head stays in `input`.
    ///
    /// # Errors
    /// If it is not good HTTP/1.1 or HTTP/1.0, or over the limits, each as soon as it shows. After the request
    /// [`HandshakeError::Finished`]: there is one per connection.
    pub fn receive_request<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Request<'b>>, HandshakeError> {
        if let Some(error) = self.ended {
            return Err(error);
        }
        let request = self.read(input);
        self.ended = match request {
            Ok(None) => None,
            Ok(Some(_)) => Some(HandshakeError::Finished),
            Err(error) => Some(error),
        };
        request
    }

    /// Reads a request that must be one for a WebSocket. `None` means that more bytes are needed.
    ///
    /// The same as [`receive_request`](Self::receive_request) and [`Request::upgrade`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Offer<'b>>, HandshakeError> {
        let Some(request) = self.receive_request(input)? else { return Ok(None) };
        match request.check_upgrade() {
            Ok(answer) => Ok(Some(Offer::new(request, answer))),
            Err(error) => {
                self.ended = Some(error);
                Err(error)
            }
        }
    }

    fn read<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Request<'b>>, HandshakeError> {
        self.reader.skip_empty_lines(input)?;
        match input.unparsed() {
            [] | b"\r" => return Ok(None),
            // Who speaks TLS to a plain port should not have to wait for a line's end.
            [first, ..] if !first.is_ascii_alphabetic() => {
                return Err(HandshakeError::NotHttp);
            }
            _ => {}
        }
        let Some(length) = self.reader.find_end(input.unparsed())? else { return Ok(None) };
        let head = input.lend(length);
        if is_later_http1(head) {
            // RFC 9110 §2.5: it is to be processed "as if it was in the highest minor version within
            // that major version to which the recipient is conformant"; the parser knows that alone.
            lower_minor_version(head);
        }
        Request::parse(head).map(Some)
    }
}

/// A good request for a WebSocket, to be accepted or refused. It borrows the receive buffer.
///
/// To refuse it, write a [`Reply`](crate::Reply) in its place.
#[derive(Debug)]
pub struct Offer<'a> {
    request: Request<'a>,
    answer: AcceptKey,
    protocol: Option<&'a str>,
}

impl<'a> Offer<'a> {
    pub(super) const fn new(request: Request<'a>, answer: AcceptKey) -> Self {
        Self { request, answer, protocol: None }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// The sub-protocols that the client speaks, those it prefers first.
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        tokens::elements(self.request.headers().all("Sec-WebSocket-Protocol"))
            .filter_map(|token| core::str::from_utf8(token).ok())
    }

    /// Selects the sub-protocol: the first of the server's `own` that the client offered, if any
    /// (RFC 6455 §4.2.2). Their case counts.
    ///
    /// The answer will name it, and only it: nothing that the client did not offer can be selected.
    pub fn select_protocol<P: AsRef<str>>(
        &mut self,
        own: impl IntoIterator<Item = P>,
    ) -> Option<&'a str> {
        let find = |own: P| self.protocols().find(|&offered| offered == own.as_ref());
        self.protocol = own.into_iter().find_map(find);
        self.protocol
    }

    /// The sub-protocol selected.
    #[must_use]
    pub const fn protocol(&self) -> Option<&'a str> {
        self.protocol
    }

    /// Appends the answer to `out`, and opens the connection. What the client sent behind its
    /// request is still in the receive buffer.
    pub fn accept(self, accept: &Accept, config: &Config, out: &mut BytesMut) -> WebSocket {
        out.reserve(192 + accept.fields.as_bytes().len());
        out.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.put_slice(self.answer.as_bytes());
        out.put_slice(b"\r\n");
        if let Some(protocol) = self.protocol {
            out.put_slice(b"Sec-WebSocket-Protocol: ");
            out.put_slice(protocol.as_bytes());
            out.put_slice(b"\r\n");
        }
        out.put_slice(accept.fields.as_bytes());
        out.put_slice(b"\r\n");
        WebSocket::server(config)
    }
}

/// What a server adds to the answer that [accepts](Offer::accept).
///
/// ```
/// use prism_core::{Accept, InvalidHeader};
///
/// let accept = Accept::new().header("Set-Cookie", "seen=1")?;
/// assert_eq!(Accept::new().header("X-Name", "a\r\nb").err(), Some(InvalidHeader::Value));
/// # Ok::<(), InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accept {
    fields: Fields,
}

impl Accept {
    /// Adds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header.
    ///
    /// # Errors
    /// If it is malformed, or one that the handshake sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.fields.push(name, value)?;
        Ok(self)
    }
}
