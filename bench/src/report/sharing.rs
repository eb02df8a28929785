//! What threads pay for sharing rooms: the output of the program `rooms`.

use std::{fmt, io};

use super::in_memory::printed_by;

/// The table of that program.
pub(super) struct Sharing(String);

/// Measures in a separate process.
///
/// # Errors
/// If the program cannot be run, or fails.
pub(super) fn sharing() -> io::Result<Sharing> {
    printed_by("rooms").map(Sharing)
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "A thousand rooms of one to ten members (5.5 on average), to which one thread sends \
             messages of 32 B, or two on two cores. The members' transports accept everything, so \
             that the kernel is not involved. Medians and quartiles of 25 rounds of 0.1 s:\n\n{}\n\
             Two threads that share nothing show what the machine can do. Two threads that share \
             `Rooms`, but no room, also pay for what all rooms share: a lock and the counter of \
             stamps. Two threads that send to the same rooms pay in addition for the memory of rooms \
             and members, which moves from core to core.",
            self.0
        )
    }
}
