//! [`inflate_message`]: decompresses a message that has arrived completely (RFC 7692 §7.2.2).

use crate::{
    buffer::RecvBuffer,
    deflate::{engine::Inflater, params::WindowBits},
    error::ProtocolError,
};

/// What follows the payload of each message.
///
/// RFC 7692 §7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the
/// message." That completes the empty block with which the payload ends. It is followed by a final
/// block, which is empty: if that can be read, the payload has ended at the end of a block. Otherwise
/// the message is incomplete, which DEFLATE without a final block would not show.
const TRAILER: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// How many final blocks a message may have before its end, besides one for each KiB of its payload.
/// After each, decompression begins again with up to 32 KiB of history. So a limit is necessary for
/// the work to be linear: half a million final blocks fit into a MiB.
const MAX_FINAL_BLOCKS: usize = 32;

/// How many blocks a message may have, besides one for each [`BYTES_PER_BLOCK`] of its content. A block
/// with codes of its own (RFC 1951 §3.2.7) takes up to 1.5 µs, and 24 bytes are enough for that. So without
/// a limit, a message of a MiB without content could take 60 ms.
const MAX_BLOCKS: usize = 4096;

/// Usual blocks have thousands of bytes. But with the least memory, zlib ends a block after 127 literals
/// and references; and a sender may flush after every line of a message, which ends a block, too.
const BYTES_PER_BLOCK: usize = 64;

/// How many short blocks count as one. A sender may flush every few bytes, which makes two short blocks.
const SHORT_BLOCKS: usize = 16;

/// The length in bytes of a block that may have codes of its own. A shorter one takes little time.
const LONG_BLOCK: usize = 11;

/// Decompresses the message in `input` into the memory behind all received bytes, up to `limit` bytes.
/// Returns the length. `history` is what the sender had compressed before, and may refer to.
///
/// Takes time that is linear in the payload and in the result, even if the result exceeds the limit.
pub(super) fn inflate_message(
    input: &mut RecvBuffer,
    history: &[u8],
    limit: usize,
    inflater: &mut dyn Inflater,
) -> Result<usize, ProtocolError> {
    let payload_len = input.message().len();
    if payload_len == 0 {
        // Without even the start of a block, which RFC 7692 §7.2.3.6 requires. It can only mean
        // nothing.
        return Ok(0);
    }
    // One more byte, to see whether the limit is exceeded.
    let most = limit.saturating_add(1);
    input.make_spare(most.min(payload_len.saturating_mul(2)), most);
    input.count_decompression(payload_len, history.len());
    inflater.begin([history, &[]]);
    let (mut read, mut written, mut blocks, mut final_blocks) = (0, 0, 0, 0);
    loop {
        input.grow_spare(written, most);
        let (payload, spare) = input.message_and_spare();
        let room = spare.len().min(most);
        let rest = match payload.get(read..) {
            None | Some([]) => &TRAILER[read - payload.len()..],
            Some(rest) => rest,
        };
        let step = inflater
            .inflate(rest, &mut spare[written..room])
            .map_err(|_| ProtocolError::InvalidDeflate)?;
        read += step.read;
        written += step.written;
        if written > limit {
            return Err(ProtocolError::MessageTooBig(limit));
        }
        // Nearly every step is a block. Few others end where the payload does, or the memory so far.
        blocks += if step.read < LONG_BLOCK { 1 } else { SHORT_BLOCKS };
        if blocks / SHORT_BLOCKS > MAX_BLOCKS + written / BYTES_PER_BLOCK {
            return Err(ProtocolError::TooManyBlocks);
        }
        if step.ended {
            // RFC 7692 §7.2.3.4 has a message whose last block is final, followed by an empty one.
            // The payload may also end with the final block.
            if read == payload_len || read == payload_len + TRAILER.len() {
                return Ok(written);
            }
            final_blocks += 1;
            if final_blocks > MAX_FINAL_BLOCKS + payload_len / 1024 {
                return Err(ProtocolError::TooManyBlocks);
            }
            let window = last_window(history, &spare[..written]);
            let work = window[0].len() + window[1].len();
            inflater.begin(window);
            input.count_decompression(0, work);
        } else if step.read == 0 && step.written == 0 {
            return Err(ProtocolError::InvalidDeflate);
        }
    }
}

/// Returns the last 32 KiB of what precedes the next block.
fn last_window<'a>(history: &'a [u8], message: &'a [u8]) -> [&'a [u8]; 2] {
    const SIZE: usize = WindowBits::MAX.size();
    let newer = &message[message.len().saturating_sub(SIZE)..];
    let older = &history[history.len().saturating_sub(SIZE - newer.len())..];
    [older, newer]
}
