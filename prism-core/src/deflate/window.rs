//! [`Window`]: the bytes to which the next message may refer.

use alloc::vec::Vec;

use crate::deflate::params::WindowBits;

/// The last bytes of the compressed messages of one direction, before compression: the LZ77 window of
/// RFC 7692 §7.1.1, as the peer has it. It has no memory before the first message.
#[derive(Debug)]
pub(crate) struct Window {
    bits: WindowBits,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) const fn new(bits: WindowBits) -> Self {
        Self { bits, bytes: Vec::new() }
    }

    pub(crate) const fn bits(&self) -> WindowBits {
        self.bits
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a message, and forgets what no longer fits.
    pub(crate) fn push(&mut self, plain: &[u8]) {
        let size = self.bits.size();
        let plain = &plain[plain.len().saturating_sub(size)..];
        let kept = self.bytes.len().min(size - plain.len());
        self.bytes.drain(..self.bytes.len() - kept);
        let needed = kept + plain.len();
        if self.bytes.capacity() < needed {
            // Doubles, so that growth stays linear, but never takes more than the window.
            let grown = needed.max(2 * self.bytes.capacity()).min(size);
            self.bytes.reserve_exact(grown - kept);
        }
        self.bytes.extend_from_slice(plain);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Window, WindowBits};

    #[test]
    fn the_last_bytes_are_kept_in_no_more_memory() {
        let size = WindowBits::MIN.size();
        for lens in [[1, 1, 1], [200, 56, 0], [200, 57, 300], [256, 1, 255], [0, 1000, 3]] {
            let (mut window, mut all) = (Window::new(WindowBits::MIN), Vec::new());
            for (nth, len) in lens.into_iter().cycle().take(20).enumerate() {
                let message: Vec<_> = (0..len).map(|i| (i + nth * 7) as u8).collect();
                all.extend_from_slice(&message);
                window.push(&message);
                assert_eq!(window.as_bytes(), &all[all.len().saturating_sub(size)..]);
                assert!(window.bytes.capacity() <= size, "{} bytes", window.bytes.capacity());
            }
        }
    }
}
