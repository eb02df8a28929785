//! [`PreparedMessage`]: encoded once, sent to many connections.

use alloc::{boxed::Box, sync::Arc};
use core::fmt;

use bytes::{Bytes, BytesMut};
use once_cell::race::OnceBox;

use crate::{
    deflate::{codecs::Codecs, params::WindowBits, settings::Deflate},
    frame::header::{Header, OpCode},
    message::Message,
};

/// A message that is already encoded, for any number of connections. Clones share its bytes.
///
/// ```
/// use bytes::BytesMut;
/// # use prism_core::{Config, PreparedMessage, WebSocket};
/// let news = PreparedMessage::new("news");
/// let mut servers = [0, 1, 2].map(|_| WebSocket::server(&Config::default()));
/// for ws in &mut servers {
///     let mut out = BytesMut::new();
///     ws.send_prepared(&news, &mut out)?;
///     assert_eq!(out[..], *b"\x81\x04news");
/// }
/// # Ok::<(), prism_core::SendError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PreparedMessage(Arc<Prepared>);

struct Prepared {
    opcode: OpCode,
    header: usize,
    frame: Bytes,
    /// `None` if it is never compressed.
    forms: Option<OnceBox<CompressedForms>>,
}

/// The message as it is compressed for [each window](WindowBits::for_message_alone). `None` if it should be sent
/// as it is.
type CompressedForms = [OnceBox<Option<PreparedMessage>>; FORMS];

/// More than there are, so that a window's number of bits is an index.
const FORMS: usize = (WindowBits::MAX.get() - WindowBits::MIN.get()) as usize + 1;

impl PreparedMessage {
    /// Encodes a message.
    #[must_use]
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let payload = message.as_bytes();
        Self::encode(Header::whole(OpCode::of(message), None, payload.len()), payload)
    }

    /// Returns the same message, which is never compressed. It shares the bytes. This is for what is
    /// compressed already, and for [secrets](crate::deflate#security).
    ///
    /// ```
    /// # use prism_core::PreparedMessage;
    /// let secret = PreparedMessage::new("the password").plain();
    /// assert_eq!(secret, PreparedMessage::new("the password"));
    /// assert!(secret.is_plain() && secret.is_text());
    /// ```
    #[must_use]
    pub fn plain(self) -> Self {
        let Prepared { opcode, header, ref frame, .. } = *self.0;
        Self(Arc::new(Prepared { opcode, header, frame: frame.clone(), forms: None }))
    }

    /// Returns whether the message is never compressed; see [`plain`](Self::plain).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.forms.is_none()
    }

    /// Returns whether this is a text message; otherwise it is binary.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.0.opcode == OpCode::Text
    }

    fn encode(header: Header, payload: &[u8]) -> Self {
        let mut frame = BytesMut::with_capacity(Header::MAX_LEN + payload.len());
        header.encode(&mut frame);
        let header_len = frame.len();
        frame.extend_from_slice(payload);
        Self(Arc::new(Prepared {
            opcode: header.opcode,
            header: header_len,
            frame: frame.freeze(),
            forms: Some(OnceBox::new()),
        }))
    }

    /// Compresses the message for all connections with a window of about this size, unless it is
    /// compressed for them already. [`Compressor::compress_prepared`](crate::deflate::Compressor::compress_prepared)
    /// does this itself. Call it earlier where a message is sent under a lock.
    ///
    /// The form for a window is kept as long as the message, with the settings of the first call.
    pub fn compress(&self, deflate: &Deflate, bits: WindowBits, codecs: &mut Codecs) {
        self.compressed(deflate, bits, codecs);
    }

    /// Returns the compressed form for a window of this size; `None` if the message should be sent as
    /// it is.
    pub(crate) fn compressed(
        &self,
        deflate: &Deflate,
        bits: WindowBits,
        codecs: &mut Codecs,
    ) -> Option<&Self> {
        let plain = self.payload();
        if plain.len() < deflate.threshold {
            return None;
        }
        let bits = bits.for_message_alone(plain.len());
        let forms = self.0.forms.as_ref()?.get_or_init(Box::default);
        let form = &forms[usize::from(bits.get() - WindowBits::MIN.get())];
        let compress = || Box::new(self.compressed_form(deflate, bits, codecs));
        form.get_or_init(compress).as_ref()
    }

    fn compressed_form(
        &self,
        deflate: &Deflate,
        bits: WindowBits,
        codecs: &mut Codecs,
    ) -> Option<Self> {
        let payload = codecs.compress(deflate, bits, &[], self.payload())?;
        let header = Header::whole(self.0.opcode, None, payload.len()).compressed();
        Some(Self::encode(header, payload))
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header..]
    }

    /// Returns the whole frame as a server sends it, unmasked.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.0.frame
    }

    pub(crate) fn opcode(&self) -> OpCode {
        self.0.opcode
    }
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl Eq for Prepared {}

impl fmt::Debug for PreparedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedMessage")
            .field("opcode", &self.0.opcode)
            .field("payload", &self.payload().escape_ascii())
            .finish_non_exhaustive()
    }
}
