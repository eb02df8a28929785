//! [`CloseFilter`]: finds the close frame in a stream of frames (RFC 6455 §5.2).

const CLOSE: u8 = 8;

/// Where the next byte is.
#[derive(Clone, Copy)]
pub(super) enum CloseFilter {
    /// The first byte of a frame.
    Start,
    /// The byte with the mask bit and the length.
    Length,
    /// A byte of an extended length. `left`: how many, with this one.
    Extended { left: usize, length: u64, masked: bool },
    /// A mask key or a payload, of which this many bytes are left.
    Skip(u64),
    /// Within or behind the close frame.
    Closed,
}

impl CloseFilter {
    /// Returns how many of these bytes come before the close frame.
    pub(super) fn passing(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            self.step(*byte);
            if matches!(self, Self::Closed) {
                return at;
            }
        }
        bytes.len()
    }

    fn step(&mut self, byte: u8) {
        *self = match *self {
            Self::Start if byte & 0x0f == CLOSE => Self::Closed,
            Self::Start => Self::Length,
            Self::Length => {
                let masked = byte & 0x80 != 0;
                match byte & 0x7f {
                    126 => Self::Extended { left: 2, length: 0, masked },
                    127 => Self::Extended { left: 8, length: 0, masked },
                    short => Self::payload(short.into(), masked),
                }
            }
            Self::Extended { left, length, masked } => {
                let length = length << 8 | u64::from(byte);
                match left {
                    1 => Self::payload(length, masked),
                    _ => Self::Extended { left: left - 1, length, masked },
                }
            }
            Self::Skip(1) => Self::Start,
            Self::Skip(left) => Self::Skip(left - 1),
            Self::Closed => Self::Closed,
        };
    }

    /// The state before a payload, and before its mask key.
    const fn payload(length: u64, masked: bool) -> Self {
        match length.saturating_add(if masked { 4 } else { 0 }) {
            0 => Self::Start,
            left => Self::Skip(left),
        }
    }
}
