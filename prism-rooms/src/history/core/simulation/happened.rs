//! [`Happened`]: how often something has happened, so that the simulation is known to try it.

use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Happened {
    /// Clients that came back and missed nothing, and those that were told that they do.
    pub(super) whole: usize,
    pub(super) broken: usize,
    /// Messages that were repeated.
    pub(super) repeated: usize,
    /// Messages that new clients were sent.
    pub(super) recent: usize,
    /// Members that were told that they may have missed something.
    pub(super) warned: usize,
    /// Requests to join that ended because the client had left, or because the backplane took too long.
    pub(super) left: usize,
    pub(super) unavailable: usize,
    pub(super) cancelled: usize,
    pub(super) failovers: usize,
    pub(super) unknown: usize,
    pub(super) refused: usize,
}

impl Happened {
    pub(super) const fn reconnects(&self) -> usize {
        self.whole + self.broken
    }

    pub(super) const fn is_thorough(&self, seeds: usize) -> bool {
        self.whole > 15 * seeds
            && self.broken > 5 * seeds
            && self.repeated > 6 * seeds
            && self.recent > 6 * seeds
            && self.warned > seeds
            && self.left > 5 * seeds
            && self.unavailable > seeds
            && self.cancelled > 4 * seeds
            && self.failovers > seeds
            && self.unknown > 3 * seeds
            && self.refused > 3 * seeds
    }
}

impl AddAssign for Happened {
    fn add_assign(&mut self, other: Self) {
        self.whole += other.whole;
        self.broken += other.broken;
        self.repeated += other.repeated;
        self.recent += other.recent;
        self.warned += other.warned;
        self.left += other.left;
        self.unavailable += other.unavailable;
        self.cancelled += other.cancelled;
        self.failovers += other.failovers;
        self.unknown += other.unknown;
        self.refused += other.refused;
    }
}
