//! What the simulation does not show: limits, and when something is tried again. For those of connections that join,
//! see `joins/tests.rs`.

use std::{iter, sync::Arc, time::Duration};

use async_channel::Receiver;
use bytes::Bytes;

use super::{CHECK_INTERVAL, HistoryCore, RETRY_INTERVAL, output::Output};
use crate::{
    backplane::{
        command::Command,
        history::{Keep, Page, Reply},
    },
    history::{
        appends::Appends, error::AppendError, join_id::JoinId, position::Position, start::Start,
    },
};

fn connected() -> HistoryCore {
    let keep = Keep { messages: 10, age: Duration::from_secs(60) };
    let mut core = HistoryCore::new(keep, 1);
    core.handle_connected();
    core
}

fn commands(core: &mut HistoryCore) -> Vec<Command> {
    iter::from_fn(|| core.poll_command()).collect()
}

fn append(core: &mut HistoryCore, len: usize) -> Receiver<Result<Position, AppendError>> {
    let (pending, answer) = Appends::new().begin(len).unwrap();
    core.handle_append("tea", Bytes::from(vec![1; len]), pending);
    answer
}

fn at(offset: u64) -> Position {
    Position::new("a", offset).unwrap()
}

fn publish(core: &mut HistoryCore, room: &Arc<str>, offset: u64) {
    core.handle_published(room, at(offset), Bytes::from(vec![offset as u8]));
}

/// Replies to the only command, which is to read.
fn reply(core: &mut HistoryCore, reply: Reply) {
    let asked = commands(core);
    let [Command::Read(read)] = &asked[..] else { panic!("it is read: {asked:?}") };
    core.handle_reply(read.ticket, reply);
}

/// Returns the offsets up to which members have got, and whether they were told that something is missing.
fn delivered(core: &mut HistoryCore) -> Vec<(u64, bool)> {
    let outputs = iter::from_fn(|| core.poll_output());
    let delivered = outputs.filter_map(|output| match output {
        Output::Deliver { position, .. } => Some((position.offset(), true)),
        Output::Broken { position, .. } => Some((position.offset(), false)),
        _ => None,
    });
    delivered.collect()
}

#[test]
fn what_was_published_beyond_a_break_is_not_late() {
    let mut core = connected();
    let room: Arc<str> = "tea".into();
    publish(&mut core, &room, 1);
    core.handle_active(&room);
    assert_eq!(delivered(&mut core), [(1, true)]);
    // 2 to 8 do not arrive. What follows is faster than the page, in which 2 to 5 are not kept any more.
    let asked = commands(&mut core);
    let [Command::Read(read)] = &asked[..] else { panic!("it is read: {asked:?}") };
    publish(&mut core, &room, 9);
    publish(&mut core, &room, 10);
    let records = (6..9).map(|offset: u8| Bytes::from(vec![offset])).collect();
    let page = Page { last: at(8), first: 6, records };
    core.handle_reply(read.ticket, Reply::Page(page));
    assert_eq!(delivered(&mut core), [(8, false), (9, true), (10, true)]);
}

#[test]
fn what_was_published_beyond_a_new_epochs_page_is_read_at_once() {
    let mut core = connected();
    let room: Arc<str> = "tea".into();
    publish(&mut core, &room, 1);
    core.handle_active(&room);
    let asked = commands(&mut core);
    let [Command::Read(read)] = &asked[..] else { panic!("it is read: {asked:?}") };
    let of_b = |offset| Position::new("b", offset).unwrap();
    for offset in [1, 2] {
        core.handle_published(&room, of_b(offset), Bytes::from_static(b"x"));
    }
    assert_eq!(delivered(&mut core), [(1, true)]);
    // The page is older than what was published.
    let page = Page { last: of_b(0), first: 1, records: Vec::new() };
    core.handle_reply(read.ticket, Reply::Page(page));
    assert_eq!(delivered(&mut core), [(0, false)]);
    let records = vec![Bytes::from_static(b"x"); 2];
    reply(&mut core, Reply::Page(Page { last: of_b(2), first: 1, records }));
    assert_eq!(delivered(&mut core), [(1, true), (2, true)]);
}

#[test]
fn a_read_that_is_refused_is_tried_again_but_not_at_once() {
    let mut core = connected();
    let join = JoinId { room: "tea".into(), member: 7, number: 1 };
    let (answer_to, _answer) = async_channel::bounded(1);
    let start = Start::After(at(3));
    core.handle_join(&join, start, answer_to, Duration::ZERO);
    assert_eq!(commands(&mut core), [], "it is not subscribed to");
    core.handle_active(&join.room);
    reply(&mut core, Reply::Refused("no memory".to_owned()));
    assert!(matches!(core.poll_output(), Some(Output::ReadRefused { .. })));
    for _ in 0..3 {
        core.handle_timeout(Duration::ZERO);
        assert_eq!(commands(&mut core), []);
    }
    assert_eq!(core.next_deadline(), Some(RETRY_INTERVAL));
    core.handle_timeout(RETRY_INTERVAL);
    reply(&mut core, Reply::Page(Page { last: at(3), first: 0, records: Vec::new() }));
    let Some(Output::Admit(admission)) = core.poll_output() else { panic!("it is admitted") };
    assert_eq!((admission.position, admission.records), (at(3), Some(Vec::new())));
}

#[test]
fn a_page_without_records_may_begin_anywhere() {
    let (mut core, room) = (connected(), Arc::from("tea"));
    publish(&mut core, &room, 3);
    core.handle_active(&room);
    reply(&mut core, Reply::Page(Page { last: at(3), first: u64::MAX, records: Vec::new() }));
    publish(&mut core, &room, 4);
    assert_eq!(delivered(&mut core), [(3, true), (4, true)]);
}

#[test]
fn a_message_counts_until_the_session_has_replied() {
    let (mut core, appends) = (connected(), Appends::new());
    let append = |core: &mut HistoryCore| {
        let (pending, answer) = appends.begin(1 << 20)?;
        core.handle_append("tea", Bytes::from_static(b"x"), pending);
        Some(answer)
    };
    let first = append(&mut core).unwrap();
    let others: Vec<_> = (0..3).map(|_| append(&mut core).unwrap()).collect();
    assert!(append(&mut core).is_none(), "too many bytes");
    let Some(Command::Append(given)) = core.poll_command() else { panic!("it is kept") };
    assert!(append(&mut core).is_none(), "the session has not replied");
    core.handle_reply(given.ticket, Reply::Appended(at(1)));
    assert_eq!(first.try_recv(), Ok(Ok(at(1))));
    assert!(append(&mut core).is_some());
    core.handle_session_ended();
    assert!(others.iter().all(|answer| answer.try_recv() == Ok(Err(AppendError::Unavailable))));
    let all: Vec<_> = (0..4).map(|_| appends.begin(1 << 20)).collect();
    assert!(all.iter().all(Option::is_some));
}

#[test]
fn the_reason_why_messages_are_refused_is_reported_once() {
    let mut core = connected();
    let mut reported = Vec::new();
    for refusal in
        [Some("no memory"), Some("no memory"), Some("read only"), None, Some("read only")]
    {
        let answer = append(&mut core, 1);
        let reply_with =
            refusal.map_or_else(|| Reply::Appended(at(1)), |why| Reply::Refused(why.to_owned()));
        let [Command::Append(given)] = &commands(&mut core)[..] else { panic!("it is kept") };
        core.handle_reply(given.ticket, reply_with);
        assert_eq!(
            answer.try_recv().unwrap().is_err(),
            refusal.is_some(),
            "its sender learns it, too"
        );
        reported.push(match core.poll_output() {
            Some(Output::AppendRefused { room, reason }) => Some(format!("{room}: {reason}")),
            None => None,
            other => panic!("{other:?}"),
        });
    }
    let [memory, read_only] =
        ["tea: no memory", "tea: read only"].map(|text| Some(text.to_owned()));
    assert_eq!(reported, [memory, None, read_only.clone(), None, read_only]);
}

#[test]
fn what_the_session_had_may_be_kept_and_the_rest_is_not() {
    let mut core = connected();
    let given = append(&mut core, 1);
    assert_eq!(commands(&mut core).len(), 1);
    let not_given = append(&mut core, 1);
    core.handle_session_ended();
    assert_eq!(given.try_recv(), Ok(Err(AppendError::Unknown)));
    assert_eq!(not_given.try_recv(), Ok(Err(AppendError::Unavailable)));
    assert_eq!(append(&mut core, 1).try_recv(), Ok(Err(AppendError::Unavailable)));
}

#[test]
fn in_an_outage_no_room_is_looked_at() {
    let mut core = connected();
    (0..1000).for_each(|room| publish(&mut core, &room.to_string().into(), 1));
    assert_eq!(core.inactive().count(), 1000);
    core.handle_session_ended();
    assert_eq!(core.inactive().size_hint(), (0, Some(0)));
}

#[test]
fn members_are_told_if_their_room_cannot_be_read_for_long() {
    let mut core = connected();
    let room: Arc<str> = "tea".into();
    publish(&mut core, &room, 1);
    core.handle_active(&room);
    let mut now = Duration::ZERO;
    let mut outputs = Vec::new();
    let mut told_after = Vec::new();
    for _ in 0..100 {
        reply(&mut core, Reply::Refused("no permission".to_owned()));
        core.handle_timeout(now);
        now += RETRY_INTERVAL;
        core.handle_timeout(now);
        let before = outputs.len();
        outputs.extend(iter::from_fn(|| core.poll_output()));
        let is_told = |output: &Output| matches!(output, Output::Broken { .. });
        told_after.extend(outputs[before..].iter().any(is_told).then_some(now));
    }
    assert_eq!(told_after, [25 * RETRY_INTERVAL], "once");
    let reasons =
        outputs.iter().filter(|output| matches!(output, Output::ReadRefused { .. })).count();
    assert_eq!(reasons, 1, "the same reason is reported once");
    reply(&mut core, Reply::Page(Page { last: at(1), first: 1, records: Vec::new() }));
    core.handle_timeout(now + CHECK_INTERVAL);
    reply(&mut core, Reply::Refused("no permission".to_owned()));
    let outputs: Vec<_> = iter::from_fn(|| core.poll_output()).collect();
    assert!(matches!(&outputs[..], [Output::ReadRefused { .. }]), "{outputs:?}");
}
