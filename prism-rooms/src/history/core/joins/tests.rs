//! Which connections share what is read, how long they wait, and what happens when they join again.

use std::{iter, ops::Range, sync::Arc, time::Duration};

use async_channel::{Receiver, TryRecvError};
use bytes::Bytes;

use super::{HistoryCore, MAX_PAGES, MAX_WAIT, Output};
use crate::{
    backplane::{
        command::Command,
        history::{Keep, Page, Read, Reply},
    },
    history::{
        error::HistoryJoinError,
        join_id::JoinId,
        joined::{JoinStep, Progress},
        position::Position,
    },
};

const NOW: Duration = Duration::ZERO;

struct Fixture {
    core: HistoryCore,
    room: Arc<str>,
    number: u64,
}

impl Fixture {
    /// Creates a node that has subscribed to a room, in which 20 messages are known to have been published.
    fn new() -> Self {
        let keep = Keep { messages: 100, age: Duration::from_secs(60) };
        let mut core = HistoryCore::new(keep, 1);
        core.handle_connected();
        let mut fixture = Self { core, room: "tea".into(), number: 0 };
        fixture.publish(20);
        fixture.core.handle_active(&fixture.room.clone());
        let reads = fixture.reads();
        let [check] = &reads[..] else { panic!("the room is read: {reads:?}") };
        fixture.reply(check, 20..21);
        fixture.outputs();
        fixture
    }

    fn publish(&mut self, offset: u64) {
        self.core.handle_published(&self.room, at(offset), Bytes::from_static(b"x"));
    }

    /// Lets a connection join, from a position on.
    fn join(&mut self, member: u128, after: u64) -> (JoinId, Receiver<JoinStep>) {
        self.number += 1;
        let id = JoinId { room: self.room.clone(), member, number: self.number };
        let (answer_to, answer) = async_channel::bounded(1);
        self.core.handle_join(&id, Some(at(after)), answer_to, NOW);
        (id, answer)
    }

    fn reads(&mut self) -> Vec<Read> {
        let commands = iter::from_fn(|| self.core.poll_command());
        let reads = commands.map(|command| match command {
            Command::Read(read) => read,
            other => panic!("{other:?}"),
        });
        reads.collect()
    }

    /// Replies with records of these offsets; the last message is the 20th, or a later one of them.
    fn reply(&mut self, read: &Read, offsets: Range<u64>) {
        let (first, last) = (offsets.start, at(20.max(offsets.end - 1)));
        let records = offsets.map(|_| Bytes::from_static(b"x")).collect();
        self.core.handle_reply(read.ticket, Reply::Page(Page { last, first, records }));
    }

    fn outputs(&mut self) -> Vec<Output> {
        iter::from_fn(|| self.core.poll_output()).collect()
    }

    /// Returns who is given a page after which offset.
    fn given(&mut self) -> Vec<(JoinId, u64, Arc<Page>)> {
        let given = self.outputs().into_iter().map(|output| match output {
            Output::Give { id, after, page } => (id, after.offset(), page),
            other => panic!("{other:?}"),
        });
        given.collect()
    }
}

fn at(offset: u64) -> Position {
    Position::new("a", offset).unwrap()
}

#[test]
fn connections_that_miss_nearly_the_same_share_a_page() {
    let mut fixture = Fixture::new();
    let _answers = [(1, 5), (2, 5), (3, 7), (4, 2)].map(|(member, at)| fixture.join(member, at));
    let reads = fixture.reads();
    let after: Vec<_> = reads.iter().map(|read| read.after.clone()).collect();
    assert_eq!(after, [Some(at(5)), Some(at(2))]);
    fixture.reply(&reads[0], 6..11);
    let given = fixture.given();
    let given: Vec<_> = given.iter().map(|(_, after, _)| *after).collect();
    assert_eq!(given, [5, 5, 7]);
}

#[test]
fn a_connection_that_lacks_little_reads_nothing() {
    let mut fixture = Fixture::new();
    let (slow, _answer) = fixture.join(1, 3);
    assert_eq!(fixture.reads().len(), 1);
    fixture.publish(21);
    assert!(matches!(fixture.outputs()[..], [Output::Deliver { .. }]));
    let _answer = fixture.join(2, 20);
    let outputs = fixture.outputs();
    let [Output::Admit(admission)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((admission.id.member, &admission.position), (2, &at(21)));
    assert_eq!(admission.records.as_ref().unwrap().len(), 1);
    assert_eq!(fixture.reads().len(), 0);
    assert_eq!(fixture.core.joining("tea"), [1, 2]);
    assert!(fixture.core.end_join(&slow).is_some());
}

#[test]
fn an_older_request_of_a_member_that_has_left_fails() {
    let mut fixture = Fixture::new();
    let (older, old_answer) = fixture.join(1, 3);
    let [read] = &fixture.reads()[..] else { panic!("it is read") };
    let (later, answer) = fixture.join(1, 3);
    assert!(matches!(old_answer.try_recv(), Ok(JoinStep::Failed(HistoryJoinError::Left))));
    assert_eq!(fixture.core.joining("tea"), [1]);
    // What was read for the older one is nobody's, and neither is what it does.
    fixture.reply(read, 4..6);
    assert!(fixture.given().is_empty());
    let progress = Some(Progress { at: at(5), is_whole: true });
    fixture.core.handle_continue(&older, progress, NOW);
    assert!(fixture.core.end_join(&older).is_none());
    let [read] = &fixture.reads()[..] else { panic!("it is read again") };
    assert_eq!(read.after, Some(at(3)));
    fixture.reply(read, 4..6);
    let given = fixture.given();
    assert_eq!((&given[0].0, given.len()), (&later, 1));
    assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn who_waits_for_the_backplane_for_too_long_is_given_up() {
    let mut fixture = Fixture::new();
    let (reading, _reading) = fixture.join(1, 3);
    let (sending, _sending) = fixture.join(2, 3);
    let (behind, (answer_to, _behind)) =
        (JoinId { room: "tea".into(), member: 3, number: 9 }, async_channel::bounded(2));
    fixture.core.handle_behind(&behind, at(3), answer_to);
    fixture.core.handle_continue(&behind, None, NOW);
    let [read] = &fixture.reads()[..] else { panic!("it is read") };
    fixture.core.end_join(&reading);
    let (reading, _reading) = fixture.join(1, 1);
    fixture.reply(read, 4..6);
    let given: Vec<_> = fixture.given().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(given, [sending, behind.clone()]);
    fixture.core.handle_continue(&behind, None, NOW);
    fixture.core.handle_timeout(NOW);
    assert_eq!(fixture.core.next_deadline(), Some(MAX_WAIT));
    fixture.core.handle_timeout(MAX_WAIT - Duration::from_nanos(1));
    assert_eq!(fixture.outputs().len(), 0);
    fixture.core.handle_timeout(MAX_WAIT);
    let outputs = fixture.outputs();
    assert!(matches!(&outputs[..], [Output::Expire(id)] if *id == reading), "{outputs:?}");
}

#[test]
fn only_so_many_pages_are_in_hand() {
    let mut fixture = Fixture::new();
    let mut in_hand = Vec::new();
    // Each begins before the others, so that they share nothing.
    for member in 0..4 {
        let _answer = fixture.join(member, 10 - member as u64);
        for read in fixture.reads() {
            let after = read.after.as_ref().unwrap().offset();
            fixture.reply(&read, after + 1..after + 3);
            in_hand.extend(fixture.given().into_iter().map(|(.., page)| page));
        }
    }
    assert_eq!(in_hand.len(), MAX_PAGES);
    in_hand.pop();
    assert_eq!(fixture.reads().len(), 2);
}

#[test]
fn what_members_miss_is_read_before_what_connections_want_that_come_back() {
    let mut fixture = Fixture::new();
    let _answer = fixture.join(1, 3);
    fixture.publish(25);
    let after: Vec<_> = fixture.reads().iter().map(|read| read.after.clone()).collect();
    assert_eq!(after, [Some(at(20)), Some(at(3))]);
}
