//! Executing the requests of clients: asking the application, and doing what it allows.

use std::time::Duration;

use futures_lite::future::or;
use prism_driver::Connection;
use serde_json::value::RawValue;

use super::{
    JsonRooms,
    answer::{Answer, send},
    authorize::{Action, Authorize},
    departures::forget,
    rejection::Rejection,
    request::{Request, Verb},
};

/// How long the answer to a join waits, at most, for messages that other nodes send to the room to arrive here.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the answer to a watcher that asks for the whole state takes. Its request is short, and the state is long.
const REPEATED_STATE_DELAY: Duration = Duration::from_secs(1);

impl<A: Authorize> JsonRooms<A> {
    /// Executes a request, if it is allowed.
    pub(super) async fn execute(
        &self,
        connection: &Connection,
        request: &Request<'_>,
    ) -> Result<(), Rejection> {
        let room = &*request.room;
        match request.verb {
            Verb::Ping => return Ok(()),
            Verb::Leave => {
                self.leave(connection, room).await;
                return Ok(());
            }
            Verb::Join { meta, watch } => {
                return self.join(connection, room, meta, watch).await;
            }
            _ if !self.rooms.contains(room, connection.id()) => return Err(Rejection::not_joined()),
            Verb::Send { data, echo } => {
                return self.send_from(connection, room, data, echo).await;
            }
            Verb::Track { meta } => {
                self.authorize_member(connection, room, Action::Track { meta: meta.get() }).await?;
                self.track(connection, room, meta)?;
            }
            Verb::Untrack => {
                self.presence.untrack(connection.id(), room);
            }
            Verb::Watch => {
                self.authorize_member(connection, room, Action::Watch).await?;
                self.watch(connection, room).await?;
            }
            Verb::Unwatch => {
                self.presence.unwatch(connection.id(), room);
            }
        }
        self.forget_unless_joined(connection, room);
        Ok(())
    }

    async fn leave(&self, connection: &Connection, room: &str) {
        let pending = self.pending_requests.begin(connection.id(), room);
        let was_member = self.rooms.leave(connection.id(), room);
        pending.end();
        forget(&self.presence, connection, room);
        if was_member {
            send(connection, Answer::Left { room }.encode()).await;
        }
    }

    /// Asks the application, while which it may remove the connection from the room.
    async fn authorize_member(
        &self,
        connection: &Connection,
        room: &str,
        action: Action<'_>,
    ) -> Result<(), Rejection> {
        self.decide(async { Ok(self.authorize.authorize(connection, room, action).await?) })
            .await?;
        let is_member = self.rooms.contains(room, connection.id());
        if is_member { Ok(()) } else { Err(Rejection::not_joined()) }
    }

    /// Lets a connection join a room. If anything is refused, it does not join.
    async fn join(
        &self,
        connection: &Connection,
        room: &str,
        meta: Option<&RawValue>,
        watch: bool,
    ) -> Result<(), Rejection> {
        if room.is_empty() || room.len() > self.max_name_len {
            return Err(Rejection::name_len(room.len(), self.max_name_len));
        }
        let pending = self.pending_requests.begin(connection.id(), room);
        let decision = self.decide(self.authorize_join(connection, room, meta, watch)).await;
        self.forget_unless_joined(connection, room); // an earlier stay, which ended while this join was pending
        let joined = decision.and_then(|()| self.enter(connection, room, meta, watch));
        let is_cancelled = pending.end();
        if is_cancelled {
            self.rooms.leave(connection.id(), room);
        }
        self.forget_unless_joined(connection, room);
        let is_new = if is_cancelled { Err(Rejection::removed()) } else { joined }?;
        if is_new {
            let reached = async {
                let _ = self.rooms.reached(room).await; // if it cannot be, at least this node's messages arrive
            };
            or(reached, self.presence.sleep(REACH_TIMEOUT)).await;
        }
        Ok(())
    }

    /// Waits for the application's decision, but not for ever.
    async fn decide(
        &self,
        decision: impl Future<Output = Result<(), Rejection>>,
    ) -> Result<(), Rejection> {
        let timeout = async {
            self.presence.sleep(self.authorize_timeout).await;
            Err(Rejection::undecided())
        };
        or(decision, timeout).await
    }

    async fn authorize_join(
        &self,
        connection: &Connection,
        room: &str,
        meta: Option<&RawValue>,
        watch: bool,
    ) -> Result<(), Rejection> {
        self.authorize.authorize(connection, room, Action::Join).await?;
        if let Some(meta) = meta {
            let action = Action::Track { meta: meta.get() };
            self.authorize.authorize(connection, room, action).await?;
        }
        if watch {
            self.authorize.authorize(connection, room, Action::Watch).await?;
        }
        Ok(())
    }

    /// Returns whether the connection was not in the room before. Presence comes first: if the room is full, the
    /// connection never joins it.
    fn enter(
        &self,
        connection: &Connection,
        room: &str,
        meta: Option<&RawValue>,
        watch: bool,
    ) -> Result<bool, Rejection> {
        if let Some(meta) = meta {
            self.track(connection, room, meta)?;
        }
        if watch {
            self.presence.watch(connection, room)?;
        }
        Ok(self.rooms.join(connection, room)?)
    }

    async fn send_from(
        &self,
        connection: &Connection,
        room: &str,
        data: &RawValue,
        echo: bool,
    ) -> Result<(), Rejection> {
        let (size, limit) = (data.get().len(), self.max_data_size);
        if size > limit {
            return Err(Rejection::data_size(size, limit));
        }
        self.authorize_member(connection, room, Action::Send { data: data.get() }).await?;
        let from = self.authorize.person(connection);
        let message = Answer::Message { room, from: Some(&from), data }.encode();
        let members = self.rooms.to(room);
        if echo {
            members.send(message);
        } else {
            members.except(connection.id()).send(message);
        }
        Ok(())
    }

    fn track(&self, connection: &Connection, room: &str, meta: &RawValue) -> Result<(), Rejection> {
        let person = self.authorize.person(connection);
        Ok(self.presence.track(connection, room, &person, meta.to_owned())?)
    }

    /// Sends the state of a room, also to a connection that watches already.
    async fn watch(&self, connection: &Connection, room: &str) -> Result<(), Rejection> {
        if !self.presence.watch(connection, room)? {
            self.presence.sleep(REPEATED_STATE_DELAY).await;
            self.presence.unwatch(connection.id(), room);
            self.presence.watch(connection, room)?;
        }
        Ok(())
    }

    /// Ends the presence of a connection in a room that it is not in: it could not join, or your program has removed
    /// it meanwhile.
    fn forget_unless_joined(&self, connection: &Connection, room: &str) {
        if !self.rooms.contains(room, connection.id()) {
            forget(&self.presence, connection, room);
        }
    }
}
