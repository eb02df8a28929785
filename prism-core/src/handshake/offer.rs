//! [`Offer`]: a good request for a WebSocket, and the answer that accepts it.

use bytes::{BufMut, BytesMut};

use super::{
    accept_key::AcceptKey,
    error::HandshakeError,
    http::{
        header_block::{HeaderBlock, InvalidHeader},
        tokens,
    },
    request::Request,
};
use crate::{config::Config, websocket::WebSocket};

/// A good request for a WebSocket, to be accepted or refused. It borrows the receive buffer.
///
/// To refuse it, write a [`Reply`](crate::Reply) in its place.
#[derive(Debug)]
pub struct Offer<'a> {
    request: Request<'a>,
    answer: AcceptKey,
    subprotocol: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Judges the request as the opening of a WebSocket (RFC 6455 §4.2.1).
    ///
    /// # Errors
    /// What is wrong with it. [`HandshakeError::reply`] is the answer to send then.
    pub fn upgrade(&self) -> Result<Offer<'a>, HandshakeError> {
        let answer = self.check_upgrade()?;
        Ok(Offer::new(self.clone(), answer))
    }
}

impl<'a> Offer<'a> {
    pub(super) const fn new(request: Request<'a>, answer: AcceptKey) -> Self {
        Self { request, answer, subprotocol: None }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// The subprotocols that the client speaks, those it prefers first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        tokens::elements(self.request.headers().all("Sec-WebSocket-Protocol"))
            .filter_map(|token| core::str::from_utf8(token).ok())
    }

    /// Selects the subprotocol: the first of the server's `own` that the client offered, if any
    /// (RFC 6455 §4.2.2). Their case counts.
    ///
    /// The answer will name it, and only it: nothing that the client did not offer can be selected.
    pub fn select_subprotocol<P: AsRef<str>>(
        &mut self,
        own: impl IntoIterator<Item = P>,
    ) -> Option<&'a str> {
        let find = |own: P| self.subprotocols().find(|&offered| offered == own.as_ref());
        self.subprotocol = own.into_iter().find_map(find);
        self.subprotocol
    }

    /// The subprotocol selected.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// Appends the answer to `out`, and opens the connection. What the client sent behind its
    /// request is still in the receive buffer.
    pub fn accept(self, accept: &Accept, config: &Config, out: &mut BytesMut) -> WebSocket {
        out.reserve(192 + accept.fields.as_bytes().len());
        out.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.put_slice(self.answer.as_bytes());
        out.put_slice(b"\r\n");
        if let Some(subprotocol) = self.subprotocol {
            out.put_slice(b"Sec-WebSocket-Protocol: ");
            out.put_slice(subprotocol.as_bytes());
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
    fields: HeaderBlock,
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
