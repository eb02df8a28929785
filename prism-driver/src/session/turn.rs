//! How much a session does before other tasks get a turn.
//!
//! What is left of a session's turn is kept in its [input](crate::session::read_buffer), which has it in common with the
//! parser; without a buffer there is nothing to do. A session that had to wait begins a new turn, for
//! others have had theirs meanwhile. Not every runtime sees to turns by itself, and none knows what a
//! read brings.

/// How much work a turn is, in units of what a fragment costs to parse: about a twentieth of a
/// microsecond. Twenty peers that send as fast as they can then keep another waiting for some
/// milliseconds.
pub(crate) const WORK: u32 = 2048;

/// What an event costs: a call of the handler, and mostly a message that it sends.
pub(crate) const EVENT: u32 = 8;

/// What a read costs: a system call.
const READ: u32 = 64;

/// So many of the bytes that a read brings cost a unit to copy, unmask and check, and to be sent back, as
/// most of what is large is. Tokio looks for I/O only after 61 turns of others, which are to be some
/// milliseconds for messages of a megabyte, too.
const BYTES_PER_UNIT: usize = 128;

/// What it costs to read so many bytes. (No buffer is so large that this could overflow.)
pub(crate) const fn cost_of_read(bytes: usize) -> u32 {
    (bytes / BYTES_PER_UNIT) as u32 + READ
}
