//! Any agreement on compression (RFC 7692 §7.1), and the settings of its two ends.

use std::sync::Arc;

use arbitrary::Arbitrary;
use prism_core::deflate::{Deflate, DeflateParams, WindowBits};

use crate::driver::http::REQUEST;

/// What most browsers offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Returns a request with this offer.
pub fn request() -> String {
    REQUEST.replace("X-Token: abc", &format!("Sec-WebSocket-Extensions: {OFFER}"))
}

/// A description of an agreement, and of how messages are compressed.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Agreement {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
    level: u8,
    memory_level: u8,
    threshold: u8,
}

impl Agreement {
    /// Returns what is agreed.
    pub fn params(self) -> DeflateParams {
        DeflateParams {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: bits(self.server_max_window_bits),
            client_max_window_bits: bits(self.client_max_window_bits),
        }
    }

    /// Returns what a server with these settings agrees on with the client of [`request`].
    pub fn answered(self) -> DeflateParams {
        self.settings().accept_offer([OFFER.as_bytes()]).expect("a valid offer").params()
    }

    /// Returns settings of an end that may lead to this agreement.
    pub fn settings(self) -> Arc<Deflate> {
        let params = self.params();
        let settings = Deflate::default()
            .server_no_context_takeover(params.server_no_context_takeover)
            .client_no_context_takeover(params.client_no_context_takeover)
            .server_max_window_bits(params.server_max_window_bits)
            .client_max_window_bits(Some(params.client_max_window_bits))
            .level(self.level % 12)
            .memory_level(self.memory_level % 12)
            .threshold(self.threshold.into());
        Arc::new(settings)
    }
}

/// Returns one of the eight windows.
pub fn bits(any: u8) -> WindowBits {
    WindowBits::new(8 + any % 8).expect("8 to 15")
}
