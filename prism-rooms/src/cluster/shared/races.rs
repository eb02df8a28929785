//! Every interleaving of rooms of presence that vanish and come back with what other nodes say about them, tried by
//! loom.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use loom::thread;

use super::{PresenceChanges, Shared};
use crate::{
    cluster::node_id::node_id,
    directory::{Directory, NameObserver, Vacancy},
};

/// A room of presence: whether somebody is here, and whether a person of another node is shown.
#[derive(Default)]
struct Room {
    is_occupied: bool,
    shows_person: bool,
}

impl Vacancy for Room {
    fn is_vacant(&self) -> bool {
        !self.is_occupied
    }
}

/// Tells the cluster of rooms, as a topic does.
struct Observer(Arc<Shared>);

impl Observer {
    fn record(&self, name: &str, exists: bool) {
        let is_open = AtomicBool::new(true);
        let record = |changes: &mut PresenceChanges| changes.exists = Some(exists);
        self.0.record_presence(name.to_owned(), &is_open, record);
    }
}

impl NameObserver for Observer {
    fn appeared(&self, name: &Arc<str>) {
        self.record(name, true);
    }

    fn vanished(&self, name: &Arc<str>) {
        self.record(name, false);
    }
}

struct World {
    shared: Arc<Shared>,
    rooms: Directory<Room>,
}

impl World {
    fn new() -> Arc<Self> {
        let (shared, _signals) = Shared::new(node_id(1), || Duration::ZERO);
        let shared = Arc::new(shared);
        let rooms = Directory::observed(1, Arc::new(Observer(shared.clone())));
        Arc::new(Self { shared, rooms })
    }

    fn enter(&self) {
        self.rooms.with_or_default("tea", |_, room| room.is_occupied = true);
    }

    fn leave(&self) {
        self.rooms.with("tea", |room| room.is_occupied = false);
    }

    /// The other node has one person in the room, who is shown when the room appears.
    fn run_cluster(&self, follows: &mut bool) {
        let changes = self.shared.take_changes();
        if let Some(exists) = changes.presence.get("tea").and_then(|changes| changes.exists) {
            *follows = exists;
            if exists {
                self.show();
            }
        }
    }

    fn show(&self) {
        self.rooms.with("tea", |room| room.shows_person = true);
    }
}

#[test]
fn a_room_that_comes_back_shows_the_people_of_other_nodes() {
    loom::model(|| {
        let world = World::new();
        world.enter();
        let mut follows = false;
        world.run_cluster(&mut follows);
        let members = thread::spawn({
            let world = world.clone();
            move || {
                world.leave();
                world.enter();
            }
        });
        world.show(); // the other node says it again
        world.run_cluster(&mut follows);
        members.join().unwrap();
        world.run_cluster(&mut follows);
        assert!(follows);
        assert_eq!(world.rooms.with("tea", |room| room.shows_person), Some(true));
    });
}

#[test]
fn a_room_that_has_vanished_is_not_followed_whatever_is_shown_meanwhile() {
    loom::model(|| {
        let world = World::new();
        world.enter();
        let members = thread::spawn({
            let world = world.clone();
            move || world.leave()
        });
        let mut follows = false;
        world.run_cluster(&mut follows);
        world.show();
        members.join().unwrap();
        world.run_cluster(&mut follows);
        assert!(!follows);
        assert_eq!(world.rooms.with("tea", |_| ()), None);
    });
}
