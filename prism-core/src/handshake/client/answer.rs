//! [`Answer`]: what a response means to the client: accepted or refused.

use alloc::sync::Arc;

use crate::{
    buffer::RecvBuffer,
    config::Config,
    deflate::{Deflate, DeflateParams},
    frame::mask_keys::MaskKeys,
    handshake::{
        client::response::Response,
        http::{chunked, tokens},
    },
    websocket::WebSocket,
};

/// How much of a refusal's body is kept, in bytes.
pub(crate) const MAX_BODY: usize = 8 << 10;

/// The outcome of a client's handshake: accepted or refused.
#[derive(Debug)]
pub enum Answer<'b> {
    /// The server accepted.
    Accepted(Accepted<'b>),
    /// The server refused: it responded with a status other than 101, so no WebSocket was opened.
    /// The caller decides whether to follow a redirect or to authenticate.
    Refused(Response<'b>),
}

/// A valid 101 response, which opens the connection. It borrows the receive buffer.
#[derive(Debug)]
pub struct Accepted<'b> {
    response: Response<'b>,
    agreed: Option<Agreed>,
}

/// An agreement on compression.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) deflate: Arc<Deflate>,
    pub(crate) params: DeflateParams,
}

impl<'b> Accepted<'b> {
    /// Returns the response.
    #[must_use]
    pub const fn response(&self) -> Response<'b> {
        self.response
    }

    /// Returns the subprotocol that the server selected, which is one of those offered.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&'b str> {
        let agreed = agreed_subprotocols(&self.response).next()?;
        core::str::from_utf8(agreed).ok()
    }

    /// Returns what the server has agreed to for compression; `None` if messages are not compressed.
    #[must_use]
    pub fn deflate_params(&self) -> Option<DeflateParams> {
        self.agreed.as_ref().map(|agreed| agreed.params)
    }

    /// Opens the connection, whose limits and intervals are those of `config`. Messages are compressed
    /// if that was offered and the server has agreed. What the server sent after its response is still
    /// in the receive buffer.
    #[must_use]
    pub fn into_websocket(self, config: &Config, keys: MaskKeys) -> WebSocket {
        let websocket = WebSocket::client(config, keys);
        match self.agreed {
            Some(Agreed { deflate, params }) => websocket.with_deflate(deflate, params),
            None => websocket,
        }
    }
}

/// Returns the subprotocols named in a response. The grammar does not allow an empty header, but
/// some servers send one if they select no subprotocol. It counts as no header.
pub(crate) fn agreed_subprotocols<'b>(
    response: &Response<'b>,
) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    tokens::elements(response.headers().all("Sec-WebSocket-Protocol"))
}

/// A description of the start of the receive buffer, sufficient to lend it as an [`Answer`].
pub(crate) enum Found {
    Accepted { head: usize, agreed: Option<Agreed> },
    Refused { status: u16, head: usize, body: usize, chunked: bool },
}

impl Found {
    /// Creates a refusal whose head is malformed or incomplete.
    pub(crate) const fn bare_refusal(status: u16) -> Self {
        Self::Refused { status, head: 0, body: 0, chunked: false }
    }

    pub(crate) fn lend(self, input: &mut RecvBuffer) -> Answer<'_> {
        match self {
            Self::Accepted { head, agreed } => {
                let response = Response::of(101, input.lend(head), &[]);
                Answer::Accepted(Accepted { response, agreed })
            }
            Self::Refused { status, head, body, chunked } => {
                let (head, body) = input.lend(head + body).split_at_mut(head);
                let length = if chunked { chunked::join(body) } else { body.len() };
                let body = &body[..length.min(MAX_BODY)];
                Answer::Refused(Response::of(status, head, body))
            }
        }
    }
}
