//! [`measure`]: the time per message of all libraries, in turn.
//!
//! It measures the thread's CPU time, so that other programs disturb it only through caches and clocks.

use rustix::time::{ClockId, clock_gettime};

use super::{
    item::{ITEMS, Item},
    library::{LIBRARIES, Library},
};
use crate::Spread;

/// What an item costs each library.
#[derive(Clone, Debug)]
pub struct Row {
    /// The item's name.
    pub item: &'static str,
    /// The [`LIBRARIES`] that support the item, in their order.
    pub cells: Vec<Cell>,
}

/// What an item costs one library, in nanoseconds per message.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The library's name.
    pub library: &'static str,
    /// The spread over all rounds.
    pub spread: Spread,
}

/// How long a library runs in one round.
const TURN_NS: f64 = 1e6;

/// Measures all items. Every library runs in each round, so that disturbances of the machine affect all
/// alike. Call [`settle`](super::settle) at the start of the program.
#[must_use]
pub fn measure(rounds: usize) -> Vec<Row> {
    ITEMS.iter().map(|item| measure_item(item, rounds)).collect()
}

fn measure_item(item: &Item, rounds: usize) -> Row {
    let mut turns: Vec<_> =
        LIBRARIES.iter().filter_map(|library| Turns::new(library, item, rounds)).collect();
    for round in 0..rounds {
        let item = item.of_round(round);
        turns.iter_mut().for_each(|turns| turns.take(&item));
    }
    let cells = turns.into_iter().filter_map(|turns| turns.cell(item.messages)).collect();
    Row { item: item.name, cells }
}

struct Turns {
    library: &'static Library,
    /// How many batches fill a turn.
    batches: u32,
    /// Nanoseconds per batch.
    times: Vec<f64>,
}

impl Turns {
    /// Returns `None` if the library does not support the item.
    fn new(library: &'static Library, item: &Item, rounds: usize) -> Option<Self> {
        let mut batch = library.prepare(item)?;
        let began = now_ns();
        let mut batches = 0;
        while now_ns() - began < TURN_NS {
            batch();
            batches += 1;
        }
        Some(Self { library, batches, times: Vec::with_capacity(rounds) })
    }

    fn take(&mut self, item: &Item) {
        // Each round has its own allocations, so that their placement does not decide.
        let mut batch = self.library.prepare(item).expect("the library supports it");
        let warm_up = self.batches / 8;
        (0..warm_up).for_each(|_| batch());
        let began = now_ns();
        for _ in 0..self.batches {
            batch();
        }
        self.times.push((now_ns() - began) / f64::from(self.batches));
    }

    /// Returns `None` if there was no round.
    fn cell(self, messages: usize) -> Option<Cell> {
        let each = self.times.into_iter().map(|time| time / messages as f64).collect();
        Some(Cell { library: self.library.name, spread: Spread::of(each)? })
    }
}

/// Returns the CPU time of this thread.
fn now_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
