//! [`OwnedOffer`]: an offer that is independent of the receive buffer, to be answered later.

use alloc::{boxed::Box, sync::Arc};

use bytes::BytesMut;

use crate::{
    config::Config,
    deflate::Deflate,
    handshake::{
        accept_key::AcceptKey,
        server::{owned_request::OwnedRequest, subprotocols, switching_protocols::Accept},
    },
    websocket::WebSocket,
};

/// An [`Offer`](crate::Offer) that is independent of the receive buffer, for a server that decides
/// later. [`Offer::into_owned`](crate::Offer::into_owned) creates it.
///
/// To refuse it, write a [`Reply`](crate::Reply) instead.
///
/// ```
/// use prism_core::{Accept, Config, RecvBuffer, ServerHandshake};
///
/// let (config, mut input) = (Config::default(), RecvBuffer::new());
/// input.extend_from_slice(
///     b"GET /chat HTTP/1.1\r\n\
///       Host: example.org\r\n\
///       Upgrade: websocket\r\n\
///       Connection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///       Sec-WebSocket-Version: 13\r\n\r\n",
/// );
/// let offer = ServerHandshake::new(&config).receive(&mut input)?.expect("a whole request");
/// let offer = offer.into_owned();
///
/// // Another task looks at the request, for example to check a token in a database. The server
/// // reads on, and sees whether the client gives up.
/// let request = offer.request().clone();
/// let check = std::thread::spawn(move || request.path() == "/chat");
/// let _ = input.spare(4096);
///
/// let mut out = bytes::BytesMut::new();
/// if check.join().unwrap() {
///     let ws = offer.accept(&Accept::new(), &config, &mut out);
/// }
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), prism_core::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OwnedOffer {
    request: Arc<OwnedRequest>,
    accept_key: Option<AcceptKey>,
    subprotocol: Option<Box<str>>,
}

impl OwnedOffer {
    pub(super) fn new(
        request: OwnedRequest,
        accept_key: Option<AcceptKey>,
        subprotocol: Option<&str>,
    ) -> Self {
        Self { request: Arc::new(request), accept_key, subprotocol: subprotocol.map(Box::from) }
    }

    /// Returns the request. Cloning the [`Arc`] copies nothing.
    #[must_use]
    pub const fn request(&self) -> &Arc<OwnedRequest> {
        &self.request
    }

    /// Returns the subprotocols that the client offers, in the client's order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> + Clone {
        self.request.subprotocols()
    }

    /// Selects the first of `own` (the server's subprotocols, in its order of preference) that the
    /// client offered (RFC 6455 §4.2.2). Names are case-sensitive.
    ///
    /// Returns `None` if the client offered none of them. The response then names no subprotocol.
    pub fn select_subprotocol<P: AsRef<str>>(
        &mut self,
        own: impl IntoIterator<Item = P>,
    ) -> Option<&str> {
        let selected = subprotocols::first_common(self.request.headers(), own);
        self.subprotocol = selected.map(Box::from);
        self.subprotocol()
    }

    /// Returns the selected subprotocol.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the status of the response that accepts the request.
    pub(super) const fn status(&self) -> u16 {
        if self.accept_key.is_some() { 101 } else { 200 }
    }

    /// Accepts the request: appends the 101 to `out`, and opens the connection, whose limits and
    /// intervals are those of `config`. Messages are compressed if [`Config::deflate`] is set and the
    /// client offers it. What the client sent after its request is still in the receive buffer.
    ///
    /// For a request in HTTP/2, use [`accept_response`](Self::accept_response): its response is not
    /// text, and this method appends nothing.
    pub fn accept(self, accept: &Accept, config: &Config, out: &mut BytesMut) -> WebSocket {
        self.open::<false>(accept, config, out)
    }

    /// Appends the response, and opens the connection. See [`Accept::open`].
    #[inline(always)] // so that the connection is not moved
    pub(super) fn open<const LINES: bool>(
        self,
        accept: &Accept,
        config: &Config,
        out: &mut BytesMut,
    ) -> WebSocket {
        let choose = |deflate: &Deflate| {
            deflate.accept_offer(self.request.headers().all("Sec-WebSocket-Extensions"))
        };
        accept.open::<LINES>(self.accept_key.as_ref(), self.subprotocol(), choose, config, out)
    }
}
