//! [`Figures`]: what the server's process says of itself, in a line.

use std::{fmt, str::FromStr};

/// At one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// How often `on_connect` has run.
    pub(crate) connected: usize,
    /// How often `on_disconnect` has run.
    pub(crate) disconnected: usize,
    pub(crate) panics: usize,
    /// How many tasks there are.
    pub(crate) tasks: usize,
    pub(crate) descriptors: usize,
    /// How many bytes of memory the process has; and how many of them are in use.
    pub(crate) resident: usize,
    pub(crate) heap: usize,
}

impl Figures {
    /// How many connections a handler has.
    pub(crate) const fn handled(&self) -> usize {
        self.connected.saturating_sub(self.disconnected)
    }

    /// Whether nobody is there, and all has been given back that was not there before anybody came.
    pub(crate) const fn is_as_before(&self, before: &Self) -> bool {
        self.handled() == 0 && self.tasks == before.tasks && self.descriptors == before.descriptors
    }

    pub(crate) fn line(&self) -> String {
        let Self { connected, disconnected, panics, tasks, descriptors, resident, heap } = self;
        format!("{connected} {disconnected} {panics} {tasks} {descriptors} {resident} {heap}")
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Vec<usize> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        let &[connected, disconnected, panics, tasks, descriptors, resident, heap] = &numbers[..]
        else {
            return Err(format!("the server said {line:?}"));
        };
        Ok(Self { connected, disconnected, panics, tasks, descriptors, resident, heap })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connected, tasks, descriptors, resident, heap, .. } = self;
        let handled = self.handled();
        write!(f, "server: {connected} connections so far, {handled} now, {tasks} tasks, ")?;
        write!(f, "{descriptors} descriptors, {} KiB, ", resident >> 10)?;
        write!(f, "{} KiB in use", heap >> 10)
    }
}
