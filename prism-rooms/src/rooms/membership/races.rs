//! Every interleaving of those who join, leave, end and speak, by loom.
//!
//! One shard: which one a name is in is chance, and loom wants to see the same each time.

use std::sync::Arc;

use loom::thread;

use super::{Membership, fake_member::FakeMember};
use crate::sync::Lock;

const SHARDS: usize = 1;

#[test]
fn a_join_while_the_last_member_leaves_is_not_lost() {
    loom::model(|| {
        let (membership, ann, ben) =
            (Membership::new(SHARDS, usize::MAX), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        let joins = thread::spawn({
            let (membership, ben) = (membership.clone(), ben.clone());
            move || assert_eq!(membership.join(&ben, "tea"), Ok(true))
        });
        assert!(membership.leave(1, "tea"));
        joins.join().unwrap();
        assert_eq!(membership.members("tea"), [2]);
        membership.broadcast(&["tea"], 7);
        assert_eq!((ann.received(), ben.received()), (vec![], vec![7]));
        assert!(membership.leave(2, "tea"));
        assert!(membership.rooms().names().is_empty());
    });
}

#[test]
fn three_come_and_go_and_no_room_is_left() {
    with_at_most_four_preemptions(|| {
        let membership = Membership::new(SHARDS, usize::MAX);
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
fn who_ends_while_it_joins_is_in_no_room() {
    loom::model(|| {
        let (membership, ann) = (Membership::new(SHARDS, usize::MAX), FakeMember::new(1));
        let ends = thread::spawn({
            let ann = ann.clone();
            move || ann.end()
        });
        let _ = membership.join(&ann, "tea"); // it may be over
        ends.join().unwrap();
        assert_forgotten(&ann, &membership);
    });
}

/// Only one of the two hooks the end first: the other must not come in before.
#[test]
fn who_ends_while_two_let_it_in_is_in_no_room_when_its_end_has_been_told() {
    with_at_most_four_preemptions(|| {
        let (membership, ann) = (Membership::new(SHARDS, usize::MAX), FakeMember::new(1));
        let joins = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || {
                let _ = membership.join(&ann, "tea"); // it may be over
                let _ = membership.join(&ann, "milk"); // it may be over
            }
        });
        let ends = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || {
                membership.join(&ann, "tea").unwrap();
                ann.end();
                // Now `on_disconnect` would be called.
                assert!(
                    membership.members("tea").is_empty() && membership.members("milk").is_empty()
                );
            }
        });
        joins.join().unwrap();
        ends.join().unwrap();
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn a_departure_is_told_once_and_before_the_end_is_over_whoever_let_the_member_in() {
    with_at_most_four_preemptions(|| {
        let (membership, ann) = (Membership::new(SHARDS, usize::MAX), FakeMember::new(1));
        let told = Arc::new(Lock::new(Vec::new()));
        membership.on_leave({
            let told = told.clone();
            move |_, rooms, ended| told.lock().push((rooms.len(), ended))
        });
        let joins = thread::spawn({
            let (membership, ann) = (membership.clone(), ann.clone());
            move || membership.join(&ann, "tea").is_ok()
        });
        let ends = thread::spawn({
            let (membership, ann, told) = (membership.clone(), ann.clone(), told.clone());
            move || {
                let joined = membership.join(&ann, "milk").is_ok();
                ann.end();
                // Now `on_disconnect` would be called.
                (joined, told.lock().clone())
            }
        });
        let in_tea = joins.join().unwrap();
        let (in_milk, told_before) = ends.join().unwrap();
        assert!(in_milk);
        assert_eq!(told_before, [(1 + usize::from(in_tea), true)]);
        assert_eq!(*told.lock(), told_before);
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn a_departure_is_told_once_by_whoever_leaves_or_by_the_end() {
    loom::model(|| {
        let (membership, ann) = (Membership::new(SHARDS, usize::MAX), FakeMember::new(1));
        let told = Arc::new(Lock::new(0));
        membership.on_leave({
            let (told, membership) = (told.clone(), Arc::downgrade(&membership));
            move |_, rooms, _| {
                let membership = membership.upgrade().unwrap();
                assert!(!membership.contains("tea", 1) && membership.members("tea").is_empty());
                *told.lock() += rooms.len();
            }
        });
        membership.join(&ann, "tea").unwrap();
        let leaves = thread::spawn({
            let membership = membership.clone();
            move || membership.leave(1, "tea")
        });
        ann.end();
        leaves.join().unwrap();
        assert_eq!(*told.lock(), 1);
        assert_forgotten(&ann, &membership);
    });
}

#[test]
fn all_hear_one_order_and_who_joins_meanwhile_hears_the_end_of_it() {
    with_at_most_four_preemptions(|| {
        let (membership, ann, ben) =
            (Membership::new(SHARDS, usize::MAX), FakeMember::new(1), FakeMember::new(2));
        let newcomer = FakeMember::new(3);
        membership.join(&ann, "tea").unwrap();
        membership.join(&ben, "tea").unwrap();
        let sends = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast(&["tea"], 7)
        });
        let joins = thread::spawn({
            let (membership, newcomer) = (membership.clone(), newcomer.clone());
            move || assert_eq!(membership.join(&newcomer, "tea"), Ok(true))
        });
        membership.broadcast(&["tea"], 8);
        sends.join().unwrap();
        joins.join().unwrap();
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
fn what_is_for_everyone_has_its_place_in_the_order_of_each_room() {
    loom::model(|| {
        let (membership, ann, ben) =
            (Membership::new(SHARDS, usize::MAX), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        membership.join(&ben, "tea").unwrap();
        let sends = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast_to_everyone(7)
        });
        let eight = membership.broadcast(&["tea"], 8);
        let seven = sends.join().unwrap();
        assert_eq!(ann.received(), if seven < eight { [7, 8] } else { [8, 7] });
        assert_eq!(ann.received(), ben.received());
    });
}

#[test]
fn unions_that_overlap_do_not_wait_for_each_other_and_nobody_hears_twice() {
    loom::model(|| {
        let (membership, ann, ben) =
            (Membership::new(SHARDS, usize::MAX), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "tea").unwrap();
        membership.join(&ann, "milk").unwrap();
        membership.join(&ben, "milk").unwrap();
        let sends = thread::spawn({
            let membership = membership.clone();
            move || membership.broadcast(&["tea", "milk"], 7)
        });
        membership.broadcast(&["milk", "tea", "milk"], 8);
        sends.join().unwrap();
        assert_eq!(ann.received().len(), 2);
        assert_eq!(ann.received(), ben.received());
    });
}

#[test]
fn a_union_reaches_who_stays_while_a_room_of_it_vanishes_and_comes_back() {
    loom::model(|| {
        let (membership, ann, ben) =
            (Membership::new(SHARDS, usize::MAX), FakeMember::new(1), FakeMember::new(2));
        membership.join(&ann, "milk").unwrap();
        membership.join(&ben, "tea").unwrap();
        let moves = thread::spawn({
            let (membership, ben) = (membership.clone(), ben.clone());
            move || {
                membership.leave(2, "tea");
                assert_eq!(membership.join(&ben, "tea"), Ok(true));
                membership.broadcast(&["milk", "tea"], 8);
            }
        });
        membership.broadcast(&["milk", "tea"], 7);
        moves.join().unwrap();
        assert!(matches!(ann.received()[..], [7, 8] | [8, 7]));
        // Ben was out for a moment while the other one spoke.
        assert!(ann.received() == ben.received() || ben.received() == [8]);
        assert_eq!(membership.members("tea"), [2]);
    });
}

/// Three threads have too many interleavings. Those in which at most four times one is interrupted
/// take a second.
fn with_at_most_four_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

fn assert_forgotten(member: &FakeMember, membership: &Arc<Membership<FakeMember>>) {
    membership.broadcast_to_everyone(9);
    assert!(member.received().is_empty());
    assert_eq!(membership.rooms().names().len(), 0);
    assert!(!membership.add(member), "it is over");
}
