//! [`ServerHandshake`]: reads a request and checks it (RFC 6455 §4.2). A valid opening handshake is
//! an offer, which can be accepted with a 101; everything else gets a reply.

use crate::{
    buffer::RecvBuffer,
    config::Config,
    handshake::{
        error::HandshakeError,
        http::head::{HeadReader, is_later_http1, lower_minor_version},
        server::{offer::Offer, request::Request},
    },
};

pub(crate) mod into_reply;
pub(crate) mod offer;
pub(crate) mod owned_offer;
pub(crate) mod owned_request;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod request_parts;
pub(crate) mod response_head;
mod subprotocols;
pub(crate) mod switching_protocols;

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
///         offer.select_subprotocol(["superchat"]);
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
    /// Every further call returns this error.
    ended: Option<HandshakeError>,
}

impl ServerHandshake {
    /// Creates a server's handshake. The limits in `config` apply to the head of the request.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { reader: HeadReader::new(config), ended: None }
    }

    /// Reads the head of a request of any kind. `None` means that more bytes are needed.
    ///
    /// What follows the head stays in `input`.
    ///
    /// # Errors
    /// If the request is not valid HTTP/1.1 or HTTP/1.0, or exceeds the limits. Each error is
    /// returned as soon as it can be detected. After the request: [`HandshakeError::Finished`],
    /// because a connection carries only one request.
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

    /// Reads a request that has to be an opening handshake. `None` means that more bytes are
    /// needed.
    ///
    /// This combines [`receive_request`](Self::receive_request) and [`Request::upgrade`].
    ///
    /// # Errors
    /// Returns the errors of both.
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Offer<'b>>, HandshakeError> {
        let Some(request) = self.receive_request(input)? else { return Ok(None) };
        match request.check_upgrade() {
            Ok(accept_key) => Ok(Some(Offer::new(request, accept_key))),
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
            // A client that speaks TLS to a plain port should not have to wait for the end of a
            // line.
            [first, ..] if !first.is_ascii_alphabetic() => {
                return Err(HandshakeError::NotHttp);
            }
            _ => {}
        }
        let Some(length) = self.reader.find_end(input.unparsed())? else { return Ok(None) };
        let head = input.lend(length);
        if is_later_http1(head) {
            // RFC 9110 §2.5: the message is to be processed "as if it was in the highest minor
            // version within that major version to which the recipient is conformant". The parser
            // knows no other.
            lower_minor_version(head);
        }
        Request::parse(head).map(Some)
    }
}
