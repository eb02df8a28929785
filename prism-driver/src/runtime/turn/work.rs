//! How much a session does before other tasks get a turn.
//!
//! The rest of a session's turn is kept in its [read buffer](crate::session::read_buffer), which shares it with the
//! parser; without a buffer there is nothing to do. What a session sends to others is counted here until the session
//! asks for it. A session that has to wait for bytes begins a new turn, because other tasks have theirs meanwhile. Not
//! every runtime enforces turns by itself, and no runtime knows how much a read returns.

use std::cell::Cell;

/// The amount of work in a turn. The unit is the cost of parsing a fragment, about a twentieth of a microsecond. Bytes
/// and messages to others count for less than they cost, because dividing them into more turns costs more. Twenty peers
/// that send as fast as they can keep another waiting for up to ten milliseconds.
pub(crate) const WORK: u32 = 2048;

/// The cost of an event: a call of the handler, and usually a message that it sends.
pub(crate) const EVENT: u32 = 8;

/// The cost of a read: a system call.
const READ: u32 = 64;

/// How many bytes of a read cost one unit: to copy, unmask and check them. A message of 1 MiB, the default limit, fits
/// in one turn. If it took two, all connections that receive such messages would hold half of one at the same time, in
/// more memory than the CPU's cache has, and an echo would take a fifth more CPU time.
const BYTES_PER_UNIT: usize = 640;

/// Work in parts of a unit, for what costs less than one.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts(usize);

const PARTS_PER_UNIT: usize = 128;

/// The cost of the first message of a turn to a connection, which has to be written to.
const DELIVERY: Parts = Parts(4);

/// The cost of a further message, which leaves with the first. All further messages of a turn leave together, so a
/// higher cost would not only divide the work, but add to it: with this one, a turn passes sixteen messages on to ten
/// thousand members of a room.
const FURTHER_DELIVERY: Parts = Parts(1);

/// The cost of compressing a byte.
const COMPRESSED_BYTE: Parts = Parts(16);

thread_local! {
    /// What the session that runs on this thread has sent to others.
    static SENT: Cell<Parts> = const { Cell::new(Parts(0)) };
}

/// Counts a message to a connection that sleeps, or that has no room for it. What a handler sends before it waits for
/// something else is not counted after that: others get a turn meanwhile.
pub(crate) fn count_delivery() {
    count(DELIVERY);
}

/// Counts a message to a connection that sleeps, and to which this turn has sent another one already.
pub(crate) fn count_further_delivery() {
    count(FURTHER_DELIVERY);
}

/// Counts a message that is compressed.
pub(crate) fn count_compressed(bytes: usize) {
    count(Parts(bytes.saturating_mul(COMPRESSED_BYTE.0)));
}

/// Returns the cost of what the session has sent since the last call. Parts of a unit are left for the next call.
#[inline]
pub(crate) fn take_sent() -> u32 {
    let Parts(sent) = SENT.get();
    if sent < PARTS_PER_UNIT {
        return 0;
    }
    SENT.set(Parts(sent % PARTS_PER_UNIT));
    u32::try_from(sent / PARTS_PER_UNIT).unwrap_or(u32::MAX)
}

/// Returns the cost of reading this many bytes. (No buffer is so large that this could overflow.)
pub(crate) const fn cost_of_read(bytes: usize) -> u32 {
    (bytes / BYTES_PER_UNIT) as u32 + READ
}

/// Returns whether what has been sent costs a whole turn.
pub(super) fn is_used_up() -> bool {
    SENT.get().0 >= WORK as usize * PARTS_PER_UNIT
}

pub(super) fn replace(next: Parts) -> Parts {
    SENT.replace(next)
}

#[inline]
fn count(Parts(cost): Parts) {
    let Parts(sent) = SENT.get();
    SENT.set(Parts(sent.saturating_add(cost)));
}

#[cfg(test)]
mod tests {
    use super::{PARTS_PER_UNIT, count_further_delivery, take_sent};

    #[test]
    fn messages_that_cost_less_than_a_unit_are_part_of_the_next_result() {
        let costs = [1, PARTS_PER_UNIT - 2, 1, 3 * PARTS_PER_UNIT - 1, 1].map(|count| {
            (0..count).for_each(|_| count_further_delivery());
            take_sent()
        });
        assert_eq!(costs, [0, 0, 1, 2, 1]);
    }
}
