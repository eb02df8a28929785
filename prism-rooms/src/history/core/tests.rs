//! What the simulation does not show: limits, and when something is tried again.

use std::{iter, sync::Arc, time::Duration};

use async_channel::Receiver;
use bytes::Bytes;

use super::{HistoryCore, MAX_APPENDS, RETRY_INTERVAL, output::Output};
use crate::{
    backplane::{
        command::Command,
        history::{Keep, Page, Reply},
    },
    history::{error::AppendError, position::Position},
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
    let (answer_to, answer) = async_channel::bounded(1);
    core.handle_append("tea", Bytes::from(vec![1; len]), answer_to);
    answer
}

#[test]
fn a_read_that_is_refused_is_tried_again_but_not_at_once() {
    let mut core = connected();
    let room: Arc<str> = "tea".into();
    let (answer_to, _answer) = async_channel::bounded(1);
    core.handle_join(1, &room, 7, Position::new("a", 3), answer_to);
    assert_eq!(commands(&mut core), [], "it is not subscribed to");
    core.handle_active(&room);
    let [Command::Read(read)] = &commands(&mut core)[..] else { panic!("it is read") };
    core.handle_reply(read.ticket, Reply::Refused("no memory".to_owned()));
    for _ in 0..3 {
        core.handle_timeout(Duration::ZERO);
        assert_eq!(commands(&mut core), []);
    }
    core.handle_timeout(RETRY_INTERVAL);
    let [Command::Read(read)] = &commands(&mut core)[..] else { panic!("it is read again") };
    let last = Position::new("a", 3).unwrap();
    let page = Page { last: last.clone(), first: 0, records: Vec::new() };
    core.handle_reply(read.ticket, Reply::Page(page));
    let Some(Output::Admit(admission)) = core.poll_output() else { panic!("it is admitted") };
    assert_eq!((admission.position, admission.records), (last, Some(Vec::new())));
}

#[test]
fn what_waits_to_be_kept_is_bounded() {
    let mut core = connected();
    let is_refused = |answer: &Receiver<_>| answer.try_recv() == Ok(Err(AppendError::Unavailable));
    let first = append(&mut core, 1);
    let others: Vec<_> = (1..MAX_APPENDS).map(|_| append(&mut core, 1)).collect();
    assert!(!others.iter().any(is_refused));
    assert!(is_refused(&append(&mut core, 1)));
    let Some(Command::Append(given)) = core.poll_command() else { panic!("it is kept") };
    assert!(is_refused(&append(&mut core, 1)), "the session has not replied");
    let position = Position::new("a", 1).unwrap();
    core.handle_reply(given.ticket, Reply::Appended(position.clone()));
    assert_eq!(first.try_recv(), Ok(Ok(position)));
    assert!(is_refused(&append(&mut core, 5 << 20)), "too many bytes");
    let last = append(&mut core, 1);
    assert!(!is_refused(&last));
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
