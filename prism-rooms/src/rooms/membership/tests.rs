//! The hall under load, with members that are no connections.

use std::{
    collections::BTreeSet,
    hint,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{Hall, fake_member::Fake};
use crate::{error::JoinError, member_records::Member};

/// How long the other thread may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];

/// Where two threads meet, each time for as short a moment as they can: a barrier that sleeps would
/// let the one go long before the other.
#[derive(Default)]
struct Meeting(AtomicU32);

impl Meeting {
    fn wait(&self) {
        let both = self.0.fetch_add(1, Ordering::AcqRel) / 2 * 2 + 2;
        let began = Instant::now();
        while self.0.load(Ordering::Acquire) < both {
            for _ in 0..1000 {
                hint::spin_loop();
                if self.0.load(Ordering::Acquire) >= both {
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "the other one has failed");
            thread::yield_now(); // it may need this core
        }
    }
}

#[test]
fn ten_thousand_joins_while_the_last_member_leaves_are_not_lost() {
    const REPEATS: u32 = 10_000;
    let (hall, meeting) = (Hall::new(1, usize::MAX), Meeting::default());
    // They take turns at being the one who leaves; how long before, differs.
    let part = |mine: &Fake, mut mine_leaves: bool| {
        for repeat in 0..REPEATS {
            meeting.wait();
            let early = if mine_leaves { repeat % 127 } else { repeat % 31 };
            (0..early).for_each(|_| hint::spin_loop());
            if mine_leaves {
                assert!(hall.leave(mine.id(), "tea"), "repeat {repeat}");
            } else {
                assert_eq!(hall.join(mine, "tea"), Ok(true), "repeat {repeat}");
            }
            meeting.wait();
            let there = hall.members("tea");
            assert_eq!(there.len(), 1, "repeat {repeat}: {there:?}");
            mine_leaves = !mine_leaves;
        }
    };
    let (ann, ben) = (Fake::new(1), Fake::new(2));
    hall.join(&ann, "tea").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| part(&ann, true));
        part(&ben, false);
    });
    hall.leave_all(1);
    hall.leave_all(2);
    assert!(hall.rooms().names().is_empty());
}

#[test]
fn who_is_in_several_rooms_of_a_union_hears_once() {
    let (hall, ann, ben) = (Hall::new(1, usize::MAX), Fake::new(1), Fake::new(2));
    hall.join(&ann, "tea").unwrap();
    hall.join(&ann, "milk").unwrap();
    hall.join(&ben, "milk").unwrap();
    hall.say(&["milk", "tea", "milk", "wine"], 7);
    assert_eq!((ann.heard(), ben.heard()), (vec![7], vec![7]));
}

/// What one thread does with its own members, and what must then be true of them.
struct Actor {
    dice: Rng,
    hall: Arc<Hall<Fake>>,
    members: Vec<(Fake, Option<BTreeSet<&'static str>>)>,
    next_id: u32,
}

impl Actor {
    fn new(number: u32, hall: &Arc<Hall<Fake>>) -> Self {
        let dice = Rng::with_seed(number.into());
        Self { dice, hall: hall.clone(), members: Vec::new(), next_id: number << 16 }
    }

    fn act(&mut self) {
        if self.members.len() < 4 {
            self.members.push((Fake::new(self.next_id), Some(BTreeSet::new())));
            self.next_id += 1;
        }
        let one = self.dice.usize(..self.members.len());
        let (room, what) = (ROOMS[self.dice.usize(..4)], self.dice.u32(..16));
        let (member, model) = &mut self.members[one];
        let Some(rooms) = model else {
            assert_eq!(self.hall.join(member, room), Err(JoinError::Ended));
            self.members.remove(one);
            return;
        };
        match what {
            0 => {
                member.end();
                assert!(self.hall.rooms_of(member.id()).is_empty());
                *model = None;
            }
            1 => {
                let left = self.hall.leave_all(member.id());
                let left: BTreeSet<&str> = left.iter().map(|room| &**room).collect();
                assert_eq!(left, *rooms);
                rooms.clear();
            }
            // They leave more often than they come: rooms vanish all the time.
            2..12 => assert_eq!(self.hall.leave(member.id(), room), rooms.remove(room)),
            12..14 => assert_eq!(self.hall.join(member, room), Ok(rooms.insert(room))),
            14 => {
                self.hall.say_to_everyone(0);
            }
            _ => {
                self.hall.say(&ROOMS[self.dice.usize(..4)..], 0);
            }
        }
    }
}

#[test]
fn whatever_many_threads_do_the_rooms_are_those_of_a_simple_model() {
    const THREADS: usize = 4;
    let hall = Hall::new(2, usize::MAX);
    let (stop, go) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let mut empty = 0;
    thread::scope(|scope| {
        let (sender, models) = std::sync::mpsc::channel();
        for number in 0..THREADS as u32 {
            let (mut actor, sender) = (Actor::new(number, &hall), sender.clone());
            let (stop, go) = (&stop, &go);
            scope.spawn(move || {
                for _ in 0..50 {
                    (0..200).for_each(|_| actor.act());
                    sender.send(actor.members.clone()).unwrap();
                    stop.wait();
                    go.wait();
                }
            });
        }
        for _ in 0..50 {
            stop.wait();
            let members: Vec<_> = models.iter().take(THREADS).flatten().collect();
            for room in ROOMS {
                let in_it = |model: &Option<BTreeSet<&str>>| {
                    model.as_ref().is_some_and(|rooms| rooms.contains(room))
                };
                let inside = members.iter().filter(|(_, model)| in_it(model));
                let mut expected: Vec<u32> = inside.map(|(member, _)| member.id()).collect();
                expected.sort_unstable();
                empty += usize::from(expected.is_empty());
                assert_eq!(hall.members(room), expected);
            }
            go.wait();
        }
    });
    assert!((20..180).contains(&empty), "{empty} of 200 times a room was not there");
}

#[test]
fn all_hear_everything_in_the_order_of_its_stamps_be_it_for_a_room_for_several_or_for_everyone() {
    const EACH: u32 = 1000;
    // Enough of them that two who speak meet.
    let (hall, members) = (Hall::new(2, usize::MAX), (0..64).map(Fake::new).collect::<Vec<_>>());
    for member in &members {
        ROOMS.iter().for_each(|room| assert_eq!(hall.join(member, room), Ok(true)));
    }
    let speak = |number: u32| {
        let mut dice = Rng::with_seed(number.into());
        let say = |word| match dice.u32(..3) {
            0 => (hall.say_to_everyone(word), word),
            1 => (hall.say(&ROOMS, word), word),
            _ => (hall.say(&["tea"], word), word),
        };
        (number * EACH..(number + 1) * EACH).map(say).collect::<Vec<_>>()
    };
    let mut said: Vec<_> = thread::scope(|scope| {
        let threads = [0, 1, 2].map(|number| scope.spawn(move || speak(number)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    said.sort_unstable();
    let words: Vec<u32> = said.iter().map(|(_, word)| *word).collect();
    for member in &members {
        assert!(member.heard() == words, "in another order");
    }
}

#[test]
fn everyone_is_who_is_known_and_not_over() {
    let (hall, ann, ben) = (Hall::new(1, usize::MAX), Fake::new(1), Fake::new(2));
    assert!(hall.add(&ann));
    hall.say_to_everyone(1);
    hall.join(&ben, "tea").unwrap();
    hall.say_to_everyone(2);
    hall.leave(2, "tea"); // in no room, and known all the same
    hall.say_to_everyone(3);
    ann.end();
    hall.say_to_everyone(4);
    assert_eq!((ann.heard(), ben.heard()), (vec![1, 2, 3], vec![2, 3, 4]));
    assert!(hall.member(1).is_none() && hall.member(2).is_some());
}

#[test]
fn members_do_not_keep_the_hall() {
    let (hall, ann) = (Hall::new(1, usize::MAX), Fake::new(1));
    hall.join(&ann, "tea").unwrap();
    let weak = Arc::downgrade(&hall);
    drop(hall);
    assert!(weak.upgrade().is_none());
    ann.end();
}
