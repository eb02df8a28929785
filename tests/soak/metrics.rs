//! [`Metrics`]: the metrics of the server process, which it prints as a line.

use std::{fmt, str::FromStr};

/// The metrics at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// How often `on_connect` has run.
    pub(crate) connected: usize,
    /// How often `on_disconnect` has run.
    pub(crate) disconnected: usize,
    pub(crate) panics: usize,
    pub(crate) tasks: usize,
    pub(crate) descriptors: usize,
    /// The resident memory of the process in bytes.
    pub(crate) resident: usize,
    /// The allocated heap in bytes.
    pub(crate) heap: usize,
}

impl Metrics {
    /// Returns the number of connections that a handler has.
    pub(crate) const fn handled(&self) -> usize {
        self.connected.saturating_sub(self.disconnected)
    }

    /// Returns whether no client is connected and all tasks and descriptors were released.
    pub(crate) const fn is_as_before(&self, before: &Self) -> bool {
        self.handled() == 0 && self.tasks == before.tasks && self.descriptors == before.descriptors
    }

    pub(crate) fn line(&self) -> String {
        let Self { connected, disconnected, panics, tasks, descriptors, resident, heap } = self;
        format!("{connected} {disconnected} {panics} {tasks} {descriptors} {resident} {heap}")
    }
}

impl FromStr for Metrics {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Vec<usize> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        let &[connected, disconnected, panics, tasks, descriptors, resident, heap] = &numbers[..]
        else {
            return Err(format!("the server printed {line:?}"));
        };
        Ok(Self { connected, disconnected, panics, tasks, descriptors, resident, heap })
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connected, tasks, descriptors, resident, heap, .. } = self;
        let handled = self.handled();
        write!(f, "server: {connected} connections so far, {handled} now, {tasks} tasks, ")?;
        write!(f, "{descriptors} descriptors, {} KiB, ", resident >> 10)?;
        write!(f, "{} KiB in use", heap >> 10)
    }
}
