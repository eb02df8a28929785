//! [`grow`]: by how much the memory of a [`RecvBuffer`](crate::RecvBuffer) grows.

use alloc::vec::Vec;

/// Up to this size a buffer doubles when it grows; a larger one grows by a half.
const DOUBLED: usize = 256 << 10;

/// Grows `data` to at least `needed` bytes: by a fraction of its size, so that all growth together
/// stays linear, but by no more than the message needs. (To allocate the whole
/// declared length at once would be to trust the header.)
///
/// `missing` is how many bytes more will end the message; 0 if that is not known.
pub(super) fn grow(data: &mut Vec<u8>, needed: usize, missing: usize) {
    let size = grown(data.len(), needed, missing);
    // By default, a vector doubles.
    data.reserve_exact(size - data.len());
    data.resize(size, 0);
}

fn grown(len: usize, needed: usize, missing: usize) -> usize {
    let grown = if len < DOUBLED { len * 2 } else { len + len / 2 };
    let grown = match missing {
        0 => grown,
        missing => grown.min(needed.saturating_add(missing)),
    };
    grown.max(needed)
}

#[cfg(test)]
mod tests {
    use super::{DOUBLED, grown};
    use crate::buffer::RecvBuffer;

    #[test]
    fn memory_grows_by_a_part_but_by_no_more_than_the_message_needs() {
        const LARGE: usize = DOUBLED;
        for (len, needed, missing, expected) in [
            (0, 100, 0, 100),
            (1000, 1001, 0, 2000),
            (1000, 3000, 0, 3000),
            (LARGE - 2, LARGE, 0, 2 * LARGE - 4),
            (LARGE, LARGE + 1, 0, LARGE + LARGE / 2),
            // With the end of the message in sight.
            (1000, 1001, 9, 1010),
            (1000, 1001, 5000, 2000),
            (1000, 1001, usize::MAX, 2000),
            (1000, 3000, 9, 3000),
        ] {
            assert_eq!(grown(len, needed, missing), expected, "{len}, {needed}, {missing}");
        }
    }

    #[test]
    fn a_million_tiny_fragments_take_the_memory_of_their_payload() {
        let mut buffer = RecvBuffer::new();
        for _ in 0..1_000_000 {
            buffer.extend_from_slice(b"HEADERx");
            buffer.skip(6);
            buffer.join(1);
        }
        assert_eq!(buffer.message().len(), 1_000_000);
        assert!(buffer.capacity() <= 4_000_000, "{} bytes held", buffer.capacity());
    }
}
