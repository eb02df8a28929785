//! In which order rooms are read.

use std::{iter, sync::Arc, time::Duration};

use async_channel::Receiver;
use bytes::Bytes;

use super::{HistoryCore, MAX_READS, Output};
use crate::{
    backplane::{
        command::Command,
        history::{Keep, Page, Read, Reply},
    },
    history::{join_id::JoinId, joined::JoinStep, position::Position, start::Start},
};

fn at(offset: u64) -> Position {
    Position::new("a", offset).unwrap()
}

fn publish(core: &mut HistoryCore, room: usize, offset: u64) {
    core.handle_published(&name(room), at(offset), Bytes::from_static(b"x"));
}

fn name(room: usize) -> Arc<str> {
    room.to_string().into()
}

/// Creates a node that has just subscribed to `rooms` rooms. One message was published in each, and all of them are
/// checked.
fn subscribed(rooms: usize) -> HistoryCore {
    let keep = Keep { messages: 10, age: Duration::from_secs(60) };
    let mut core = HistoryCore::new(keep, 1);
    core.handle_connected();
    for room in 0..rooms {
        publish(&mut core, room, 1);
        core.handle_active(&name(room));
    }
    while core.poll_output().is_some() {}
    core
}

/// Lets a connection join a room in which it has received nothing.
fn join(core: &mut HistoryCore, room: usize) -> Receiver<JoinStep> {
    let id = JoinId { room: name(room), member: room as u128, number: room as u64 };
    let (answer_to, answer) = async_channel::bounded(1);
    core.handle_join(&id, Start::After(at(0)), answer_to, Duration::ZERO);
    answer
}

fn next_read(core: &mut HistoryCore) -> Option<Read> {
    core.poll_command().map(|command| match command {
        Command::Read(read) => read,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_connection_that_comes_back_does_not_wait_until_all_rooms_are_checked() {
    let mut core = subscribed(50_000);
    let _answer = join(&mut core, 49_999);
    let (mut reads, mut admitted) = (0, None);
    while let Some(read) = next_read(&mut core) {
        reads += 1;
        let records = vec![Bytes::from_static(b"x"); usize::from(read.after == Some(at(0)))];
        let page = Page { last: at(1), first: 1, records };
        core.handle_reply(read.ticket, Reply::Page(page));
        let is_given = |output| matches!(output, Output::Give { .. });
        if iter::from_fn(|| core.poll_output()).any(is_given) {
            admitted = Some(reads);
        }
    }
    assert!(admitted.is_some_and(|reads| reads <= 2), "{admitted:?}");
    assert_eq!(reads, 50_001, "all are checked");
}

#[test]
fn checks_and_connections_that_come_back_take_turns() {
    let mut core = subscribed(100);
    let _answers: Vec<_> = (0..100).map(|room| join(&mut core, room)).collect();
    let after: Vec<_> = iter::from_fn(|| next_read(&mut core)).map(|read| read.after).collect();
    let checks = after.iter().filter(|after| **after == Some(at(1))).count();
    assert_eq!((after.len(), checks), (MAX_READS, MAX_READS / 2));
}

#[test]
fn a_room_in_which_something_is_missing_is_read_before_those_that_are_checked() {
    let mut core = subscribed(100);
    publish(&mut core, 99, 3);
    assert_eq!(next_read(&mut core).map(|read| read.room), Some(name(99)));
    let others = iter::from_fn(|| next_read(&mut core)).map(|read| read.room);
    assert_eq!(others.collect::<Vec<_>>(), (0..MAX_READS - 1).map(name).collect::<Vec<_>>());
}
