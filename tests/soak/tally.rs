//! [`Tally`]: who has come, what was said, and what went wrong.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::counted::Alive;

/// So many complaints are kept; more say no more.
const MOST: usize = 20;

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A good client of Prism's.
    Prism,
    /// A good client of tungstenite's.
    Tungstenite,
    /// One that reads less than it could get.
    Slow,
    /// A good one behind a network that fails.
    Faulty,
    Abuser,
}

pub(crate) const KINDS: [Kind; 5] =
    [Kind::Prism, Kind::Tungstenite, Kind::Slow, Kind::Faulty, Kind::Abuser];

#[derive(Default)]
pub(crate) struct Tally {
    /// How many of each kind are connected.
    here: [Arc<AtomicUsize>; KINDS.len()],
    /// How many of each kind have been.
    came: [AtomicU64; KINDS.len()],
    /// How many have not come to their end.
    pub(crate) busy: Arc<AtomicUsize>,
    pub(crate) echoes: AtomicU64,
    pub(crate) news: AtomicU64,
    /// Messages that slow readers have read.
    pub(crate) read: AtomicU64,
    /// Connections that were broken by faults.
    pub(crate) broken: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

impl Tally {
    /// Somebody is connected, until this is dropped.
    pub(crate) fn comes(&self, kind: Kind) -> Alive {
        self.came[kind as usize].fetch_add(1, Relaxed);
        Alive::new(self.here[kind as usize].clone())
    }

    /// Something is wrong.
    pub(crate) fn complain(&self, kind: Kind, what: &str) {
        let mut complaints = self.complaints.lock().expect("nobody panics in here");
        if complaints.len() < MOST {
            complaints.push(format!("{kind:?}: {what}"));
        }
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().expect("nobody panics in here").clone()
    }

    /// How many connections of each kind there have been.
    pub(crate) fn all_who_came(&self) -> String {
        let counts = KINDS.map(|kind| (kind, self.came[kind as usize].load(Relaxed)));
        counts.map(|(kind, count)| format!("{kind:?} {count}")).join(", ")
    }
}

/// Who is here, and what was said up to now.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in KINDS {
            write!(f, "{kind:?} {}, ", self.here[kind as usize].load(Relaxed))?;
        }
        let Self { echoes, news, read, broken, .. } = self;
        let [echoes, news, read, broken] = [echoes, news, read, broken].map(|it| it.load(Relaxed));
        write!(f, "echoes {echoes}, news {news}, read slowly {read}, broken by faults {broken}")
    }
}
