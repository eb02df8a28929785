//! Every interleaving of those who join, leave, end and speak, by loom.
//!
//! One shard: which one a name is in is chance, and loom wants to see the same each time.

use std::sync::Arc;

use loom::thread;

use super::{Hall, fake_member::Fake};
use crate::sync::Lock;

const SHARDS: usize = 1;

#[test]
fn a_join_while_the_last_member_leaves_is_not_lost() {
    loom::model(|| {
        let (hall, ann, ben) = (Hall::new(SHARDS, usize::MAX), Fake::new(1), Fake::new(2));
        hall.join(&ann, "tea").unwrap();
        let joins = thread::spawn({
            let (hall, ben) = (hall.clone(), ben.clone());
            move || assert_eq!(hall.join(&ben, "tea"), Ok(true))
        });
        assert!(hall.leave(1, "tea"));
        joins.join().unwrap();
        assert_eq!(hall.members("tea"), [2]);
        hall.say(&["tea"], 7);
        assert_eq!((ann.heard(), ben.heard()), (vec![], vec![7]));
        assert!(hall.leave(2, "tea"));
        assert!(hall.rooms().names().is_empty());
    });
}

#[test]
fn three_come_and_go_and_no_room_is_left() {
    all_but_the_most_torn(|| {
        let hall = Hall::new(SHARDS, usize::MAX);
        let visit = |id| {
            let hall = hall.clone();
            move || {
                let member = Fake::new(id);
                assert_eq!(hall.join(&member, "tea"), Ok(true));
                assert!(hall.leave(id, "tea"));
            }
        };
        let threads = [thread::spawn(visit(1)), thread::spawn(visit(2))];
        visit(3)();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(hall.rooms().names().is_empty());
    });
}

#[test]
fn who_ends_while_it_joins_is_in_no_room() {
    loom::model(|| {
        let (hall, ann) = (Hall::new(SHARDS, usize::MAX), Fake::new(1));
        let ends = thread::spawn({
            let ann = ann.clone();
            move || ann.end()
        });
        let _ = hall.join(&ann, "tea"); // it may be over
        ends.join().unwrap();
        nothing_is_left_of(&ann, &hall);
    });
}

/// Only one of the two hooks the end first: the other must not come in before.
#[test]
fn who_ends_while_two_let_it_in_is_in_no_room_when_its_end_has_been_told() {
    all_but_the_most_torn(|| {
        let (hall, ann) = (Hall::new(SHARDS, usize::MAX), Fake::new(1));
        let joins = thread::spawn({
            let (hall, ann) = (hall.clone(), ann.clone());
            move || {
                let _ = hall.join(&ann, "tea"); // it may be over
                let _ = hall.join(&ann, "milk"); // it may be over
            }
        });
        let ends = thread::spawn({
            let (hall, ann) = (hall.clone(), ann.clone());
            move || {
                hall.join(&ann, "tea").unwrap();
                ann.end();
                // Now `on_disconnect` would be called.
                assert!(hall.members("tea").is_empty() && hall.members("milk").is_empty());
            }
        });
        joins.join().unwrap();
        ends.join().unwrap();
        nothing_is_left_of(&ann, &hall);
    });
}

#[test]
fn a_departure_is_told_once_and_before_the_end_is_over_whoever_let_the_member_in() {
    all_but_the_most_torn(|| {
        let (hall, ann) = (Hall::new(SHARDS, usize::MAX), Fake::new(1));
        let told = Arc::new(Lock::new(Vec::new()));
        hall.on_leave({
            let told = told.clone();
            move |_, rooms, ended| told.lock().push((rooms.len(), ended))
        });
        let joins = thread::spawn({
            let (hall, ann) = (hall.clone(), ann.clone());
            move || hall.join(&ann, "tea").is_ok()
        });
        let ends = thread::spawn({
            let (hall, ann, told) = (hall.clone(), ann.clone(), told.clone());
            move || {
                let joined = hall.join(&ann, "milk").is_ok();
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
        nothing_is_left_of(&ann, &hall);
    });
}

#[test]
fn a_departure_is_told_once_by_whoever_leaves_or_by_the_end() {
    loom::model(|| {
        let (hall, ann) = (Hall::new(SHARDS, usize::MAX), Fake::new(1));
        let told = Arc::new(Lock::new(0));
        hall.on_leave({
            let (told, hall) = (told.clone(), Arc::downgrade(&hall));
            move |_, rooms, _| {
                let hall = hall.upgrade().unwrap();
                assert!(!hall.contains("tea", 1) && hall.members("tea").is_empty());
                *told.lock() += rooms.len();
            }
        });
        hall.join(&ann, "tea").unwrap();
        let leaves = thread::spawn({
            let hall = hall.clone();
            move || hall.leave(1, "tea")
        });
        ann.end();
        leaves.join().unwrap();
        assert_eq!(*told.lock(), 1);
        nothing_is_left_of(&ann, &hall);
    });
}

#[test]
fn all_hear_one_order_and_who_joins_meanwhile_hears_the_end_of_it() {
    all_but_the_most_torn(|| {
        let (hall, ann, ben) = (Hall::new(SHARDS, usize::MAX), Fake::new(1), Fake::new(2));
        let late = Fake::new(3);
        hall.join(&ann, "tea").unwrap();
        hall.join(&ben, "tea").unwrap();
        let speaks = thread::spawn({
            let hall = hall.clone();
            move || hall.say(&["tea"], 7)
        });
        let joins = thread::spawn({
            let (hall, late) = (hall.clone(), late.clone());
            move || assert_eq!(hall.join(&late, "tea"), Ok(true))
        });
        hall.say(&["tea"], 8);
        speaks.join().unwrap();
        joins.join().unwrap();
        assert_eq!(ann.heard().len(), 2);
        assert_eq!(ann.heard(), ben.heard());
        assert!(ann.heard().ends_with(&late.heard()), "{:?} {:?}", ann.heard(), late.heard());
    });
}

#[test]
fn what_is_for_everyone_has_its_place_in_the_order_of_each_room() {
    loom::model(|| {
        let (hall, ann, ben) = (Hall::new(SHARDS, usize::MAX), Fake::new(1), Fake::new(2));
        hall.join(&ann, "tea").unwrap();
        hall.join(&ben, "tea").unwrap();
        let speaks = thread::spawn({
            let hall = hall.clone();
            move || hall.say_to_everyone(7)
        });
        let eight = hall.say(&["tea"], 8);
        let seven = speaks.join().unwrap();
        assert_eq!(ann.heard(), if seven < eight { [7, 8] } else { [8, 7] });
        assert_eq!(ann.heard(), ben.heard());
    });
}

#[test]
fn unions_that_overlap_do_not_wait_for_each_other_and_nobody_hears_twice() {
    loom::model(|| {
        let (hall, ann, ben) = (Hall::new(SHARDS, usize::MAX), Fake::new(1), Fake::new(2));
        hall.join(&ann, "tea").unwrap();
        hall.join(&ann, "milk").unwrap();
        hall.join(&ben, "milk").unwrap();
        let speaks = thread::spawn({
            let hall = hall.clone();
            move || hall.say(&["tea", "milk"], 7)
        });
        hall.say(&["milk", "tea", "milk"], 8);
        speaks.join().unwrap();
        assert_eq!(ann.heard().len(), 2);
        assert_eq!(ann.heard(), ben.heard());
    });
}

#[test]
fn a_union_reaches_who_stays_while_a_room_of_it_vanishes_and_comes_back() {
    loom::model(|| {
        let (hall, ann, ben) = (Hall::new(SHARDS, usize::MAX), Fake::new(1), Fake::new(2));
        hall.join(&ann, "milk").unwrap();
        hall.join(&ben, "tea").unwrap();
        let moves = thread::spawn({
            let (hall, ben) = (hall.clone(), ben.clone());
            move || {
                hall.leave(2, "tea");
                assert_eq!(hall.join(&ben, "tea"), Ok(true));
                hall.say(&["milk", "tea"], 8);
            }
        });
        hall.say(&["milk", "tea"], 7);
        moves.join().unwrap();
        assert!(matches!(ann.heard()[..], [7, 8] | [8, 7]));
        // Ben was out for a moment while the other one spoke.
        assert!(ann.heard() == ben.heard() || ben.heard() == [8]);
        assert_eq!(hall.members("tea"), [2]);
    });
}

/// Three threads have too many interleavings. Those in which at most four times one is interrupted
/// take a second.
fn all_but_the_most_torn(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

fn nothing_is_left_of(member: &Fake, hall: &Arc<Hall<Fake>>) {
    hall.say_to_everyone(9);
    assert!(member.heard().is_empty());
    assert_eq!(hall.rooms().names().len(), 0);
    assert!(!hall.add(member), "it is over");
}
