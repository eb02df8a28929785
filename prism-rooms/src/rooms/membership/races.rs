//! Every interleaving of joins, leaves, ends and broadcasts, tried by loom.
//!
//! With one shard, because hashes differ from run to run, and loom needs each run to be the same.

use std::{sync::Arc, time::Duration};

use async_channel::Receiver;
use loom::thread;

use super::{Membership, fake_member::FakeMember};
use crate::{
    cluster::{
        node_id::node_id,
        shared::{ClusterHandle, Shared},
    },
    sync::Lock,
};

fn membership() -> Arc<Membership<FakeMember>> {
    Membership::new(1, usize::MAX)
}

#[test]
fn a_join_while_the_last_member_leaves_is_not_lost() {
    loom::model(|| {
        let (membership, ann, ben) = (membership(), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        let join = thread::spawn({
            let (membership, ben) = (membership.clone(), ben.clone());
            move || assert_eq!(membership.join(&ben, "tea"), Ok(true))
        });
        assert!(membership.leave(1, "tea"));
        join.join().unwrap();
        assert_eq!(membership.members("tea"), [2]);
        membership.broadcast(&["tea"], 7);
        assert_eq!((ann.received(), ben.received()), (vec![], vec![7]));
        assert!(membership.leave(2, "tea"));
        assert!(membership.rooms().names().is_empty());
    });
}

#[test]
fn no_room_remains_after_three_members_join_and_leave() {
    with_at_most_four_preemptions(|| {
        let membership = membership();
        let visit = |id| {
            let membership = membership.clone();
            move || {
                let member = FakeMember::new(id);
                assert_eq!(membership.join(&member, "tea"), Ok(true));
                assert!(membership.leave(id, "tea"));
            }
        };
        let threads = [thread::spawn(visit(1)), thread::spawn(visit(2))];
        visit(3)();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(membership.rooms().names().is_empty());
    });
}

#[test]
fn a_member_that_ends_while_it_joins_is_in_no_room() {
    loom::model(|| {
        let (membership, ann) = (membership(), FakeMember::new(1));
        let end = thread::spawn({
            let ann = ann.clone();
            move || ann.end()
        });
        let _ = membership.join(&ann, "tea"); // it may have ended
        end.join().unwrap();
        assert_forgotten(&ann, &membership);
    });
}

/// Only one of the two joins installs the end hook. The other must not join before that is done.
#[test]
fn a_member_ending_during_two_joins_is_in_no_room_after_its_end() {
    with_at_most_four_preemptions(|| {
        let (membership, ann) = (membership(), FakeMember::new(1));
        let join = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || {
                let _ = membership.join(&ann, "tea"); // it may have ended
                let _ = membership.join(&ann, "milk"); // it may have ended
            }
        });
        let end = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || {
                membership.join(&ann, "tea").unwrap();
                ann.end();
                // This is where `on_disconnect` would be called.
                assert!(
                    membership.members("tea").is_empty() && membership.members("milk").is_empty()
                );
            }
        });
        join.join().unwrap();
        end.join().unwrap();
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn leave_hooks_run_once_before_the_end_despite_concurrent_joins() {
    with_at_most_four_preemptions(|| {
        let (membership, ann) = (membership(), FakeMember::new(1));
        let calls = Arc::new(Lock::new(Vec::new()));
        membership.on_leave({
            let calls = calls.clone();
            move |_, rooms, ended| calls.lock().push((rooms.len(), ended))
        });
        let join = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || membership.join(&ann, "tea").is_ok()
        });
        let end = thread::spawn({
            let (membership, ann, calls) = (membership.clone(), ann.clone(), calls.clone());
            move || {
                let joined = membership.join(&ann, "milk").is_ok();
                ann.end();
                // This is where `on_disconnect` would be called.
                (joined, calls.lock().clone())
            }
        });
        let in_tea = join.join().unwrap();
        let (in_milk, calls_before) = end.join().unwrap();
        assert!(in_milk);
        assert_eq!(calls_before, [(1 + usize::from(in_tea), true)]);
        assert_eq!(*calls.lock(), calls_before);
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn either_the_leave_or_the_end_calls_the_hooks_not_both() {
    loom::model(|| {
        let (membership, ann) = (membership(), FakeMember::new(1));
        let calls = Arc::new(Lock::new(0));
        membership.on_leave({
            let (calls, membership) = (calls.clone(), Arc::downgrade(&membership));
            move |_, rooms, _| {
                let membership = membership.upgrade().unwrap();
                assert!(!membership.contains("tea", 1) && membership.members("tea").is_empty());
                *calls.lock() += rooms.len();
            }
        });
        membership.join(&ann, "tea").unwrap();
        let leave = thread::spawn({
            let membership = membership.clone();
            move || membership.leave(1, "tea")
        });
        ann.end();
        leave.join().unwrap();
        assert_eq!(*calls.lock(), 1);
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn all_receive_one_order_and_a_newcomer_its_last_part() {
    with_at_most_four_preemptions(|| {
        let (membership, ann, ben) = (membership(), FakeMember::new(1), FakeMember::new(2));
        let newcomer = FakeMember::new(3);
        membership.join(&ann, "tea").unwrap();
        membership.join(&ben, "tea").unwrap();
        let send = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast(&["tea"], 7)
        });
        let join = thread::spawn({
            let (membership, newcomer) = (membership.clone(), newcomer.clone());
            move || assert_eq!(membership.join(&newcomer, "tea"), Ok(true))
        });
        membership.broadcast(&["tea"], 8);
        send.join().unwrap();
        join.join().unwrap();
        assert_eq!(ann.received().len(), 2);
        assert_eq!(ann.received(), ben.received());
        assert!(
            ann.received().ends_with(&newcomer.received()),
            "{:?} {:?}",
            ann.received(),
            newcomer.received()
        );
    });
}

#[test]
fn messages_to_everyone_have_a_place_in_each_rooms_order() {
    loom::model(|| {
        let (membership, ann, ben) = (membership(), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        membership.join(&ben, "tea").unwrap();
        let send = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast_to_everyone(7)
        });
        let stamp_of_8 = membership.broadcast(&["tea"], 8);
        let stamp_of_7 = send.join().unwrap();
        assert_eq!(ann.received(), if stamp_of_7 < stamp_of_8 { [7, 8] } else { [8, 7] });
        assert_eq!(ann.received(), ben.received());
    });
}

#[test]
fn overlapping_unions_neither_deadlock_nor_deliver_twice() {
    loom::model(|| {
        let (membership, ann, ben) = (membership(), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        membership.join(&ann, "milk").unwrap();
        membership.join(&ben, "milk").unwrap();
        let send = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast(&["tea", "milk"], 7)
        });
        membership.broadcast(&["milk", "tea", "milk"], 8);
        send.join().unwrap();
        assert_eq!(ann.received().len(), 2);
        assert_eq!(ann.received(), ben.received());
    });
}

#[test]
fn a_union_reaches_members_that_stay_while_a_room_is_recreated() {
    loom::model(|| {
        let (membership, ann, ben) = (membership(), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "milk").unwrap();
        membership.join(&ben, "tea").unwrap();
        let rejoin = thread::spawn({
            let (membership, ben) = (membership.clone(), ben.clone());
            move || {
                membership.leave(2, "tea");
                assert_eq!(membership.join(&ben, "tea"), Ok(true));
                membership.broadcast(&["milk", "tea"], 8);
            }
        });
        membership.broadcast(&["milk", "tea"], 7);
        rejoin.join().unwrap();
        assert!(matches!(ann.received()[..], [7, 8] | [8, 7]));
        // Ben was in no room for a moment, and may have missed the other message.
        assert!(ann.received() == ben.received() || ben.received() == [8]);
        assert_eq!(membership.members("tea"), [2]);
    });
}

/// The task of a cluster, which follows the rooms of its node, as far as it is woken.
#[derive(Default)]
struct Follower {
    follows_tea: bool,
}

impl Follower {
    fn run(&mut self, cluster: &Shared, signals: &Receiver<()>) {
        while signals.try_recv().is_ok() {
            let changes = cluster.take_changes();
            if let Some(exists) = changes.rooms.get("tea") {
                self.follows_tea = *exists;
            }
        }
    }
}

fn membership_in_cluster() -> (Arc<Membership<FakeMember>>, Arc<Shared>, Receiver<()>) {
    let (cluster, signals) = Shared::new(node_id(1), || Duration::ZERO);
    let cluster = Arc::new(cluster);
    let handle = Arc::new(ClusterHandle::new(cluster.clone()));
    (Membership::in_cluster(1, usize::MAX, handle), cluster, signals)
}

#[test]
fn a_cluster_follows_exactly_the_rooms_that_exist() {
    with_at_most_four_preemptions(|| {
        let (membership, cluster, signals) = membership_in_cluster();
        let (ann, ben) = (FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        let join = thread::spawn({
            let membership = membership.clone();
            move || membership.join(&ben, "tea").unwrap()
        });
        let follow = thread::spawn({
            let (cluster, signals) = (cluster.clone(), signals.clone());
            move || {
                let mut follower = Follower::default();
                follower.run(&cluster, &signals);
                thread::yield_now();
                follower.run(&cluster, &signals);
                follower
            }
        });
        membership.leave(1, "tea");
        let rejoins = membership.join(&ann, "tea").unwrap();
        membership.leave(1, "tea");
        assert!(rejoins && join.join().unwrap());
        let mut follower = follow.join().unwrap();
        follower.run(&cluster, &signals);
        assert!(follower.follows_tea, "ben is there");
        membership.leave(2, "tea");
        follower.run(&cluster, &signals);
        assert!(!follower.follows_tea, "nobody is there");
    });
}

#[test]
fn a_cluster_follows_no_room_after_all_have_left_at_once() {
    with_at_most_four_preemptions(|| {
        let (membership, cluster, signals) = membership_in_cluster();
        let (ann, ben) = (FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        membership.join(&ben, "tea").unwrap();
        let mut follower = Follower::default();
        let end = thread::spawn(move || ben.end());
        membership.leave(1, "tea");
        follower.run(&cluster, &signals);
        end.join().unwrap();
        follower.run(&cluster, &signals);
        assert!(!follower.follows_tea);
    });
}

/// Tries the interleavings in which a thread is preempted at most four times. That takes a second; all
/// interleavings of three threads would take too long.
fn with_at_most_four_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

fn assert_forgotten(member: &FakeMember, membership: &Arc<Membership<FakeMember>>) {
    membership.broadcast_to_everyone(9);
    assert!(member.received().is_empty());
    assert_eq!(membership.rooms().names().len(), 0);
    assert!(!membership.add(member), "it has ended");
}
