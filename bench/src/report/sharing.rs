//! What threads pay for sharing rooms: what the program `rooms` prints.

use std::{fmt, io};

use super::in_memory::printed_by;

/// Its table.
pub(super) struct Sharing(String);

/// Measures, in a process of its own.
///
/// # Errors
/// If that can not be run, or fails.
pub(super) fn sharing() -> io::Result<Sharing> {
    printed_by("rooms").map(Sharing)
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "A thousand rooms of one to ten members (5.5 on average), to which one thread sends \
             messages of 32 B, or two on as many cores. The members' transports take everything, so \
             that there is no kernel in it. Medians and quartiles of 25 rounds of 0.1 s:\n\n{}\n\
             Two threads with nothing in common show what the machine gives. What all rooms share, \
             the turnstile and the counter of stamps, is the difference to two threads that share \
             `Rooms` but no room; what it takes more to speak to the same rooms is the rooms' and \
             members' own memory, which goes from core to core.",
            self.0
        )
    }
}
