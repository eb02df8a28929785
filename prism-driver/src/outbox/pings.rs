//! [`Pings`]: the application's pings that wait for their pongs.

use std::collections::VecDeque;

/// The maximum number of pings that are kept. A peer may answer only the latest of several (RFC 6455 §5.5.3), so older
/// ones are forgotten.
const MAX: usize = 32;

/// The payloads of the application's pings that wait for their pongs, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Pings(VecDeque<Box<[u8]>>);

impl Pings {
    pub(crate) fn add(&mut self, payload: &[u8]) {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back(payload.into());
    }

    /// Removes the ping that a pong answers, and all earlier ones. Returns whether there was such a ping.
    pub(crate) fn take(&mut self, payload: &[u8]) -> bool {
        let found = self.0.iter().position(|ping| **ping == *payload);
        if let Some(at) = found {
            self.0.drain(..=at);
        }
        found.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX, Pings};

    #[test]
    fn a_pong_answers_its_ping_and_all_earlier_ones() {
        let mut pings = Pings::default();
        [b"a", b"b", b"c"].iter().for_each(|ping| pings.add(*ping));
        assert!(!pings.take(b"x"));
        assert!(pings.take(b"b"));
        assert!(!pings.take(b"a") && !pings.take(b"b"));
        assert!(pings.take(b"c") && pings.is_empty());
    }

    #[test]
    fn the_oldest_pings_are_forgotten() {
        let mut pings = Pings::default();
        (0..=MAX as u8).for_each(|ping| pings.add(&[ping]));
        assert!(!pings.take(&[0]));
        assert!(pings.take(&[1]) && pings.take(&[MAX as u8]));
    }
}
