//! Joining rooms: with presence, and from where a client was.

use std::time::Duration;

use futures_lite::future::or;
use prism_driver::Connection;

use super::{
    JsonRooms,
    answer::{Missing, Outcome},
    authorize::{Action, Authorize},
    kept_rooms::KeptRooms,
    pending_requests::Pending,
    rejection::Rejection,
    request::Wanted,
};

/// How long the answer to a join waits, at most, for messages that other nodes send to the room to arrive here.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is to a room that it has joined.
enum Entered {
    /// It was a member already.
    Before,
    New,
    /// It is new, and has been sent what it had missed.
    CaughtUp(Outcome),
}

impl<A: Authorize> JsonRooms<A> {
    /// Lets a connection join a room. If anything is refused, it does not join.
    pub(super) async fn join(
        &self,
        connection: &Connection,
        room: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Outcome, Rejection> {
        if room.is_empty() || room.len() > self.max_name_len {
            return Err(Rejection::name_len(room.len(), self.max_name_len));
        }
        let pending = self.pending_requests.begin(connection.id(), room);
        let decision = self.decide(self.authorize_join(connection, room, wanted)).await;
        self.forget_unless_joined(connection, room); // an earlier stay, which ended while this join was pending
        let entered = match decision {
            Ok(()) => self.enter(connection, room, wanted, &pending).await,
            Err(rejection) => Err(rejection),
        };
        let is_cancelled = pending.end();
        if is_cancelled {
            self.rooms.leave(connection.id(), room);
        }
        self.forget_unless_joined(connection, room);
        let entered = if is_cancelled { Err(Rejection::removed()) } else { entered }?;
        match entered {
            Entered::Before => Ok(Outcome::default()),
            Entered::New => Ok(self.reach(room, wanted).await),
            Entered::CaughtUp(outcome) => Ok(outcome),
        }
    }

    async fn authorize_join(
        &self,
        connection: &Connection,
        room: &str,
        wanted: &Wanted<'_>,
    ) -> Result<(), Rejection> {
        self.authorize.authorize(connection, room, Action::Join).await?;
        if let Some(meta) = wanted.meta {
            let action = Action::Track { meta: meta.get() };
            self.authorize.authorize(connection, room, action).await?;
        }
        if wanted.watch {
            self.authorize.authorize(connection, room, Action::Watch).await?;
        }
        Ok(())
    }

    /// Makes a connection a member. Presence comes first: if the room is full, the connection never joins it. But
    /// presence does not wait for a history, which may be unreachable: watchers would see a person come and go
    /// with each attempt.
    async fn enter(
        &self,
        connection: &Connection,
        room: &str,
        wanted: &Wanted<'_>,
        pending: &Pending<'_>,
    ) -> Result<Entered, Rejection> {
        let Some(kept) = self.kept_room(room) else {
            self.begin_presence(connection, room, wanted)?;
            let is_new = self.rooms.join(connection, room)?;
            return Ok(if is_new { Entered::New } else { Entered::Before });
        };
        let entered = self.catch_up(kept, connection, room, wanted, pending).await?;
        if let Err(rejection) = self.begin_presence(connection, room, wanted) {
            if !matches!(entered, Entered::Before) {
                self.rooms.leave(connection.id(), room);
            }
            return Err(rejection);
        }
        Ok(entered)
    }

    fn begin_presence(
        &self,
        connection: &Connection,
        room: &str,
        wanted: &Wanted<'_>,
    ) -> Result<(), Rejection> {
        if let Some(meta) = wanted.meta {
            self.track(connection, room, meta)?;
        }
        if wanted.watch {
            self.presence.watch(connection, room)?;
        }
        Ok(())
    }

    /// Makes a connection a member of a room whose messages are kept, and sends it what it has missed.
    async fn catch_up(
        &self,
        kept: &KeptRooms,
        connection: &Connection,
        room: &str,
        wanted: &Wanted<'_>,
        pending: &Pending<'_>,
    ) -> Result<Entered, Rejection> {
        let (after, recent) = (wanted.after.as_deref(), self.recent_messages_for(wanted));
        let joining = async { Some(kept.join(connection, room, after, recent).await) };
        let cancelled = async {
            pending.cancelled().await;
            None
        };
        match or(cancelled, joining).await {
            Some(joined) => {
                let joined = joined?;
                if connection.is_full() {
                    // Or its policy may drop the answer. This fails if the connection is closing.
                    let _ = connection.flush().await;
                }
                Ok(joined.map_or(Entered::Before, Entered::CaughtUp))
            }
            None => {
                self.rooms.leave(connection.id(), room); // as the history will do, but at once
                Err(Rejection::removed())
            }
        }
    }

    /// Returns how many of the last messages a client is sent: as many as it wants, unless that is too many.
    fn recent_messages_for(&self, wanted: &Wanted<'_>) -> u32 {
        let wanted = wanted.recent.and_then(|count| u32::try_from(count).ok());
        wanted.unwrap_or(u32::MAX).min(self.recent_messages)
    }

    /// Waits for a moment until messages from other nodes arrive.
    async fn reach(&self, room: &str, wanted: &Wanted<'_>) -> Outcome {
        let reached = async {
            let _ = self.rooms.reached(room).await; // if it cannot be, at least this node's messages arrive
        };
        or(reached, self.presence.sleep(REACH_TIMEOUT)).await;
        match wanted.after {
            None => Outcome::default(),
            Some(_) => {
                Outcome { position: None, recovered: Some(false), reason: Some(Missing::NotKept) }
            }
        }
    }
}
