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
        start::Start,
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
        self.join_from(member, Start::After(at(after)))
    }

    fn join_from(&mut self, member: u128, start: Start) -> (JoinId, Receiver<JoinStep>) {
        self.number += 1;
        let id = JoinId { room: self.room.clone(), member, number: self.number };
        let (answer_to, answer) = async_channel::bounded(1);
        self.core.handle_join(&id, start, answer_to, NOW);
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

    /// Replies that the room is in a later epoch, where these records are kept, up to the last one.
    fn reply_later(&mut self, read: &Read, offsets: Range<u64>) {
        let last = Position::new("b", offsets.end - 1).unwrap();
        let is_known = read.after.as_ref().is_some_and(|after| after.epoch() == "b");
        let records = if is_known { offsets.clone() } else { 0..0 };
        let records = records.map(|_| Bytes::from_static(b"x")).collect();
        let page = Page { last, first: offsets.start, records };
        self.core.handle_reply(read.ticket, Reply::Page(page));
    }

    fn outputs(&mut self) -> Vec<Output> {
        iter::from_fn(|| self.core.poll_output()).collect()
    }

    /// Returns the only read.
    fn read(&mut self) -> Read {
        let mut reads = self.reads();
        assert_eq!(reads.len(), 1, "{reads:?}");
        reads.remove(0)
    }

    /// Returns how many records a connection that is admitted has been sent, if nothing is missing.
    fn admitted(&mut self) -> Option<u64> {
        let outputs = self.outputs();
        let [Output::Admit(admission)] = &outputs[..] else { panic!("{outputs:?}") };
        admission.records.as_ref().map(|_| admission.repeated)
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
fn a_connection_does_not_wait_long_while_the_backplane_is_away() {
    let seconds = Duration::from_secs;
    let mut fixture = Fixture::new();
    let (early, _early) = fixture.join(1, 3);
    assert_eq!(fixture.core.next_deadline(), Some(MAX_WAIT));
    fixture.core.handle_session_ended();
    fixture.core.handle_timeout(seconds(4));
    assert_eq!(fixture.core.next_deadline(), Some(seconds(5)));
    fixture.core.handle_timeout(seconds(5));
    let outputs = fixture.outputs();
    assert!(matches!(&outputs[..], [Output::Expire(id)] if *id == early), "{outputs:?}");
    fixture.core.end_join(&early);

    // Another one comes in the outage. When that is over, it waits for as long as others.
    let late = JoinId { number: 7, ..early };
    let (answer_to, _late) = async_channel::bounded(1);
    fixture.core.handle_join(&late, Start::After(at(3)), answer_to, seconds(7));
    assert_eq!(fixture.core.next_deadline(), Some(seconds(8)));
    fixture.core.handle_connected();
    assert_eq!(fixture.core.next_deadline(), Some(seconds(7) + MAX_WAIT));
    fixture.core.handle_session_ended();
    fixture.core.handle_timeout(Duration::from_millis(16_500));
    assert_eq!(fixture.core.next_deadline(), Some(seconds(7) + MAX_WAIT), "not longer");
    fixture.core.handle_timeout(seconds(7) + MAX_WAIT);
    let outputs = fixture.outputs();
    assert!(matches!(&outputs[..], [Output::Expire(id)] if *id == late), "{outputs:?}");
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

#[test]
fn new_connections_are_sent_the_last_messages_and_share_a_page() {
    let mut fixture = Fixture::new();
    let _answers = [3, 2, 5].map(|count| fixture.join_from(count.into(), Start::Recent(count)));
    let reads = fixture.reads();
    let after: Vec<_> = reads.iter().map(|read| read.after.clone()).collect();
    assert_eq!(after, [Some(at(17)), Some(at(15))]);
    fixture.reply(&reads[0], 18..21);
    let given: Vec<_> = fixture.given().iter().map(|(_, after, _)| *after).collect();
    assert_eq!(given, [17, 18]);
}

#[test]
fn a_new_connection_that_wants_nothing_old_reads_nothing() {
    let mut fixture = Fixture::new();
    let _answer = fixture.join_from(1, Start::Recent(0));
    assert_eq!(fixture.reads().len(), 0);
    assert_eq!(fixture.admitted(), Some(0));
}

#[test]
fn a_new_connection_misses_nothing_if_less_is_kept_than_it_wants() {
    let mut fixture = Fixture::new();
    let _answer = fixture.join_from(1, Start::Recent(15));
    let read = fixture.read();
    assert_eq!(read.after, Some(at(5)));
    fixture.reply(&read, 12..21);
    let [(id, 11, _)] = &fixture.given()[..] else { panic!("it is given all that is kept") };
    let progress = Some(Progress { at: at(20), is_whole: true });
    fixture.core.handle_continue(id, progress, NOW);
    assert_eq!(fixture.admitted(), Some(9));

    let _answer = fixture.join_from(2, Start::Recent(u64::MAX));
    let read = fixture.read();
    assert_eq!(read.after, Some(at(0)));
    fixture.reply(&read, 21..21); // all was deleted
    assert_eq!(fixture.admitted(), Some(0));
}

#[test]
fn a_new_connection_is_sent_the_last_messages_of_the_latest_epoch() {
    let mut fixture = Fixture::new();
    let _answer = fixture.join_from(1, Start::Recent(3));
    let read = fixture.read();
    fixture.reply_later(&read, 1..9);
    assert!(matches!(fixture.outputs()[..], [Output::Broken { .. }]), "the members are told");
    let read = fixture.read();
    assert_eq!(read.after, Position::new("b", 5));
    fixture.reply_later(&read, 6..9);
    assert!(matches!(fixture.given()[..], [(_, 5, _)]));
}

#[test]
fn a_new_connection_that_has_been_sent_something_is_told_what_it_misses() {
    for is_later_epoch in [false, true] {
        let mut fixture = Fixture::new();
        let _answer = fixture.join_from(1, Start::Recent(15));
        let read = fixture.read();
        fixture.reply(&read, 6..8);
        let [(id, 5, _)] = &fixture.given()[..] else { panic!("it is given the first ones") };
        let progress = Some(Progress { at: at(7), is_whole: true });
        fixture.core.handle_continue(id, progress, NOW);
        let read = fixture.read();
        if is_later_epoch {
            fixture.reply_later(&read, 1..9);
            assert!(matches!(fixture.core.poll_output(), Some(Output::Broken { .. })));
        } else {
            fixture.reply(&read, 12..21);
        }
        assert_eq!(fixture.admitted(), None);
    }
}
