//! [`Joining`]: a connection that is being added to a room, or a member that has fallen behind. It is sent what it has
//! missed, as fast as it reads.

use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender};
use futures_lite::future::{or, poll_once};
use prism_driver::{Connection, Deferring, TrySendError};

use super::{
    error::HistoryJoinError,
    hub::{Hub, Request},
    join_id::JoinId,
    joined::{JoinStep, Joined, Progress},
    position::Position,
};
use crate::{backplane::history::Page, error::JoinError, rooms::membership::Membership};

/// A request to join, which is cancelled when this is dropped.
pub(super) struct Joining {
    hub: Arc<Hub>,
    membership: Weak<Membership<Connection>>,
    connection: Connection,
    id: JoinId,
    steps: Receiver<JoinStep>,
    is_done: bool,
}

impl Joining {
    /// Creates a request, and returns where the answers to it go.
    pub(super) fn new(
        hub: Arc<Hub>,
        membership: Weak<Membership<Connection>>,
        connection: &Connection,
        room: Arc<str>,
    ) -> (Self, Sender<JoinStep>) {
        let (answer_to, steps) = async_channel::bounded(1);
        let id = JoinId { room, member: connection.id().as_u128(), number: hub.next_number() };
        let connection = connection.clone();
        (Self { hub, membership, connection, id, steps, is_done: false }, answer_to)
    }

    pub(super) const fn id(&self) -> &JoinId {
        &self.id
    }

    /// Sends what the connection has missed, until it is a member like the others.
    pub(super) async fn run(mut self) -> Result<Joined, HistoryJoinError> {
        loop {
            let progress = match self.next_step().await? {
                JoinStep::Page { after, page } if self.is_member() => {
                    let progress = self.send(&after, &page).await?;
                    drop(page);
                    self.hub.wake(); // the number of pages in hand is limited, and others may wait for this
                    Some(progress)
                }
                // If it has left since, the task answers that.
                JoinStep::Page { .. } | JoinStep::Full => None,
                JoinStep::Done(joined) => {
                    self.is_done = true;
                    self.hub.request(Request::Accept(self.id.clone()));
                    return Ok(joined);
                }
                JoinStep::Failed(error) => {
                    self.is_done = true;
                    return Err(error);
                }
            };
            // As a member it needs room for what comes next, so it has to have taken all that it was sent.
            self.connection.flush().await.map_err(|_| HistoryJoinError::Join(JoinError::Ended))?;
            self.hub.request(Request::Continue { id: self.id.clone(), progress });
        }
    }

    async fn next_step(&self) -> Result<JoinStep, HistoryJoinError> {
        // Fails if the room has no members any more, or if the node has left.
        let step = async { Deferring::new(self.steps.recv()).await.ok() };
        let ended = async {
            self.connection.closed().await;
            None
        };
        or(step, ended).await.ok_or_else(|| self.why_ended())
    }

    /// Sends what a page has after a position, as far as there is room. What does not fit is read again later: if each
    /// slow client had a page in hand, that would be much memory.
    async fn send(&self, after: &Position, page: &Page) -> Result<Progress, HistoryJoinError> {
        let mut progress = Progress { at: after.clone(), is_whole: true };
        for (offset, record) in page.records_after(after.offset()) {
            if self.steps.is_closed() {
                return Err(self.why_ended());
            }
            let position = after.with_offset(offset);
            match self.hub.format(&position, record) {
                Some(message) => {
                    if !self.make_room().await {
                        break;
                    }
                    match self.connection.try_send(&message) {
                        Ok(()) => {}
                        // Others send to it as well, and have filled it just now.
                        Err(TrySendError::Full) => break,
                        Err(TrySendError::Refused(_)) => {
                            return Err(HistoryJoinError::Join(JoinError::Ended));
                        }
                    }
                }
                None => progress.is_whole = false,
            }
            progress.at = position;
        }
        Ok(progress)
    }

    /// Returns whether there is room, once the transport has taken as much as it takes now. Whatever the connection's
    /// policy is: it must not miss a message.
    async fn make_room(&self) -> bool {
        !self.connection.is_full()
            || (poll_once(self.connection.flush()).await.is_some() && !self.connection.is_full())
    }

    fn is_member(&self) -> bool {
        let membership = self.membership.upgrade();
        membership.is_some_and(|all| all.contains(&self.id.room, self.connection.id()))
    }

    fn why_ended(&self) -> HistoryJoinError {
        if self.connection.is_open() {
            self.hub.why_cancelled()
        } else {
            HistoryJoinError::Join(JoinError::Ended)
        }
    }
}

/// A connection that is not added to the end must not stay in the room: it would miss something.
impl Drop for Joining {
    fn drop(&mut self) {
        if !self.is_done {
            self.hub.request(Request::Cancel(self.id.clone()));
        }
    }
}
