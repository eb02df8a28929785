//! [`ResponseHead`]: the head of a response that another library writes.

use bytes::BytesMut;

use crate::{
    config::Config,
    handshake::{
        http::headers::{Headers, OwnedHeaders},
        server::{
            offer::Offer, owned_offer::OwnedOffer, reply::Reply, switching_protocols::Accept,
        },
    },
    websocket::WebSocket,
};

/// The status and the header fields of a response that another library writes, such as a web
/// framework. Fields that concern only the message's framing are not among them: `Content-Length`,
/// and `Connection: close`.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    status: u16,
    headers: OwnedHeaders,
}

impl ResponseHead {
    /// Takes the lines of a response of ours.
    fn of(status: u16, response: &[u8]) -> Self {
        Self { status, headers: Headers::of(response).into_owned() }
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the header fields.
    #[must_use]
    pub const fn headers(&self) -> Headers<'_> {
        self.headers.as_headers()
    }
}

impl Offer<'_> {
    /// Accepts the request as [`accept`](Self::accept) does, for a library that writes the response
    /// itself: a 101, or for HTTP/2 a 200 (RFC 8441 §5).
    #[must_use]
    pub fn accept_response(self, accept: &Accept, config: &Config) -> (ResponseHead, WebSocket) {
        let (status, mut out) = (self.status(), BytesMut::new());
        let websocket = self.open::<true>(accept, config, &mut out);
        (ResponseHead::of(status, &out), websocket)
    }
}

impl OwnedOffer {
    /// Accepts the request as [`accept`](Self::accept) does, for a library that writes the response
    /// itself: a 101, or for HTTP/2 a 200 (RFC 8441 §5).
    #[must_use]
    pub fn accept_response(self, accept: &Accept, config: &Config) -> (ResponseHead, WebSocket) {
        let (status, mut out) = (self.status(), BytesMut::new());
        let websocket = self.open::<true>(accept, config, &mut out);
        (ResponseHead::of(status, &out), websocket)
    }
}

impl Reply {
    /// Returns the head, for a library that writes the response itself. The body is the
    /// [content](Self::content).
    ///
    /// ```
    /// # use prism_core::Reply;
    /// let head = Reply::new(426).response_head();
    /// assert_eq!(head.status(), 426);
    /// assert_eq!(head.headers().joined("Upgrade").as_deref(), Some("websocket"));
    /// assert_eq!(head.headers().joined("Connection").as_deref(), Some("Upgrade"));
    /// ```
    #[must_use]
    pub fn response_head(&self) -> ResponseHead {
        let mut out = BytesMut::new();
        if self.status() == 426 {
            out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
            out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        }
        self.write_fields(&mut out);
        ResponseHead { status: self.status(), headers: Headers::of_lines(&out).into_owned() }
    }
}
