//! [`Compressor`]: what a connection keeps to compress what it sends (RFC 7692 §7.2.1).

use alloc::sync::Arc;

use crate::{
    deflate::{
        codecs::Codecs,
        params::{DeflateParams, WindowBits},
        settings::Deflate,
        window::Window,
    },
    frame::header::OpCode,
    message::Message,
    prepared::PreparedMessage,
    state::Role,
};

/// The compression of what one side of a connection sends, apart from its
/// [`Outbound`](crate::Outbound), so that messages are compressed before any lock around the output is
/// taken.
///
/// A [`WebSocket`](crate::WebSocket) has one if its peer has agreed, and
/// [`split`](crate::WebSocket::split) returns it. Each message goes through it, in the order in which
/// the messages are sent:
///
/// ```
/// # #[cfg(feature = "deflate")] {
/// use std::sync::Arc;
///
/// use bytes::BytesMut;
/// use prism_core::{Config, Message, WebSocket, deflate::{Codecs, Deflate, DeflateParams}};
///
/// let ws = WebSocket::server(&Config::default())
///     .with_deflate(Arc::new(Deflate::default()), DeflateParams::default());
/// let (_, mut outbound, compressor) = ws.split();
/// let (mut compressor, mut codecs) = (compressor.unwrap(), Codecs::new());
///
/// let (text, mut out) = ("so much to say ".repeat(100), BytesMut::new());
/// let message = Message::Text(&text);
/// match compressor.compress(message, &mut codecs) {
///     Some(compressed) => outbound.send_compressed(compressed, &mut out)?,
///     None => outbound.send(message, &mut out)?, // too short, or it would not get shorter
/// }
/// assert!(out.len() < 50);
/// # }
/// # Ok::<(), prism_core::SendError>(())
/// ```
#[derive(Debug)]
pub struct Compressor {
    deflate: Arc<Deflate>,
    bits: WindowBits,
    /// With context takeover only. It may be smaller than agreed.
    window: Option<Window>,
}

impl Compressor {
    /// Creates the compression of what `sender` sends.
    #[must_use]
    pub fn new(deflate: Arc<Deflate>, params: DeflateParams, sender: Role) -> Self {
        let (bits, takes_over) = params.of_sender(sender);
        Self { deflate, bits, window: takes_over.then(|| Window::new(bits.shared())) }
    }

    /// Gives up context takeover, which no peer can demand: no message will refer to an earlier one.
    /// This is for a sender that may drop messages after they have been appended to the output.
    #[must_use]
    pub fn without_takeover(mut self) -> Self {
        self.end_takeover();
        self
    }

    /// Gives up context takeover from now on, as [`without_takeover`](Self::without_takeover) does.
    /// Messages that were compressed before may refer to earlier ones, so none of them may be dropped.
    pub fn end_takeover(&mut self) {
        self.window = None;
    }

    /// Returns whether messages refer to earlier ones, so that this value is necessary to compress
    /// the next one. Otherwise, [`compress_alone`](Self::compress_alone) does the same without
    /// exclusive access.
    #[must_use]
    pub const fn takes_over(&self) -> bool {
        self.window.is_some()
    }

    /// Returns the settings.
    #[must_use]
    pub const fn deflate(&self) -> &Arc<Deflate> {
        &self.deflate
    }

    /// Returns the window that was agreed. Messages may use less of it: those that refer to earlier ones use 256 or
    /// 512 bytes, 4 or 32 KiB, so that connections with other windows share their compressors.
    #[must_use]
    pub const fn window_bits(&self) -> WindowBits {
        self.bits
    }

    /// Compresses a message. Returns `None` if it should be sent as it is, with
    /// [`Outbound::send`](crate::Outbound::send): if it is shorter than the
    /// [threshold](Deflate::threshold), or would not get shorter.
    ///
    /// Nothing has changed until the result is sent. A result that is dropped does no harm.
    pub fn compress<'c>(
        &'c mut self,
        message: Message<'c>,
        codecs: &'c mut Codecs,
    ) -> Option<Compressed<'c>> {
        let plain = message.as_bytes();
        if plain.len() < self.deflate.threshold {
            return None;
        }
        let (bits, history) = match &self.window {
            Some(window) => (window.bits(), window.as_bytes()),
            None => (self.bits.for_message_alone(plain.len()), &[][..]),
        };
        let payload = codecs.compress(&self.deflate, bits, history, plain)?;
        Some(Compressed {
            opcode: OpCode::of(message),
            payload,
            prepared: None,
            commit: self.window.as_mut().map(|window| Commit { window, plain }),
        })
    }

    /// Does the same for a compressor without [takeover](Self::takes_over), which any number of tasks
    /// can share. Returns `None` for every message if there is takeover.
    pub fn compress_alone<'c>(
        &self,
        message: Message<'_>,
        codecs: &'c mut Codecs,
    ) -> Option<Compressed<'c>> {
        let plain = message.as_bytes();
        if self.takes_over() || plain.len() < self.deflate.threshold {
            return None;
        }
        let bits = self.bits.for_message_alone(plain.len());
        let payload = codecs.compress(&self.deflate, bits, &[], plain)?;
        Some(Compressed { opcode: OpCode::of(message), payload, prepared: None, commit: None })
    }

    /// Returns the compressed form of a message that is sent to many connections. It is compressed
    /// once, see [`PreparedMessage::compress`], and refers to no other message. Returns `None` if it
    /// should be sent as it is.
    pub fn compress_prepared<'c>(
        &'c mut self,
        message: &'c PreparedMessage,
        codecs: &mut Codecs,
    ) -> Option<Compressed<'c>> {
        let compressed = self.form_of(message, codecs)?;
        let plain = message.payload();
        let commit = self.window.as_mut().map(|window| Commit { window, plain });
        Some(Compressed { commit, ..compressed })
    }

    /// Does the same for a compressor without [takeover](Self::takes_over), which any number of tasks
    /// can share. Returns `None` for every message if there is takeover.
    pub fn compress_prepared_alone<'c>(
        &self,
        message: &'c PreparedMessage,
        codecs: &mut Codecs,
    ) -> Option<Compressed<'c>> {
        if self.takes_over() { None } else { self.form_of(message, codecs) }
    }

    fn form_of<'c>(
        &self,
        message: &'c PreparedMessage,
        codecs: &mut Codecs,
    ) -> Option<Compressed<'c>> {
        let form = message.compressed(&self.deflate, self.bits, codecs)?;
        let (opcode, payload) = (form.opcode(), form.payload());
        Some(Compressed { opcode, payload, prepared: Some(form), commit: None })
    }
}

/// A compressed message, to be sent with
/// [`Outbound::send_compressed`](crate::Outbound::send_compressed).
///
/// It must be sent on the connection of its [`Compressor`]; another peer cannot read it.
#[derive(Debug)]
pub struct Compressed<'c> {
    opcode: OpCode,
    payload: &'c [u8],
    prepared: Option<&'c PreparedMessage>,
    commit: Option<Commit<'c>>,
}

/// What becomes history when the message is sent.
#[derive(Debug)]
struct Commit<'c> {
    window: &'c mut Window,
    plain: &'c [u8],
}

impl<'c> Compressed<'c> {
    /// Returns the payload of the frame.
    #[must_use]
    pub const fn payload(&self) -> &'c [u8] {
        self.payload
    }

    /// Returns whether later messages may refer to this one, so that it must not be dropped once it is in
    /// the output.
    #[must_use]
    pub const fn takes_over(&self) -> bool {
        self.commit.is_some()
    }

    pub(crate) const fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// Returns the encoded frame, if it is shared with other connections.
    pub(crate) const fn prepared(&self) -> Option<&'c PreparedMessage> {
        self.prepared
    }

    /// Makes the message a part of the history, because its frame is in the output. From now on the
    /// next messages may refer to it.
    pub(crate) fn commit(self) {
        if let Some(Commit { window, plain }) = self.commit {
            window.push(plain);
        }
    }
}
