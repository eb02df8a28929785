//! How much a session does before other tasks get a turn.
//!
//! The rest of a session's turn is kept in its [read buffer](crate::session::read_buffer), which shares it with the
//! parser; without a buffer there is nothing to do. A session that has to wait for bytes begins a new turn, because
//! other tasks have theirs meanwhile. Not every runtime enforces turns by itself, and no runtime knows how much a read
//! returns.

use crate::outbox::batch_number::{self, DELIVERIES_PER_TURN};

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

/// How many messages to other connections cost one unit. Each costs more than that, but the more of them a turn sends,
/// the fewer writes they need.
const DELIVERIES_PER_UNIT: usize = DELIVERIES_PER_TURN / WORK as usize;

/// Returns the cost of the messages that the session has sent to other connections since the last call. Messages that
/// cost less than a unit are part of the next result.
#[inline]
pub(crate) fn take_cost_of_deliveries() -> u32 {
    u32::try_from(batch_number::take_deliveries(DELIVERIES_PER_UNIT)).unwrap_or(u32::MAX)
}

/// Returns the cost of reading this many bytes. (No buffer is so large that this could overflow.)
pub(crate) const fn cost_of_read(bytes: usize) -> u32 {
    (bytes / BYTES_PER_UNIT) as u32 + READ
}

#[cfg(test)]
mod tests {
    use super::{DELIVERIES_PER_UNIT, batch_number, take_cost_of_deliveries};

    #[test]
    fn messages_that_cost_less_than_a_unit_are_part_of_the_next_result() {
        let costs = [1, DELIVERIES_PER_UNIT - 2, 1, 3 * DELIVERIES_PER_UNIT - 1, 1].map(|count| {
            (0..count).for_each(|_| batch_number::count_further_delivery());
            take_cost_of_deliveries()
        });
        assert_eq!(costs, [0, 0, 1, 2, 1]);
    }
}
