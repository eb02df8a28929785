//! Receiving compressed messages (RFC 7692 §6.2).

use alloc::{boxed::Box, sync::Arc};

use crate::{
    buffer::RecvBuffer,
    deflate::{Decompressor, Deflate, DeflateParams, SharedCodecs},
    error::ProtocolError,
    inbound::Inbound,
    message::{Event, Kind},
    state::Role,
};

impl Inbound {
    /// Accepts compressed messages, as agreed in the handshake (RFC 7692).
    #[must_use]
    pub fn with_deflate(self, deflate: Arc<Deflate>, params: DeflateParams) -> Self {
        let sender = if self.expects_mask() { Role::Client } else { Role::Server };
        let decompressor = Box::new(Decompressor::new(deflate, params, sender));
        Self { decompressor: Some(decompressor), ..self }
    }

    /// Decompresses with the codecs that other connections use too, instead of its own, which take
    /// 48 KB. Does nothing without an agreement on compression.
    #[must_use]
    pub fn share_codecs(mut self, codecs: SharedCodecs) -> Self {
        if let Some(decompressor) = &mut self.decompressor {
            decompressor.share_codecs(codecs);
        }
        self
    }

    /// Decompresses the message, and lends it.
    // Apart, so that it costs other messages nothing.
    #[inline(never)]
    pub(super) fn lend_compressed<'b>(
        &mut self,
        kind: Kind,
        input: &'b mut RecvBuffer,
    ) -> Result<Event<'b>, ProtocolError> {
        // Without a decompressor, no header with RSV1 is accepted.
        let decompressor = self.decompressor.as_mut().ok_or(ProtocolError::ReservedBits)?;
        let len = decompressor.inflate(input, self.max_message_size)?;
        // A few bytes can become a message of the largest size.
        input.count_decompression(0, len);
        kind.message(input.lend_spare(len))
    }
}
