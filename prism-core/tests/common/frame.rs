//! Frames built by hand (RFC 6455 §5.2): valid ones, and ones with deliberately wrong bits. Nothing
//! here uses the code under test.

use core::fmt;

use prism_core::Role;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub const FIN: u8 = 0x80;

/// The key of [`Frame::masked`], which is that of the RFC's example (§5.7).
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame in which every bit may be wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN, RSV1 to RSV3, and the opcode.
    pub first: u8,
    pub key: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
    /// The length in the header; `None` for the right one in its shortest form.
    pub claim: Option<Claim>,
}

/// A length as it appears in a header, in 16 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Bits16(u16),
    Bits64(u64),
}

impl Frame {
    /// A whole, valid, unmasked frame.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { first: FIN | opcode, key: None, payload: payload.as_ref().into(), claim: None }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    /// The last fragment of a message, unless it is [`unfinished`](Self::unfinished).
    pub fn continuation(payload: impl AsRef<[u8]>) -> Self {
        Self::new(CONTINUATION, payload)
    }

    pub fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PING, payload)
    }

    pub fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
    }

    /// A close frame without a code.
    pub fn empty_close() -> Self {
        Self::new(CLOSE, [])
    }

    /// Clears FIN: more fragments follow.
    pub fn unfinished(mut self) -> Self {
        self.first &= !FIN;
        self
    }

    /// Flips these bits of the first byte.
    pub fn flip(mut self, bits: u8) -> Self {
        self.first ^= bits;
        self
    }

    pub fn masked(self) -> Self {
        self.masked_with(KEY)
    }

    pub fn masked_with(mut self, key: [u8; 4]) -> Self {
        self.key = Some(key);
        self
    }

    /// Masks the frame if `sender` has to (§5.1).
    pub fn from(self, sender: Role) -> Self {
        match sender {
            Role::Client => self.masked(),
            Role::Server => self,
        }
    }

    /// Puts this in place of the length, whatever the payload is.
    pub fn claiming(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    pub fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Returns the code in the payload of a close frame.
    pub fn close_code(&self) -> Option<u16> {
        assert_eq!(self.opcode(), CLOSE, "{self:?} is not a close frame");
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }

    /// Returns the bytes of the header.
    pub fn header(&self) -> Vec<u8> {
        let claim = self.claim.or(match self.payload.len() {
            0..126 => None,
            len @ 126..65_536 => Some(Claim::Bits16(len as u16)),
            len => Some(Claim::Bits64(len as u64)),
        });
        let (short, long) = match claim {
            None => (self.payload.len() as u8, vec![]),
            Some(Claim::Bits16(len)) => (126, len.to_be_bytes().to_vec()),
            Some(Claim::Bits64(len)) => (127, len.to_be_bytes().to_vec()),
        };
        let mask = if self.key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.first, mask | short];
        bytes.extend(long);
        bytes.extend(self.key.iter().flatten());
        bytes
    }

    /// Returns the bytes of the frame.
    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend(masked(&self.payload, self.key.unwrap_or_default()));
        bytes
    }
}

impl fmt::Debug for Frame {
    /// Shortens long payloads, which would bury the message of a failed test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(130)];
        write!(f, "Frame({:#04x}", self.first)?;
        if let Some(key) = self.key {
            write!(f, " key {key:02x?}")?;
        }
        write!(f, " {} bytes {:?}", self.payload.len(), String::from_utf8_lossy(shown))?;
        if let Some(claim) = self.claim {
            write!(f, " {claim:?}")?;
        }
        f.write_str(")")
    }
}

/// Returns the bytes of consecutive frames, masked if `sender` has to.
pub fn encode_all(sender: Role, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.from(sender).encoded()).collect()
}

/// §5.3, in the words of the RFC: octet i is XORed with octet i MOD 4 of the key.
pub fn masked(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
}

/// Parses output into frames. It must consist of whole and valid frames, with their lengths in the
/// shortest form.
pub fn parse(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk().expect("a 16-bit length");
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk().expect("a 64-bit length");
                (u64::from_be_bytes(*len), rest)
            }
            len => (u64::from(len), rest),
        };
        let (key, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk().expect("a mask key");
            (Some(*key), rest)
        };
        let (payload, rest) = rest.split_at_checked(len as usize).expect("the whole payload");
        let payload = masked(payload, key.unwrap_or_default());
        let frame = Frame { first: *first, key, payload, claim: None };
        assert_eq!(frame.encoded(), bytes[..bytes.len() - rest.len()], "in its shortest form");
        frames.push(frame);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a header at the end: {bytes:x?}");
    frames
}

/// Parses the output of `sender`. Each frame must be masked or not as §5.1 requires. The keys are
/// removed.
pub fn sent_by(sender: Role, bytes: &[u8]) -> Vec<Frame> {
    let mut frames = parse(bytes);
    for frame in &mut frames {
        assert_eq!(frame.key.is_some(), sender == Role::Client, "{frame:?} of a {sender:?}");
        frame.key = None;
    }
    frames
}
