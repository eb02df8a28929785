//! [`Joining`]: sends pages to a connection, as `history::join::Joining` does, but the connection is a number.

use async_channel::Receiver;

use super::members::Happens;
use crate::history::{
    error::HistoryJoinError,
    hub::Request,
    join_id::JoinId,
    joined::{JoinStep, Joined, Progress},
};

pub(super) struct Joining {
    pub(super) id: JoinId,
    /// Whether a member has fallen behind, so that nobody waits for the answer.
    pub(super) is_behind: bool,
    steps: Receiver<JoinStep>,
    /// What it reports once the connection has taken what it was sent.
    flushing: Option<Option<Progress>>,
}

impl Joining {
    pub(super) const fn new(id: JoinId, is_behind: bool, steps: Receiver<JoinStep>) -> Self {
        Self { id, is_behind, steps, flushing: None }
    }

    /// Takes a step. The connection has room for `has_room_for` records. Returns how it has ended, if it has.
    pub(super) fn poll(
        &mut self,
        has_room_for: usize,
        is_member: bool,
        happens: &mut Vec<Happens>,
        requests: &mut Vec<Request<u128>>,
    ) -> Option<Result<Joined, HistoryJoinError>> {
        if let Some(progress) = self.flushing.take() {
            requests.push(Request::Continue { id: self.id.clone(), progress });
        }
        match self.steps.try_recv() {
            // An older request for a member that has joined again.
            Ok(JoinStep::Page { .. }) if self.steps.is_closed() => {}
            Ok(JoinStep::Page { after, page }) if is_member => {
                let mut at = after.clone();
                let records = page.records_after(after.offset()).take(has_room_for);
                for (offset, record) in records {
                    at = after.with_offset(offset);
                    let (connection, position) = (self.id.member, at.clone());
                    let record = record.clone();
                    happens.push(Happens::Received { connection, position, record });
                }
                self.flushing = Some(Some(Progress { at, is_whole: true }));
            }
            Ok(JoinStep::Page { .. } | JoinStep::Full) => self.flushing = Some(None),
            Ok(JoinStep::Done(joined)) => {
                requests.push(Request::Accept(self.id.clone()));
                return Some(Ok(joined));
            }
            Ok(JoinStep::Failed(error)) => return Some(Err(error)),
            Err(_) if self.steps.is_closed() => {
                requests.push(Request::Cancel(self.id.clone()));
                return Some(Err(HistoryJoinError::Left));
            }
            Err(_) => {}
        }
        None
    }
}
