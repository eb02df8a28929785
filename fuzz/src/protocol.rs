//! [`Protocol`]: what a server's protocol alone writes, for comparison with a connection.

use bytes::BytesMut;
use prism_core::{Config, WebSocket};
use prism_driver::{OwnedMessage, PreparedMessage, WhenSlow};

use crate::agreement::Agreement;

/// The protocol of a server. All messages that a connection accepts go to it, in order.
pub struct Protocol(WebSocket);

impl Protocol {
    /// Creates the protocol of a connection that has agreed on this. One that drops its oldest messages does
    /// without takeover.
    pub fn new(agreement: Option<Agreement>, when_slow: WhenSlow) -> Self {
        let protocol = WebSocket::server(&Config::default());
        let Some(agreement) = agreement else { return Self(protocol) };
        let mut params = agreement.answered();
        params.server_no_context_takeover |= when_slow == WhenSlow::DropOldest;
        Self(protocol.with_deflate(agreement.settings(), params))
    }

    /// Returns the frame of the next message.
    ///
    /// # Panics
    /// If the protocol refuses it, which it never does, because it is not told of the end.
    pub fn encode(&mut self, message: &OwnedMessage, prepared: bool) -> Vec<u8> {
        let Self(protocol) = self;
        let mut out = BytesMut::new();
        let sent = if prepared {
            protocol.send_prepared(&PreparedMessage::new(message), &mut out)
        } else {
            protocol.send(message, &mut out)
        };
        sent.expect("it is open");
        out.to_vec()
    }
}
