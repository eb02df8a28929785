//! [`Joining`]: a connection that is being added to a room. It is sent what it has missed, as fast as it reads.

use std::sync::Arc;

use async_channel::Receiver;
use bytes::Bytes;
use prism_driver::{Connection, Deferring, PreparedMessage, TrySendError, hold_wakeups};

use super::{
    error::HistoryJoinError,
    hub::{Hub, Request},
    joined::{JoinStep, Joined},
    position::Position,
};
use crate::error::JoinError;

/// A request to join, which is cancelled when this is dropped.
pub(super) struct Joining<'a> {
    hub: Arc<Hub>,
    connection: &'a Connection,
    room: &'a str,
    number: u64,
    steps: Receiver<JoinStep>,
    is_done: bool,
}

impl<'a> Joining<'a> {
    pub(super) fn start(
        hub: Arc<Hub>,
        connection: &'a Connection,
        room: &'a str,
        after: Option<Position>,
    ) -> Self {
        let (answer_to, steps) = async_channel::bounded(1);
        let number = hub.start_join(connection.clone(), room.into(), after, answer_to);
        Self { hub, connection, room, number, steps, is_done: false }
    }

    /// Sends what the connection has missed, until it is a member.
    pub(super) async fn run(mut self) -> Result<Joined, HistoryJoinError> {
        let mut is_whole = true;
        loop {
            // Fails if the room has no members any more, or if the node has left.
            let step = Deferring::new(self.steps.recv()).await;
            match step.map_err(|_| self.hub.why_cancelled())? {
                JoinStep::Page { first, records } => {
                    is_whole &= self.send(&first, records).await?;
                    self.hub.request(Request::Continue(self.number));
                }
                JoinStep::Done(Joined::Whole { position, .. }) if !is_whole => {
                    self.is_done = true;
                    return Ok(Joined::Broken { position });
                }
                JoinStep::Done(joined) => {
                    self.is_done = true;
                    return Ok(joined);
                }
                JoinStep::Failed(error) => {
                    self.is_done = true;
                    return Err(error);
                }
            }
        }
    }

    /// Sends records. Returns whether all of them could be shown.
    async fn send(&self, first: &Position, records: Vec<Bytes>) -> Result<bool, HistoryJoinError> {
        let mut is_whole = true;
        for (offset, record) in (first.offset()..).zip(records) {
            match self.hub.format(&first.with_offset(offset), &record) {
                Some(message) => self.send_one(&message).await?,
                None => is_whole = false,
            }
        }
        Ok(is_whole)
    }

    /// Sends a message. Whatever the connection's policy is: it must not miss one.
    async fn send_one(&self, message: &PreparedMessage) -> Result<(), HistoryJoinError> {
        loop {
            if self.connection.is_full() {
                let flushed = self.connection.flush().await;
                flushed.map_err(|_| HistoryJoinError::Join(JoinError::Ended))?;
            }
            // Others send to it as well, and may have filled it just now.
            match self.connection.try_send(message) {
                Err(TrySendError::Full) => {}
                Ok(()) | Err(TrySendError::Refused(_)) => return Ok(()), // or it is closing
            }
        }
    }
}

/// A connection that is not added to the end must not stay in the room: it would miss something.
impl Drop for Joining<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let _wakeups = hold_wakeups();
        self.steps.close(); // from now on, the task learns that nobody waits
        let last = self.steps.try_recv();
        let was_admitted =
            matches!(last, Ok(JoinStep::Done(Joined::Whole { .. } | Joined::Broken { .. })));
        self.hub.request(Request::Cancel {
            number: self.number,
            connection: self.connection.id(),
            room: self.room.into(),
            was_admitted,
        });
    }
}
