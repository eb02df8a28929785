//! The membership under load, with members that are not connections.

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

/// How long to wait for the other thread before the test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

const ROOMS: [&str; 4] = ["tea", "milk", "water", "wine"];

/// A barrier for two threads that spins, so that both continue at nearly the same time. With one that sleeps,
/// one thread would continue long before the other.
#[derive(Default)]
struct SpinBarrier(AtomicU32);

impl SpinBarrier {
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
            assert!(began.elapsed() < TIMEOUT, "the other thread has failed");
            thread::yield_now(); // the other thread may need this core
        }
    }
}

/// The IDs of connections are never used again, so a second member with the same ID shows what is left of the first.
#[test]
fn nothing_is_left_of_a_member_that_has_ended() {
    let membership = Membership::new(1, usize::MAX);
    for _ in 0..2 {
        let member = FakeMember::new(1);
        assert_eq!(membership.join(&member, "tea"), Ok(true));
        member.end();
        assert_eq!(membership.join(&member, "tea"), Err(JoinError::Ended));
    }
}

#[test]
fn joins_while_the_last_member_leaves_are_never_lost() {
    const REPEATS: u32 = 10_000;
    let (membership, barrier) = (Membership::new(1, usize::MAX), SpinBarrier::default());
    // The two take turns at leaving and joining, with varying delays.
    let part = |mine: &FakeMember, mut leaves: bool| {
        for repeat in 0..REPEATS {
            barrier.wait();
            let delay = if leaves { repeat % 127 } else { repeat % 31 };
            (0..delay).for_each(|_| hint::spin_loop());
            if leaves {
                assert!(membership.leave(mine.id(), "tea"), "repeat {repeat}");
            } else {
                assert_eq!(membership.join(mine, "tea"), Ok(true), "repeat {repeat}");
            }
            barrier.wait();
            let members = membership.members("tea");
            assert_eq!(members.len(), 1, "repeat {repeat}: {members:?}");
            leaves = !leaves;
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
fn a_member_of_several_rooms_in_a_union_receives_once() {
    let (membership, ann, ben) =
        (Membership::new(1, usize::MAX), FakeMember::new(1), FakeMember::new(2));
    membership.join(&ann, "tea").unwrap();
    membership.join(&ann, "milk").unwrap();
    membership.join(&ben, "milk").unwrap();
    membership.broadcast(&["milk", "tea", "milk", "wine"], 7);
    assert_eq!((ann.received(), ben.received()), (vec![7], vec![7]));
}

/// A thread's own members, and the rooms that each must be in; `None` if the member has ended.
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
            // Leaves are more frequent than joins, so that rooms vanish all the time.
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
fn rooms_match_a_simple_model_under_concurrent_changes() {
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
                let is_in = |model: &Option<BTreeSet<&str>>| {
                    model.as_ref().is_some_and(|rooms| rooms.contains(room))
                };
                let inside = members.iter().filter(|(_, model)| is_in(model));
                let mut expected: Vec<u32> = inside.map(|(member, _)| member.id()).collect();
                expected.sort_unstable();
                empty += usize::from(expected.is_empty());
                assert_eq!(membership.members(room), expected);
            }
            go.wait();
        }
    });
    assert!((20..180).contains(&empty), "{empty} of 200 times a room did not exist");
}

#[test]
fn every_member_receives_messages_in_the_order_of_their_stamps() {
    const EACH: u32 = 1000;
    // Enough members that broadcasts overlap.
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
fn everyone_is_each_added_member_that_has_not_ended() {
    let (membership, ann, ben) =
        (Membership::new(1, usize::MAX), FakeMember::new(1), FakeMember::new(2));
    assert!(membership.add(&ann));
    membership.broadcast_to_everyone(1);
    membership.join(&ben, "tea").unwrap();
    membership.broadcast_to_everyone(2);
    membership.leave(2, "tea"); // it is in no room, but still among everyone
    membership.broadcast_to_everyone(3);
    ann.end();
    membership.broadcast_to_everyone(4);
    assert_eq!((ann.received(), ben.received()), (vec![1, 2, 3], vec![2, 3, 4]));
    assert!(membership.member(1).is_none() && membership.member(2).is_some());
}

#[test]
fn members_do_not_keep_the_membership_alive() {
    let (membership, ann) = (Membership::new(1, usize::MAX), FakeMember::new(1));
    membership.join(&ann, "tea").unwrap();
    let weak = Arc::downgrade(&membership);
    drop(membership);
    assert!(weak.upgrade().is_none());
    ann.end();
}
