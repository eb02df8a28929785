//! [`Decompressor`]: what a connection keeps to decompress what it receives.

use alloc::sync::Arc;

use crate::{
    buffer::RecvBuffer,
    deflate::{
        codecs::WithCodecs, inflate::inflate_message, params::DeflateParams, settings::Deflate,
        window::Window,
    },
    error::ProtocolError,
    state::Role,
};

/// The receiving end of a direction whose messages may be compressed.
#[derive(Debug)]
pub(crate) struct Decompressor {
    deflate: Arc<Deflate>,
    /// With context takeover only.
    window: Option<Window>,
}

impl Decompressor {
    pub(crate) fn new(deflate: Arc<Deflate>, params: DeflateParams, sender: Role) -> Self {
        let (bits, takes_over) = params.of_sender(sender);
        Self { deflate, window: takes_over.then(|| Window::new(bits)) }
    }

    /// Decompresses the message in `input` into the memory behind all received bytes. Returns the
    /// length.
    #[inline(never)]
    pub(crate) fn inflate(
        &mut self,
        input: &mut RecvBuffer,
        limit: usize,
        codecs: impl WithCodecs,
    ) -> Result<usize, ProtocolError> {
        let history = self.window.as_ref().map_or(&[][..], Window::as_bytes);
        let engine = self.deflate.engine;
        let len = codecs.with_codecs(|codecs| {
            inflate_message(input, history, limit, codecs.inflater(engine))
        })?;
        if let Some(window) = &mut self.window {
            window.push(&input.message_and_spare().1[..len]);
        }
        Ok(len)
    }
}

/// Returns how long the payload of a compressed message may be whose content has at most `limit`
/// bytes. What cannot be compressed grows a little.
pub(crate) const fn max_compressed(limit: usize) -> usize {
    limit.saturating_add(limit / 8).saturating_add(64)
}
