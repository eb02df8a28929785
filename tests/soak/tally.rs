//! [`Tally`]: counts the clients, their messages and their failures.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::counting_network::CountGuard;

/// The number of failures that are kept. Further ones add no information.
const MAX_FAILURES: usize = 20;

/// The kind of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A good client that uses Prism.
    Prism,
    /// A good client that uses tungstenite.
    Tungstenite,
    /// A client that reads slowly.
    Slow,
    /// A good client behind a faulty network.
    Faulty,
    /// A misbehaving client.
    Abuser,
}

pub(crate) const KINDS: [Kind; 5] =
    [Kind::Prism, Kind::Tungstenite, Kind::Slow, Kind::Faulty, Kind::Abuser];

#[derive(Default)]
pub(crate) struct Tally {
    /// How many clients of each kind are connected.
    connected: [Arc<AtomicUsize>; KINDS.len()],
    /// How many connections of each kind there have been.
    total: [AtomicU64; KINDS.len()],
    /// How many clients have not finished.
    pub(crate) unfinished: Arc<AtomicUsize>,
    pub(crate) echoes: AtomicU64,
    pub(crate) broadcasts: AtomicU64,
    /// Messages that slow readers have read.
    pub(crate) read: AtomicU64,
    /// Connections that were broken by faults.
    pub(crate) broken: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    /// Counts a connection, until the returned guard is dropped.
    pub(crate) fn connected(&self, kind: Kind) -> CountGuard {
        self.total[kind as usize].fetch_add(1, Relaxed);
        CountGuard::new(self.connected[kind as usize].clone())
    }

    /// Records a failure.
    pub(crate) fn report(&self, kind: Kind, what: &str) {
        let mut failures = self.failures.lock().expect("no panic while it is locked");
        if failures.len() < MAX_FAILURES {
            failures.push(format!("{kind:?}: {what}"));
        }
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("no panic while it is locked").clone()
    }

    /// Formats how many connections of each kind there have been.
    pub(crate) fn connection_counts(&self) -> String {
        let counts = KINDS.map(|kind| (kind, self.total[kind as usize].load(Relaxed)));
        counts.map(|(kind, count)| format!("{kind:?} {count}")).join(", ")
    }
}

/// Prints the connected clients and the messages up to now.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in KINDS {
            write!(f, "{kind:?} {}, ", self.connected[kind as usize].load(Relaxed))?;
        }
        let Self { echoes, broadcasts, read, broken, .. } = self;
        let [echoes, broadcasts, read, broken] =
            [echoes, broadcasts, read, broken].map(|it| it.load(Relaxed));
        write!(
            f,
            "echoes {echoes}, broadcasts {broadcasts}, read slowly {read}, broken by faults {broken}"
        )
    }
}
