//! [`TunnelHandshake`]: asks an HTTP proxy for a tunnel to a server, and reads the answer.

use bytes::{BufMut, BytesMut};

use crate::{
    buffer::RecvBuffer,
    config::Config,
    handshake::{
        client::{credentials::BasicCredentials, request::InvalidRequest, response::Response},
        error::HandshakeError,
        http::{head::HeadReader, status_line::parse_status, target::is_authority},
    },
};

/// A request to an HTTP proxy for a tunnel to a server: `CONNECT` (RFC 9110 §9.3.6).
///
/// Once the proxy has opened the tunnel, it forwards bytes in both directions. The handshake of the
/// WebSocket, or first that of TLS, runs over the same transport.
///
/// ```
/// use bytes::BytesMut;
/// use prism_core::{BasicCredentials, Config, RecvBuffer, TunnelHandshake};
///
/// let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
/// let credentials = BasicCredentials::new("Aladdin", "open sesame")?;
/// let config = Config::default();
/// let mut handshake =
///     TunnelHandshake::start(&config, "example.org:443", Some(&credentials), &mut out)?;
/// // Send what is in `out`, then read:
/// input.extend_from_slice(b"HTTP/1.1 200 Connection established\r\n\r\n");
/// let response = handshake.receive(&mut input)?.expect("a whole head");
/// assert!(matches!(response.status(), 200..300));
/// assert!(input.is_empty(), "a server of WebSockets does not speak first");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TunnelHandshake {
    reader: HeadReader,
    /// Every further call returns this error.
    ended: Option<HandshakeError>,
}

impl TunnelHandshake {
    /// Starts a handshake: appends the request to `out`. `authority` is the server's host and port.
    /// The limits in `config` apply to the head of the response.
    ///
    /// # Errors
    /// [`InvalidRequest::Host`] if `authority` is malformed, or lacks the port: "There is no default
    /// port; a client MUST send the port number" (RFC 9110 §9.3.6).
    pub fn start(
        config: &Config,
        authority: &str,
        credentials: Option<&BasicCredentials>,
        out: &mut BytesMut,
    ) -> Result<Self, InvalidRequest> {
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let has_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let has_zone = authority.starts_with('[') && authority.contains('%');
        if !has_port || has_zone || !is_authority(authority.as_bytes()) {
            return Err(InvalidRequest::Host);
        }
        // RFC 9112 §3.2: a client sends a Host that is "identical to that authority component".
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| out.put_slice(part.as_bytes()));
        put(&["CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, "\r\n"]);
        if let Some(credentials) = credentials {
            put(&["Proxy-Authorization: Basic ", credentials.encoded(), "\r\n"]);
        }
        put(&["\r\n"]);
        Ok(Self { reader: HeadReader::new(config), ended: None })
    }

    /// Reads the response up to the end of its head. `None` means that more bytes are needed.
    ///
    /// Interim responses (1xx except 101) are skipped. A status of 2xx means that the tunnel is open,
    /// whatever the headers say about a body (RFC 9110 §9.3.6). What follows the head stays in `input`:
    /// the server's bytes if the tunnel is open, and otherwise the body.
    ///
    /// # Errors
    /// If the head is malformed or exceeds the limits. Each error is returned as soon as it can be
    /// detected. After the response: [`HandshakeError::Finished`].
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Response<'b>>, HandshakeError> {
        if let Some(error) = self.ended {
            return Err(error);
        }
        let found = self.find(input);
        self.ended = match &found {
            Ok(None) => None,
            Ok(Some(_)) => Some(HandshakeError::Finished),
            Err(error) => Some(*error),
        };
        Ok(found?.map(|(status, length)| Response::of(status, input.lend(length), &[])))
    }

    /// Returns the status of the final response, and the length of its head.
    fn find(&mut self, input: &mut RecvBuffer) -> Result<Option<(u16, usize)>, HandshakeError> {
        loop {
            let unparsed = input.unparsed();
            // What is no HTTP is not waited for.
            parse_status(self.reader.within_limit(unparsed))?;
            let Some(length) = self.reader.find_end(unparsed)? else { return Ok(None) };
            match Response::parse(&unparsed[..length])?.status() {
                // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received
                // prior to a final response". The limit holds for all heads together.
                100 | 102..200 => {
                    input.skip(length);
                    self.reader.next_head(length);
                }
                status => return Ok(Some((status, length))),
            }
        }
    }
}
