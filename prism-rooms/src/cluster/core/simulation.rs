//! The core on virtual time: nodes, a backplane with every fault, and a model of what has to arrive.
//!
//! Each seed is a schedule of 20 s, in which nodes send, follow rooms and leave them, while sessions stall, end, turn
//! deaf or lose a subscription, what is published is lost or repeated, and nodes crash, leave, or are cut off.
//! Meanwhile, people come and go in rooms of presence, and nodes begin to watch them. Then all faults end. After half a
//! minute the nodes have to agree with the model, and each shows the people of all.

use std::{ops::Range, time::Duration};

use fastrand::Rng;

mod backplane;
mod model;
mod node;
mod presence;
mod world;

use self::world::World;
use crate::seeds::check_seeds;

/// The rooms that every node follows from its start. The others are followed now and then.
const STEADY_ROOMS: usize = 2;
const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];

#[test]
fn two_thousand_schedules_match_the_model() {
    check(0..2000);
}

/// CI runs this in a release build.
#[test]
#[ignore = "takes minutes in a debug build"]
fn ten_thousand_schedules_match_the_model() {
    check(1_000_000..1_010_000);
}

#[test]
#[ignore = "takes minutes in a release build"]
fn a_hundred_thousand_schedules_match_the_model() {
    check(1_000_000..1_100_000);
}

fn check(seeds: Range<u64>) {
    let schedules = (seeds.end - seeds.start) as usize;
    if let Some(happened) = check_seeds(seeds, run) {
        assert!(happened.is_thorough(schedules), "the schedules are too tame: {happened:?}");
    }
}

fn run(seed: u64) -> world::Happened {
    let mut world = World::new(Rng::with_seed(seed));
    world.run_until(Duration::from_secs(20), true);
    world.end_faults();
    world.run_until(Duration::from_secs(50), false);
    world.send_last_messages();
    world.run_until(Duration::from_secs(56), false);
    world.check()
}
