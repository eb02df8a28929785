//! [`Offer`]: a request that is a valid opening handshake, to be accepted or refused.

use bytes::BytesMut;

use crate::{
    config::Config,
    deflate::Deflate,
    handshake::{
        accept_key::AcceptKey,
        error::HandshakeError,
        server::{
            owned_offer::OwnedOffer, request::Request, subprotocols, switching_protocols::Accept,
        },
    },
    websocket::WebSocket,
};

/// A request that is a valid opening handshake, to be accepted or refused. It borrows the receive
/// buffer; [`into_owned`](Self::into_owned) copies the offer out of the buffer.
///
/// To refuse it, write a [`Reply`](crate::Reply) instead.
#[derive(Debug)]
pub struct Offer<'a> {
    request: Request<'a>,
    accept_key: Option<AcceptKey>,
    subprotocol: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Checks that the request is a valid opening handshake (RFC 6455 §4.2.1), which can be
    /// accepted. Prism's adapters do this themselves.
    ///
    /// # Errors
    /// If the request is not valid, returns the error for the first rule that it breaks. Send the
    /// [`reply`](HandshakeError::reply) of that error.
    pub fn upgrade(&self) -> Result<Offer<'a>, HandshakeError> {
        let accept_key = self.check_upgrade()?;
        Ok(Offer::new(self.clone(), accept_key))
    }
}

impl<'a> Offer<'a> {
    pub(crate) const fn new(request: Request<'a>, accept_key: Option<AcceptKey>) -> Self {
        Self { request, accept_key, subprotocol: None }
    }

    /// Returns the request.
    #[must_use]
    pub const fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Returns the subprotocols that the client offers, in the client's order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        subprotocols::offered(self.request.headers())
    }

    /// Selects the first of `own` (the server's subprotocols, in its order of preference) that the
    /// client offered (RFC 6455 §4.2.2). Names are case-sensitive.
    ///
    /// Returns `None` if the client offered none of them. The response then names no subprotocol.
    pub fn select_subprotocol<P: AsRef<str>>(
        &mut self,
        own: impl IntoIterator<Item = P>,
    ) -> Option<&'a str> {
        self.subprotocol = subprotocols::first_common(self.request.headers(), own);
        self.subprotocol
    }

    /// Returns the selected subprotocol.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
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
        let choose = |deflate: &Deflate| deflate.accept_offer(self.request.extensions());
        accept.open::<LINES>(self.accept_key.as_ref(), self.subprotocol, choose, config, out)
    }

    /// Copies the request out of the receive buffer, so that the offer can be accepted or refused
    /// later, when the buffer is in use again.
    #[must_use]
    pub fn into_owned(self) -> OwnedOffer {
        OwnedOffer::new(self.request.into_owned(), self.accept_key, self.subprotocol)
    }
}
