//! [`Script`]: the faults of a connection, and where they occur.

use std::time::Duration;

/// The faults that a proxy injects into a connection. Besides, it splits the bytes into chunks and
/// delays some of them, as determined by the seed. A fault occurs after a given number of bytes in
/// its direction.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) seed: u64,
    pub(super) up: Vec<(u64, Fault)>,
    pub(super) down: Vec<(u64, Fault)>,
}

/// A fault that a proxy can inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both directions end. A peer that sends more is reset.
    Cut,
    /// Both directions stall for this long, and then both sides are reset.
    Freeze(Duration),
    /// Only this direction ends: its receiver sees the end, and its sender notices nothing.
    HalfCut,
    /// Both sides are reset.
    Reset,
    /// This direction stalls for this long, and then continues.
    Stall(Duration),
    /// Everything further in this direction is discarded silently.
    Discard,
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Script {
    /// Creates a script without faults.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, up: Vec::new(), down: Vec::new() }
    }

    /// Adds a fault after `at` bytes in a direction.
    #[must_use]
    pub fn with_fault(mut self, direction: Direction, at: u64, fault: Fault) -> Self {
        let faults = match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        };
        faults.push((at, fault));
        faults.sort_by_key(|(at, _)| *at);
        self
    }
}
