//! [`Answer`]: what a server said to a client's request.

use super::{http::chunked, response::Response};
use crate::{buffer::RecvBuffer, config::Config, frame::mask::MaskKeys, websocket::WebSocket};

/// How much of a refusal's body is kept.
pub(super) const MAX_BODY: usize = 8 << 10;

/// What a server said to the request.
#[derive(Debug)]
pub enum Answer<'b> {
    /// It accepted.
    Accepted(Accepted<'b>),
    /// It answered with another status than 101: there is no connection. Whether to follow a
    /// redirection, or to authenticate, is the caller's to decide.
    Refused(Response<'b>),
}

/// A good answer that opens the connection. It borrows the receive buffer.
#[derive(Debug)]
pub struct Accepted<'b> {
    response: Response<'b>,
}

impl<'b> Accepted<'b> {
    /// The answer.
    #[must_use]
    pub const fn response(&self) -> Response<'b> {
        self.response
    }

    /// The subprotocol that the server selected, one of those offered.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&'b str> {
        let agreed = agreed_subprotocols(&self.response).next()?;
        core::str::from_utf8(agreed).ok()
    }

    /// Opens the connection. What the server sent behind its answer is still in the receive buffer.
    #[must_use]
    pub const fn into_websocket(self, config: &Config, keys: MaskKeys) -> WebSocket {
        WebSocket::client(config, keys)
    }
}

/// The subprotocols that an answer names. The grammar has no header without one, but servers send it
/// all the same, where they agree to none: it says no more than no header does.
pub(super) fn agreed_subprotocols<'b>(
    response: &Response<'b>,
) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    response.headers().all("Sec-WebSocket-Protocol").filter(|name| !name.is_empty())
}

/// What the buffer begins with: all that is needed to lend it.
pub(super) enum Found {
    Accepted { head: usize },
    Refused { status: u16, head: usize, body: usize, chunked: bool },
}

impl Found {
    /// A refusal whose head is not good, or was cut off.
    pub(super) const fn bare_refusal(status: u16) -> Self {
        Self::Refused { status, head: 0, body: 0, chunked: false }
    }

    pub(super) fn lend(self, input: &mut RecvBuffer) -> Answer<'_> {
        match self {
            Self::Accepted { head } => {
                let response = Response::of(101, input.lend(head), &[]);
                Answer::Accepted(Accepted { response })
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
