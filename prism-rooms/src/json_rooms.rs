//! [`JsonRooms`]: a handler through which clients join rooms and send to them, as JSON.

use std::{fmt, time::Duration};

use futures_lite::future::or;
use prism_driver::{Connection, ConnectionId, Handler, Message};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    presence::Presence,
    rooms::{Delivery, Departure, Rooms},
};

mod answer;
pub(crate) mod authorize;
mod pending_joins;
mod rejection;
mod request;
mod strict;

use self::{
    answer::Answer,
    authorize::{Action, Authorize},
    pending_joins::PendingJoins,
    rejection::Rejection,
    request::{Request, Verb},
};

/// How long the answer to a join waits, at most, for messages that other nodes send to the room to arrive here.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the answer to a watcher that asks for the whole state takes. Its request is short, and the state is long.
const REPEATED_STATE_DELAY: Duration = Duration::from_secs(1);

/// The source of `prism.js`, a [client for browsers](crate::docs::browser), of the same version as [`JsonRooms`]. A
/// server can send it to its pages as `text/javascript`.
pub const PRISM_JS: &str = include_str!("../js/prism.js");

/// A handler for browsers: its clients join rooms, send to them, and see who else is there. They speak JSON, in [a
/// documented protocol](crate::docs::protocol), for which there is [a client in JavaScript](crate::docs::browser).
///
/// Each request is first [authorized](Authorize) by your program:
///
/// ```no_run
/// use prism_rooms::{Action, Authorize, JsonRooms, Presence, Refusal, Rooms};
/// use prism_tokio::{Connection, Server, Tokio};
///
/// struct Members;
///
/// impl Authorize for Members {
///     async fn authorize(&self, connection: &Connection, room: &str, action: Action<'_>) -> Result<(), Refusal> {
///         let guest = connection.query_param("token").is_none();
///         match action {
///             Action::Send { .. } if guest => Err("guests cannot write".into()),
///             _ if room.starts_with("staff:") && guest => Err("this room is for members".into()),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let rooms = Rooms::new(); // or those of a `Cluster`
///     let handler = JsonRooms::new(rooms, Presence::new(Tokio), Members);
///     Server::bind("127.0.0.1:8080").await?.websocket("/ws", handler).serve().await;
///     Ok(())
/// }
/// ```
///
/// Keep an `Arc` of the handler to [send](Self::send) to its clients from elsewhere, and to
/// [remove](Self::remove) them from rooms.
///
/// A message to a room is encoded once for all members. What holds for [rooms](crate::docs::rooms) and
/// [presence](crate::docs::presence) holds here, too. Their options limit how many rooms a connection may be in, and
/// how many people a room may have; [`Options`](prism_driver::Options) limits the size and the
/// [rate](prism_driver::Options::message_rate) of what a client sends. An answer waits for room in the client's outbox,
/// and meanwhile nothing more is read from that client.
pub struct JsonRooms<A> {
    rooms: Rooms,
    presence: Presence<Box<RawValue>>,
    authorize: A,
    pending_joins: PendingJoins,
    authorize_timeout: Duration,
    max_name_len: usize,
    max_data_size: usize,
}

impl<A: Authorize> JsonRooms<A> {
    /// Creates a handler for these rooms and this presence, whose metadata are JSON as clients send it.
    ///
    /// Registers a [hook](Rooms::on_leave) with the rooms, so create one handler for each `Rooms`.
    pub fn new(rooms: Rooms, presence: Presence<Box<RawValue>>, authorize: A) -> Self {
        let pending_joins = PendingJoins::default();
        let (people, joins) = (presence.clone(), pending_joins.clone());
        rooms.on_leave(move |departure| after_leave(&people, &joins, departure));
        Self {
            rooms,
            presence,
            authorize,
            pending_joins,
            authorize_timeout: Duration::from_secs(10),
            max_name_len: 256,
            max_data_size: 16 << 10,
        }
    }

    /// Sets how long your [`Authorize`] may take for a request. Default: 10 s. After that, the client receives an error
    /// that it may try again later, and the future of your method is dropped. Meanwhile, nothing more is read from the
    /// client, and `prism.js` gives a connection up on which nothing arrives for 35 s.
    #[must_use]
    pub fn authorize_timeout(mut self, timeout: Duration) -> Self {
        self.authorize_timeout = timeout;
        self
    }

    /// Sets the maximum length of the name of a room, in bytes. Default: 256.
    #[must_use]
    pub fn max_name_len(mut self, bytes: usize) -> Self {
        self.max_name_len = bytes;
        self
    }

    /// Sets the maximum size of the data of a message to a room, as JSON, in bytes. Default: 16 KiB. A client that
    /// sends more receives an error. If it exceeds [`max_message_size`](prism_driver::Config::max_message_size),
    /// which should therefore be larger, it is disconnected.
    #[must_use]
    pub fn max_data_size(mut self, bytes: usize) -> Self {
        self.max_data_size = bytes;
        self
    }

    /// Sends data to the members of a room. They receive it as a message that is from nobody.
    ///
    /// # Errors
    /// Returns an error if the data cannot be encoded as JSON. Then nothing is sent.
    pub fn send(
        &self,
        room: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Delivery, serde_json::Error> {
        let data = to_raw_value(data)?;
        let message = Answer::Message { room, from: None, data: &data };
        Ok(self.rooms.to(room).send(message.encode()))
    }

    /// Removes a connection from a room, ends its presence there, and tells the client, which does not join again by
    /// itself. Returns whether there was something to do.
    ///
    /// Also cancels a join that your [`Authorize`] is deciding about at this moment, which [`Rooms::leave`] cannot do. If
    /// the client asks again, your `Authorize` decides again. So to ban a user, first record that where it looks.
    pub fn remove(&self, id: ConnectionId, room: &str) -> bool {
        let was_joining = self.pending_joins.cancel(id, room);
        self.rooms.leave(id, room) || was_joining
    }

    /// Executes a request, if it is allowed.
    async fn execute(
        &self,
        connection: &Connection,
        request: &Request<'_>,
    ) -> Result<(), Rejection> {
        let room = &*request.room;
        match request.verb {
            Verb::Ping => return Ok(()),
            Verb::Leave => {
                self.rooms.leave(connection.id(), room);
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
        let pending = self.pending_joins.begin(connection.id(), room);
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

impl<A: Authorize> Handler for JsonRooms<A> {
    async fn on_connect(&self, connection: &Connection) {
        let (id, person) = (connection.id().to_string(), self.authorize.person(connection));
        let welcome = Answer::Welcome { version: 1, connection: &id, person: &person };
        let _ = connection.send(welcome.encode()).await; // fails only if the connection is closing
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let request = match Request::parse(message) {
            Ok(request) => request,
            Err((id, rejection)) => {
                let _ = connection.send(rejection.encode(id, None)).await; // as above
                return;
            }
        };
        let outcome = self.execute(connection, &request).await;
        let has_joined = outcome.is_ok() && matches!(request.verb, Verb::Join { .. });
        let answer = match outcome {
            Ok(()) => request.id.map(|id| Answer::Ok { id }.encode()),
            Err(rejection) => Some(rejection.encode(request.id, request.named_room())),
        };
        if let Some(answer) = answer {
            let _ = connection.send(answer).await; // as above
        }
        // A client ignores a `left` while it waits for the answer to a join, because it may be about an earlier stay.
        if has_joined && !self.rooms.contains(&request.room, connection.id()) {
            let _ = connection.send(Answer::Left { room: &request.room }.encode()).await; // as above
        }
    }
}

impl<A> fmt::Debug for JsonRooms<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRooms").field("rooms", &self.rooms).finish_non_exhaustive()
    }
}

/// Runs whenever a connection has left rooms, at its own request or by a call of your program.
fn after_leave(
    presence: &Presence<Box<RawValue>>,
    pending_joins: &PendingJoins,
    departure: &Departure<'_>,
) {
    let Departure { rooms, connection, .. } = *departure;
    if departure.ended {
        return; // presence notices by itself
    }
    for room in departure.left {
        // The connection may have joined again, or be about to. Then its presence is that of the newer stay.
        if pending_joins.contains(connection.id(), room) || rooms.contains(room, connection.id()) {
            continue;
        }
        forget(presence, connection, room);
        // A client that misses this learns it from the answer to its next request.
        let _ = connection.try_send(Answer::Left { room }.encode());
    }
}

fn forget(presence: &Presence<Box<RawValue>>, connection: &Connection, room: &str) {
    presence.unwatch(connection.id(), room);
    presence.untrack(connection.id(), room);
}
