//! [`Script`]: what is to go wrong with a connection, and where.

use std::time::Duration;

/// What a proxy does to a connection, beside cutting its bytes into pieces and delaying some of
/// these, as the seed says. The places are numbers of bytes that were passed on in that direction.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) seed: u64,
    pub(super) up: Vec<(u64, Fault)>,
    pub(super) down: Vec<(u64, Fault)>,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both ends see the end of the other one's bytes; who goes on sending is reset.
    Cut,
    /// Both directions stand still for so long; then both ends are reset.
    Freeze(Duration),
    /// Only this direction ends: its receiver sees the end, its sender nothing.
    HalfCut,
    /// Both ends are reset.
    Reset,
    /// This direction stands still for so long, and then goes on.
    Stall(Duration),
    /// Nothing comes through any more in this direction, and nobody is told.
    Swallow,
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Script {
    /// Nothing goes wrong so far.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, up: Vec::new(), down: Vec::new() }
    }

    /// And this, when so many bytes have gone that way.
    #[must_use]
    pub fn and(mut self, way: Direction, at: u64, fault: Fault) -> Self {
        let faults = match way {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        };
        faults.push((at, fault));
        faults.sort_by_key(|(at, _)| *at);
        self
    }
}
