//! [`Accept`]: the response that accepts an offer, "101 Switching Protocols".

use core::fmt::Write;

use bytes::{BufMut, BytesMut};

use crate::{
    config::Config,
    deflate::Deflate,
    handshake::{
        accept_key::AcceptKey,
        http::header_block::{HeaderBlock, InvalidHeader},
        permessage_deflate::DeflateAnswer,
    },
    websocket::WebSocket,
};

/// An upper bound on the size of a response, in bytes, without its added headers and the name of
/// its subprotocol and extension.
const MAX_FIXED: usize = 160;

/// An upper bound on the size of the line that names the extension, in bytes.
const MAX_EXTENSION: usize = 190;

/// The headers that a server adds to the response that [accepts](crate::Offer::accept) an offer.
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
    /// Creates an empty set of headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header. The same name may be added several times; each has a line of its own.
    ///
    /// # Errors
    /// [`InvalidHeader::Name`] or [`InvalidHeader::Value`] if the header is malformed, and
    /// [`InvalidHeader::Reserved`] if the handshake sets it itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Appends the response, and opens the connection. `choose` answers the offers of compression.
    ///
    /// Without an `accept_key`, in HTTP/2, the response is not text: appends it only if `LINES`, for its
    /// header lines.
    pub(super) fn open<const LINES: bool>(
        &self,
        accept_key: Option<&AcceptKey>,
        subprotocol: Option<&str>,
        choose: impl FnOnce(&Deflate) -> Option<DeflateAnswer>,
        config: &Config,
        out: &mut BytesMut,
    ) -> WebSocket {
        let Some(deflate) = &config.deflate else {
            self.write_response::<LINES>(accept_key, subprotocol, None, out);
            return WebSocket::server(config);
        };
        let answer = choose(deflate);
        self.write_response_with::<LINES>(answer, accept_key, subprotocol, out);
        let websocket = WebSocket::server(config);
        match answer {
            None => websocket,
            Some(answer) => websocket.with_deflate(deflate.clone(), answer.params()),
        }
    }

    // Apart, so that it costs other handshakes nothing.
    #[inline(never)]
    fn write_response_with<const LINES: bool>(
        &self,
        answer: Option<DeflateAnswer>,
        accept_key: Option<&AcceptKey>,
        subprotocol: Option<&str>,
        out: &mut BytesMut,
    ) {
        self.write_response::<LINES>(accept_key, subprotocol, answer, out);
    }

    /// Appends the response (RFC 6455 §4.2.2).
    #[inline(always)] // in most handshakes there is no compression
    fn write_response<const LINES: bool>(
        &self,
        accept_key: Option<&AcceptKey>,
        subprotocol: Option<&str>,
        deflate: Option<DeflateAnswer>,
        out: &mut BytesMut,
    ) {
        let extension = if deflate.is_some() { MAX_EXTENSION } else { 0 };
        let variable = self.fields.as_bytes().len() + subprotocol.map_or(0, str::len);
        out.reserve(MAX_FIXED + extension + variable);
        match accept_key {
            Some(accept_key) => {
                out.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
                out.put_slice(
                    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
                );
                out.put_slice(accept_key.as_bytes());
                out.put_slice(b"\r\n");
            }
            // RFC 8441 §5: "a 2xx status code". Of this line, only the status is used.
            None if LINES => out.put_slice(b"HTTP/1.1 200 OK\r\n"),
            None => return,
        }
        if let Some(subprotocol) = subprotocol {
            out.put_slice(b"Sec-WebSocket-Protocol: ");
            out.put_slice(subprotocol.as_bytes());
            out.put_slice(b"\r\n");
        }
        if let Some(answer) = deflate {
            write!(out, "Sec-WebSocket-Extensions: {answer}\r\n").expect("the output grows");
        }
        out.put_slice(self.fields.as_bytes());
        out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Accept, MAX_FIXED};
    use crate::handshake::accept_key::accept_key;

    #[test]
    fn a_response_with_a_long_subprotocol_grows_the_output_once() {
        let long = "x".repeat(1000);
        for subprotocol in [None, Some("x"), Some(&*long)] {
            for value in ["", &*long] {
                let accept = Accept::new().header("X", value).expect("a valid header");
                let mut out = BytesMut::new();
                accept.write_response::<false>(
                    Some(&accept_key("key")),
                    subprotocol,
                    None,
                    &mut out,
                );
                let variable = "X: \r\n".len() + value.len() + subprotocol.map_or(0, str::len);
                assert_eq!(out.capacity(), MAX_FIXED + variable);
            }
        }
    }
}
