//! [`Checks`]: when rooms are read, in case that what was published last was lost.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// After what time each room is read again, at the latest.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(20);
/// How much earlier that may be. Rooms are often created at the same moment, such as after a restart of the node.
const SPREAD: Duration = Duration::from_secs(5);
/// In how many steps of that rooms are read. Each may wake the task.
const STEPS: u32 = 64;

#[derive(Default)]
pub(super) struct Checks {
    /// By when they are due, and by their numbers.
    due: BTreeMap<(Duration, u64), Arc<str>>,
    /// Rooms for which that has to be set.
    unscheduled: Vec<(u64, Arc<str>)>,
}

impl Checks {
    /// Adds a room with a number of its own, which tells it from an earlier one with the same name.
    pub(super) fn add(&mut self, number: u64, room: Arc<str>) {
        self.unscheduled.push((number, room));
    }

    /// Sets when the rooms are due that were added.
    pub(super) fn schedule(&mut self, now: Duration) {
        let unscheduled = self.unscheduled.drain(..);
        self.due.extend(unscheduled.map(|(number, room)| ((due(now, number), number), room)));
    }

    /// Removes the rooms that are due.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<(u64, Arc<str>)> {
        let mut taken = Vec::new();
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, number), room) = first.remove_entry();
            taken.push((number, room));
        }
        taken
    }

    /// Returns when the next room is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }
}

fn due(now: Duration, number: u64) -> Duration {
    let step = (number % u64::from(STEPS)) as u32;
    now + CHECK_INTERVAL - SPREAD / STEPS * step
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use std::time::Duration;

    use super::{CHECK_INTERVAL, Checks, SPREAD};

    #[test]
    fn rooms_that_are_created_together_are_not_read_together() {
        let mut checks = Checks::default();
        (0..50_000).for_each(|number| checks.add(number, "tea".into()));
        checks.schedule(Duration::ZERO);
        assert!(checks.next_due() > Some(CHECK_INTERVAL - SPREAD));
        let mut counts = Vec::new();
        while let Some(due) = checks.next_due() {
            assert!(due <= CHECK_INTERVAL);
            counts.push(checks.take_due(due).len());
        }
        assert_eq!(counts.iter().sum::<usize>(), 50_000);
        assert!(counts.len() <= 64 && counts.iter().all(|count| *count < 1000), "{counts:?}");
    }
}
