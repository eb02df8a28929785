//! Seeded simulation of nodes, a server with faults, and clients that come and go, against what was kept.
//!
//! Each record that a client receives follows the one before, and is what was kept at its position. A client that has
//! left receives nothing. In the end, when nothing is lost any more, each client has got as far as the log. Wherever
//! that does not hold, the client has to have been told, and for a reason.
//!
//! Clients join several rooms, from a position on or with the last messages, leave and join again at any moment, and
//! give up. Outboxes are full, sessions end, subscriptions are lost, what is published is lost or repeated, commands
//! are refused, and servers take over that have not got everything. `PRISM_SEED` repeats a seed.

use std::{ops::Range, time::Duration};

use crate::{backplane::history::Keep, seeds::check_seeds};

mod client;
mod happened;
mod joining;
mod members;
mod model;
mod node;
mod world;

use self::{happened::Happened, world::World};

const NODES: usize = 3;
const CLIENTS: usize = 8;
const ROOMS: [&str; 3] = ["tea", "milk", "water"];
const STEPS: usize = 2000;
const KEEP: Keep = Keep { messages: 12, age: Duration::from_secs(60) };

#[test]
fn ten_thousand_clients_that_come_back_have_what_was_kept_or_were_told() {
    check(0..400, 10_000);
}

/// CI runs this.
#[test]
#[ignore = "takes a minute in a release build"]
fn a_million_clients_that_come_back_have_what_was_kept_or_were_told() {
    check(1_000_000..1_040_000, 1_000_000);
}

/// Runs schedules. Asserts that at least `reconnects` clients come back in them.
fn check(seeds: Range<u64>, reconnects: usize) {
    let count = (seeds.end - seeds.start) as usize;
    if let Some(happened) = check_seeds(seeds, run) {
        assert!(happened.reconnects() >= reconnects, "too few: {happened:?}");
        assert!(happened.is_thorough(count), "the schedules are too tame: {happened:?}");
    }
}

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    (0..STEPS).for_each(|_| world.step());
    world.come_to_rest()
}
