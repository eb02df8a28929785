//! Executing the requests of clients: asking the application, and doing what it allows.

use std::time::Duration;

use futures_lite::future::or;
use prism_driver::Connection;
use serde_json::value::RawValue;

use super::{
    JsonRooms,
    answer::{Answer, Outcome, send},
    authorize::{Action, Authorize},
    departures::forget,
    rejection::Rejection,
    request::{Request, Verb},
};

/// How long the answer to a watcher that asks for the whole state takes. Its request is short, and the state is long.
const REPEATED_STATE_DELAY: Duration = Duration::from_secs(1);

impl<A: Authorize> JsonRooms<A> {
    /// Executes a request, if it is allowed.
    pub(super) async fn execute(
        &self,
        connection: &Connection,
        request: &Request<'_>,
    ) -> Result<Outcome, Rejection> {
        let room = &*request.room;
        match &request.verb {
            Verb::Ping => return Ok(Outcome::default()),
            Verb::Leave => {
                self.leave(connection, room).await;
                return Ok(Outcome::default());
            }
            Verb::Join(wanted) => return self.join(connection, room, wanted).await,
            _ if !self.rooms.contains(room, connection.id()) => return Err(Rejection::not_joined()),
            Verb::Send { data, echo } => {
                return self.send_from(connection, room, data, *echo).await;
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
        Ok(Outcome::default())
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

    /// Waits for the application's decision, but not for ever.
    pub(super) async fn decide(
        &self,
        decision: impl Future<Output = Result<(), Rejection>>,
    ) -> Result<(), Rejection> {
        let timeout = async {
            self.presence.sleep(self.authorize_timeout).await;
            Err(Rejection::undecided())
        };
        or(decision, timeout).await
    }

    async fn send_from(
        &self,
        connection: &Connection,
        room: &str,
        data: &RawValue,
        echo: bool,
    ) -> Result<Outcome, Rejection> {
        let (size, limit) = (data.get().len(), self.max_data_size);
        if size > limit {
            return Err(Rejection::data_size(size, limit));
        }
        self.authorize_member(connection, room, Action::Send { data: data.get() }).await?;
        let from = self.authorize.person(connection);
        let (id, kept) = (connection.id(), self.kept_room(room));
        // All members receive what is kept. The one for which it is not ignores it.
        let except = (kept.is_some() && !echo).then(|| id.to_string());
        let except = except.as_deref();
        let message = Answer::Message { room, from: Some(&from), data, except }.encode();
        if let Some(kept) = kept {
            return kept.append(room, message).await;
        }
        let members = self.rooms.to(room);
        if echo {
            members.send(message);
        } else {
            members.except(id).send(message);
        }
        Ok(Outcome::default())
    }

    pub(super) fn track(
        &self,
        connection: &Connection,
        room: &str,
        meta: &RawValue,
    ) -> Result<(), Rejection> {
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
    pub(super) fn forget_unless_joined(&self, connection: &Connection, room: &str) {
        if !self.rooms.contains(room, connection.id()) {
            forget(&self.presence, connection, room);
        }
    }
}
