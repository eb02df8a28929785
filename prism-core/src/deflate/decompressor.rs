//! [`Decompressor`]: what a connection keeps to decompress what it receives.

use alloc::{boxed::Box, sync::Arc};

use crate::{
    buffer::RecvBuffer,
    deflate::{
        codecs::{Codecs, SharedCodecs},
        inflate::inflate_message,
        params::DeflateParams,
        settings::Deflate,
        window::Window,
    },
    error::ProtocolError,
    state::Role,
};

/// The receiving end of a direction whose messages may be compressed.
#[derive(Debug)]
pub(crate) struct Decompressor {
    deflate: Arc<Deflate>,
    /// With context takeover only. Boxed, so that other connections do not hold its memory.
    window: Option<Box<Window>>,
    codecs: CodecsInUse,
}

/// The codecs that decompress.
#[derive(Debug)]
enum CodecsInUse {
    /// Those of this connection, created when they are first needed.
    Own(Option<Box<Codecs>>),
    Shared(SharedCodecs),
}

impl Decompressor {
    pub(crate) fn new(deflate: Arc<Deflate>, params: DeflateParams, sender: Role) -> Self {
        let (bits, takes_over) = params.of_sender(sender);
        let window = takes_over.then(|| Box::new(Window::new(bits)));
        Self { deflate, window, codecs: CodecsInUse::Own(None) }
    }

    pub(crate) fn share_codecs(&mut self, codecs: SharedCodecs) {
        self.codecs = CodecsInUse::Shared(codecs);
    }

    /// Decompresses the message in `input` into the memory behind all received bytes. Returns the
    /// length.
    pub(crate) fn inflate(
        &mut self,
        input: &mut RecvBuffer,
        limit: usize,
    ) -> Result<usize, ProtocolError> {
        let history = self.window.as_ref().map_or(&[][..], |window| window.as_bytes());
        let engine = self.deflate.engine;
        // What counts if the shared codecs are not passed on.
        let mut inflated = Err(ProtocolError::InvalidDeflate);
        let mut inflate = |codecs: &mut Codecs| {
            inflated = inflate_message(input, history, limit, codecs.inflater(engine));
        };
        match &mut self.codecs {
            CodecsInUse::Own(codecs) => inflate(codecs.get_or_insert_default()),
            CodecsInUse::Shared(with_codecs) => with_codecs(&mut inflate),
        }
        let len = inflated?;
        if let Some(window) = &mut self.window {
            window.push(&input.message_and_spare().1[..len]);
        }
        Ok(len)
    }
}

/// Returns the largest payload accepted for a compressed message with at most `limit` bytes of
/// content. What cannot be compressed grows a little.
pub(crate) const fn max_compressed(limit: usize) -> usize {
    limit.saturating_add(limit / 8).saturating_add(64)
}
