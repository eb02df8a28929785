//! The core on virtual time: nodes, a backplane with every fault, and a model of what has to arrive.
//!
//! Each seed is a schedule of 20 s, in which nodes send, follow rooms and leave them, while sessions stall, end, turn deaf
//! or lose a subscription, what is published is lost or repeated, and nodes crash, leave, or are cut off. Meanwhile, people
//! come and go in rooms of presence, and nodes begin to watch them. Then all faults end. After half a minute the nodes have
//! to agree with the model, and each shows the people of all.

use std::{
    num::NonZero,
    ops::Range,
    panic,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use fastrand::Rng;

mod backplane;
mod model;
mod node;
mod presence;
mod world;

use self::world::World;

/// The rooms that every node follows from its start. The others are followed now and then.
const STEADY_ROOMS: usize = 2;
const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];

#[test]
fn two_thousand_schedules_match_the_model() {
    match std::env::var("PRISM_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => check(seed..seed + 1),
        Ok(Err(error)) => panic!("PRISM_SEED: {error}"),
        Err(_) => check(0..2000),
    }
}

/// CI runs this in a release build.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_schedules_match_the_model() {
    check(1_000_000..1_100_000);
}

fn check(seeds: Range<u64>) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(seeds.start);
    let check_next = || {
        let mut faults = world::Happened::default();
        while let Some(seed) = Some(next.fetch_add(1, Relaxed)).filter(|seed| seeds.contains(seed))
        {
            match panic::catch_unwind(|| run(seed)) {
                Ok(happened) => faults += happened,
                Err(panic) => {
                    eprintln!("PRISM_SEED={seed}");
                    panic::resume_unwind(panic);
                }
            }
        }
        faults
    };
    let mut faults = world::Happened::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(check_next)).collect();
        for thread in threads {
            faults += thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
    });
    let schedules = (seeds.end - seeds.start) as usize;
    if schedules >= 1000 {
        assert!(faults.is_thorough(schedules), "the schedules are too tame: {faults:?}");
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
