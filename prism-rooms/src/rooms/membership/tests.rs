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

use super::{Membership, fake_member::FakeMember};
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
    let (membership, meeting) = (Membership::new(1, usize::MAX), Meeting::default());
    // They take turns at being the one who leaves; how long before, differs.
    let part = |mine: &FakeMember, mut mine_leaves: bool| {
        for repeat in 0..REPEATS {
            meeting.wait();
            let early = if mine_leaves { repeat % 127 } else { repeat % 31 };
            (0..early).for_each(|_| hint::spin_loop());
            if mine_leaves {
                assert!(membership.leave(mine.id(), "tea"), "repeat {repeat}");
            } else {
                assert_eq!(membership.join(mine, "tea"), Ok(true), "repeat {repeat}");
            }
            meeting.wait();
            let there = membership.members("tea");
            assert_eq!(there.len(), 1, "repeat {repeat}: {there:?}");
            mine_leaves = !mine_leaves;
        }
    };
    let (ann, ben) = (FakeMember::new(1), FakeMember::new(2));
    membership.join(&ann, "tea").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| part(&ann, true));
        part(&ben, false);
    });
    membership.leave_all(1);
    membership.leave_all(2);
    assert!(membership.rooms().names().is_empty());
}

#[test]
fn who_is_in_several_rooms_of_a_union_hears_once() {
    let (membership, ann, ben) =
        (Membership::new(1, usize::MAX), FakeMember::new(1), FakeMember::new(2));
    membership.join(&ann, "tea").unwrap();
    membership.join(&ann, "milk").unwrap();
    membership.join(&ben, "milk").unwrap();
    membership.broadcast(&["milk", "tea", "milk", "wine"], 7);
    assert_eq!((ann.received(), ben.received()), (vec![7], vec![7]));
}

/// What one thread does with its own members, and what must then be true of them.
struct Worker {
    rng: Rng,
    membership: Arc<Membership<FakeMember>>,
    members: Vec<(FakeMember, Option<BTreeSet<&'static str>>)>,
    next_id: u32,
}

impl Worker {
    fn new(number: u32, membership: &Arc<Membership<FakeMember>>) -> Self {
        let rng = Rng::with_seed(number.into());
        Self { rng, membership: membership.clone(), members: Vec::new(), next_id: number << 16 }
    }

    fn act(&mut self) {
        if self.members.len() < 4 {
            self.members.push((FakeMember::new(self.next_id), Some(BTreeSet::new())));
            self.next_id += 1;
        }
        let one = self.rng.usize(..self.members.len());
        let (room, what) = (ROOMS[self.rng.usize(..4)], self.rng.u32(..16));
        let (member, model) = &mut self.members[one];
        let Some(rooms) = model else {
            assert_eq!(self.membership.join(member, room), Err(JoinError::Ended));
            self.members.remove(one);
            return;
        };
        match what {
            0 => {
                member.end();
                assert!(self.membership.rooms_of(member.id()).is_empty());
                *model = None;
            }
            1 => {
                let left = self.membership.leave_all(member.id());
                let left: BTreeSet<&str> = left.iter().map(|room| &**room).collect();
                assert_eq!(left, *rooms);
                rooms.clear();
            }
            // They leave more often than they come: rooms vanish all the time.
            2..12 => assert_eq!(self.membership.leave(member.id(), room), rooms.remove(room)),
            12..14 => assert_eq!(self.membership.join(member, room), Ok(rooms.insert(room))),
            14 => {
                self.membership.broadcast_to_everyone(0);
            }
            _ => {
                self.membership.broadcast(&ROOMS[self.rng.usize(..4)..], 0);
            }
        }
    }
}

#[test]
fn whatever_many_threads_do_the_rooms_are_those_of_a_simple_model() {
    const THREADS: usize = 4;
    let membership = Membership::new(2, usize::MAX);
    let (stop, go) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let mut empty = 0;
    thread::scope(|scope| {
        let (sender, models) = std::sync::mpsc::channel();
        for number in 0..THREADS as u32 {
            let (mut worker, sender) = (Worker::new(number, &membership), sender.clone());
            let (stop, go) = (&stop, &go);
            scope.spawn(move || {
                for _ in 0..50 {
                    (0..200).for_each(|_| worker.act());
                    sender.send(worker.members.clone()).unwrap();
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
                assert_eq!(membership.members(room), expected);
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
    let (membership, members) =
        (Membership::new(2, usize::MAX), (0..64).map(FakeMember::new).collect::<Vec<_>>());
    for member in &members {
        ROOMS.iter().for_each(|room| assert_eq!(membership.join(member, room), Ok(true)));
    }
    let send_many = |number: u32| {
        let mut rng = Rng::with_seed(number.into());
        let broadcast = |message| match rng.u32(..3) {
            0 => (membership.broadcast_to_everyone(message), message),
            1 => (membership.broadcast(&ROOMS, message), message),
            _ => (membership.broadcast(&["tea"], message), message),
        };
        (number * EACH..(number + 1) * EACH).map(broadcast).collect::<Vec<_>>()
    };
    let mut sent: Vec<_> = thread::scope(|scope| {
        let threads = [0, 1, 2].map(|number| scope.spawn(move || send_many(number)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    sent.sort_unstable();
    let messages: Vec<u32> = sent.iter().map(|(_, message)| *message).collect();
    for member in &members {
        assert!(member.received() == messages, "in another order");
    }
}

#[test]
fn everyone_is_who_is_known_and_not_over() {
    let (membership, ann, ben) =
        (Membership::new(1, usize::MAX), FakeMember::new(1), FakeMember::new(2));
    assert!(membership.add(&ann));
    membership.broadcast_to_everyone(1);
    membership.join(&ben, "tea").unwrap();
    membership.broadcast_to_everyone(2);
    membership.leave(2, "tea"); // in no room, and known all the same
    membership.broadcast_to_everyone(3);
    ann.end();
    membership.broadcast_to_everyone(4);
    assert_eq!((ann.received(), ben.received()), (vec![1, 2, 3], vec![2, 3, 4]));
    assert!(membership.member(1).is_none() && membership.member(2).is_some());
}

#[test]
fn members_do_not_keep_the_hall() {
    let (membership, ann) = (Membership::new(1, usize::MAX), FakeMember::new(1));
    membership.join(&ann, "tea").unwrap();
    let weak = Arc::downgrade(&membership);
    drop(membership);
    assert!(weak.upgrade().is_none());
    ann.end();
}
