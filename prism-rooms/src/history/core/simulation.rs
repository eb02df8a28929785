//! Seeded simulation of nodes, a server with faults, and clients that come and go, against what was kept.
//!
//! Each record that a client receives follows the one before, and is what was kept at its position. In the end, when
//! nothing is lost any more, each client has got as far as the log. Wherever that does not hold, the client has to have
//! been told.

mod node;
mod world;

use self::world::{Counts, World};

#[test]
fn ten_thousand_clients_that_come_back_have_what_was_kept_or_were_told() {
    let mut all = Counts::default();
    for seed in 0..420 {
        World::new(seed).run(&mut all);
    }
    assert!(all.whole + all.broken >= 10_000, "{all:?}");
    // It has tried what it is about.
    assert!(all.whole >= 5_000 && all.broken >= 500, "{all:?}");
    assert!(all.repeated >= 5_000 && all.warned >= 500, "{all:?}");
    assert!(all.failovers >= 500 && all.unknown >= 100, "{all:?}");
}
