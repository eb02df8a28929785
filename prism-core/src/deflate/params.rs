//! [`DeflateParams`]: what two peers have agreed on (RFC 7692 §7.1).

use core::fmt;

use crate::state::Role;

/// The size of a window, as the base-2 logarithm of its bytes: from 8 (256 bytes) to 15 (32 KiB). A
/// message refers back to the bytes of its window, and no further (RFC 7692 §7.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(Bits);

// An enum, so that what was agreed fits into four bytes, and so does an `Option` of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
enum Bits {
    Eight = 8,
    Nine,
    Ten,
    Eleven,
    Twelve,
    Thirteen,
    Fourteen,
    Fifteen,
}

impl WindowBits {
    /// The smallest window: 256 bytes.
    pub const MIN: Self = Self(Bits::Eight);

    /// The largest window: 32 KiB.
    pub const MAX: Self = Self(Bits::Fifteen);

    /// Returns the window of 2^`bits` bytes; `None` if `bits` is not from 8 to 15.
    ///
    /// ```
    /// use prism_core::deflate::WindowBits;
    ///
    /// assert_eq!(WindowBits::new(15), Some(WindowBits::MAX));
    /// assert_eq!(WindowBits::new(7), None);
    /// ```
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        Some(Self(match bits {
            8 => Bits::Eight,
            9 => Bits::Nine,
            10 => Bits::Ten,
            11 => Bits::Eleven,
            12 => Bits::Twelve,
            13 => Bits::Thirteen,
            14 => Bits::Fourteen,
            15 => Bits::Fifteen,
            _ => return None,
        }))
    }

    /// Returns the number of bits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0 as u8
    }

    /// Returns the window for compressing a message of this length on its own: the largest if the
    /// message fits into this one, because no reference then reaches further; otherwise the [largest of
    /// four](Self::shared) that fits.
    pub(crate) const fn for_message_alone(self, len: usize) -> Self {
        if len <= self.size() { Self::MAX } else { self.shared() }
    }

    /// Returns the largest of four windows that fits into this one. So peers that demand odd windows share
    /// their compressors, and the forms of a message that is sent to all of them.
    pub(crate) const fn shared(self) -> Self {
        Self(match self.0 {
            Bits::Eight => Bits::Eight,
            Bits::Nine | Bits::Ten | Bits::Eleven => Bits::Nine,
            Bits::Twelve | Bits::Thirteen | Bits::Fourteen => Bits::Twelve,
            Bits::Fifteen => Bits::Fifteen,
        })
    }

    /// Returns the size of the window in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        1 << self.get()
    }
}

impl fmt::Debug for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What a client and a server have agreed on for permessage-deflate.
///
/// The default is what an answer without parameters means: context takeover in both directions, with
/// windows of 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeflateParams {
    /// Whether no message of the server refers to its earlier messages (RFC 7692 §7.1.1.1).
    pub server_no_context_takeover: bool,
    /// Whether no message of the client refers to its earlier messages (RFC 7692 §7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The window of the server's messages (RFC 7692 §7.1.2.1).
    pub server_max_window_bits: WindowBits,
    /// The window of the client's messages (RFC 7692 §7.1.2.2).
    pub client_max_window_bits: WindowBits,
}

impl DeflateParams {
    /// Returns the window for the messages of one side, and whether its messages may refer to
    /// earlier ones.
    pub(crate) const fn of_sender(self, sender: Role) -> (WindowBits, bool) {
        match sender {
            Role::Server => (self.server_max_window_bits, !self.server_no_context_takeover),
            Role::Client => (self.client_max_window_bits, !self.client_no_context_takeover),
        }
    }
}

impl Default for DeflateParams {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
        }
    }
}
