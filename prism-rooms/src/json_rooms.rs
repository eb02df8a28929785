//! [`JsonRooms`]: a handler through which clients join rooms and send to them, as JSON.

use std::{fmt, time::Duration};

use prism_driver::{Connection, ConnectionId, Handler, Message};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    backplane::history::Keep,
    cluster::Cluster,
    history::{History, error::HistoryError},
    presence::Presence,
    rooms::{Delivery, Rooms},
};

mod answer;
pub(crate) mod authorize;
mod departures;
mod execute;
mod join;
mod kept_rooms;
mod malformed;
mod pending_requests;
mod rejection;
mod request;
mod strict;

use self::{
    answer::{Answer, send},
    authorize::Authorize,
    departures::after_leave,
    kept_rooms::KeptRooms,
    pending_requests::PendingRequests,
    request::{Request, Verb},
};

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
/// [rate](prism_driver::Options::message_rate) of what a client sends.
///
/// A client that does not read may miss messages to its rooms, as the [policy](prism_driver::WhenSlow) of its
/// connection says, but no answers. With `Wait`, the default, an answer waits for room in the outbox, and meanwhile
/// nothing more is read from that client. With `DropNewest` or `Close`, a client for whose answer there is no room is
/// closed with 1013. So is, with each policy, one for which your program's [removal](Self::remove) cannot be put into
/// the outbox. Do not use `DropOldest`, which drops answers unnoticed.
///
/// # History
///
/// A handler that is created [with a history](Self::with_history) keeps what is sent to rooms. A client that comes
/// back, to any node, is sent what it has missed, or told that this cannot be had. One that reads slowly gets it later.
/// Any member may read all that is kept of its room, also from before it came.
/// [The guide to history](crate::docs::history) says what you can rely on.
///
/// ```no_run
/// use std::{error::Error, time::Duration};
///
/// use prism_rooms::{Authorize, Cluster, JsonRooms, Keep, Presence};
///
/// async fn run(cluster: &Cluster, members: impl Authorize) -> Result<(), Box<dyn Error>> {
///     let keep = Keep::new(1000, Duration::from_secs(24 * 60 * 60));
///     let presence = Presence::on(cluster, "members");
///     let handler = JsonRooms::with_history(cluster, keep, presence, members)?
///         .kept_rooms(|room| !room.starts_with("cursors:")) // by default, all are kept
///         .recent_messages(20); // for clients that are new to a room; by default, they get none
///
///     // From elsewhere in your program:
///     let history = handler.history().expect("it has one");
///     history.append("tea", handler.message("tea", "the kettle is on")?).await?;
///     Ok(())
/// }
/// ```
///
/// # Messages of your own
///
/// Wrap the handler, and pass on what is not yours. In `prism.js`, `client.send` sends such messages, and the client's
/// event `message` has those that it does not know.
///
/// ```
/// use prism_rooms::{Authorize, JsonRooms};
/// use prism_tokio::{Connection, Handler, Message};
/// use serde::Deserialize;
///
/// struct Game<A>(JsonRooms<A>);
///
/// #[derive(Deserialize)]
/// #[serde(tag = "type", rename_all = "lowercase")]
/// enum Move {
///     Roll { sides: u32 },
/// }
///
/// impl<A: Authorize> Handler for Game<A> {
///     async fn on_connect(&self, connection: &Connection) {
///         self.0.on_connect(connection).await; // sends the welcome
///     }
///
///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
///         match message.as_text().map(serde_json::from_str) {
///             Some(Ok(Move::Roll { sides })) => {
///                 let rolled = format!(r#"{{"type":"rolled","number":{}}}"#, sides.min(4));
///                 let _ = connection.send(rolled).await; // fails only if the connection is closing
///             }
///             _ => self.0.on_message(connection, message).await,
///         }
///     }
/// }
/// ```
pub struct JsonRooms<A> {
    rooms: Rooms,
    presence: Presence<Box<RawValue>>,
    authorize: A,
    /// `None` if no messages are kept.
    kept: Option<KeptRooms>,
    pending_requests: PendingRequests,
    /// How many of the last messages of a room a client is sent that joins it without a position.
    recent_messages: u32,
    authorize_timeout: Duration,
    max_name_len: usize,
    max_data_size: usize,
}

impl<A: Authorize> JsonRooms<A> {
    /// Creates a handler for these rooms and this presence, whose metadata are JSON as clients send it.
    ///
    /// Registers a [hook](Rooms::on_leave) with the rooms, which tells each connection that leaves one. So create one
    /// handler for each `Rooms`, and let only its connections join them.
    pub fn new(rooms: Rooms, presence: Presence<Box<RawValue>>, authorize: A) -> Self {
        let pending_requests = PendingRequests::default();
        let (people, joins) = (presence.clone(), pending_requests.clone());
        rooms.on_leave(move |departure| after_leave(&people, &joins, departure));
        Self {
            rooms,
            presence,
            authorize,
            kept: None,
            pending_requests,
            recent_messages: 0,
            authorize_timeout: Duration::from_secs(10),
            max_name_len: 256,
            max_data_size: 16 << 10,
        }
    }

    /// Creates a handler for the rooms of a cluster, which keeps what clients send to them. All nodes of the cluster
    /// need such a handler, with the same `keep` and the same [`kept_rooms`](Self::kept_rooms).
    ///
    /// It sets up the cluster's [`History`]. Otherwise it is as one from [`new`](Self::new).
    ///
    /// # Errors
    /// If the cluster's backplane keeps no messages, or if the cluster has a history already.
    pub fn with_history(
        cluster: &Cluster,
        keep: Keep,
        presence: Presence<Box<RawValue>>,
        authorize: A,
    ) -> Result<Self, HistoryError> {
        let kept = Some(KeptRooms::of(cluster, keep)?);
        Ok(Self { kept, ..Self::new(cluster.rooms(), presence, authorize) })
    }

    /// Keeps only the messages to rooms for which `is_kept` returns `true`. By default, a handler with a
    /// [history](Self::with_history) keeps those to all rooms, and one without keeps none, whatever this returns.
    ///
    /// It is called for each join and each message, so it should be quick. It must always return the same for a room.
    #[must_use]
    pub fn kept_rooms(mut self, is_kept: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.kept = self.kept.map(|kept| kept.only(is_kept));
        self
    }

    /// Sets how many of a room's last messages a client is sent when it joins without a position, because it is new to
    /// the room. Default: 0. It is sent fewer if fewer are kept, or if it asks for fewer, and none of rooms that are
    /// not [kept](Self::kept_rooms). It receives them before the answer to its join, each once, and then what is new.
    #[must_use]
    pub fn recent_messages(mut self, count: u32) -> Self {
        self.recent_messages = count;
        self
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
    /// sends more receives an error. But a request of more than
    /// [`max_message_size`](prism_driver::Config::max_message_size), which should therefore be larger by at least 2
    /// KiB, ends the connection with 1009.
    #[must_use]
    pub fn max_data_size(mut self, bytes: usize) -> Self {
        self.max_data_size = bytes;
        self
    }

    /// Sends data to the members of a room. They receive it as a message without a sender. It is not kept, even if the
    /// room has a [history](Self::history).
    ///
    /// # Errors
    /// Returns an error if the data cannot be encoded as JSON. Then nothing is sent.
    pub fn send(
        &self,
        room: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Delivery, serde_json::Error> {
        Ok(self.rooms.to(room).send(self.message(room, data)?))
    }

    /// Encodes a message to a room, without a sender, to [append](History::append) it to the [history](Self::history),
    /// or to send it to whom you like:
    ///
    /// ```no_run
    /// # use prism_rooms::{Authorize, JsonRooms};
    /// # fn example(handler: &JsonRooms<impl Authorize>, me: prism_driver::ConnectionId) -> Result<(), serde_json::Error> {
    /// let message = handler.message("tea", &["the", "kettle", "is", "on"])?;
    /// handler.rooms().to("tea").except(me).or_close().send(message);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error if the data cannot be encoded as JSON.
    pub fn message(
        &self,
        room: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<String, serde_json::Error> {
        let data = to_raw_value(data)?;
        Ok(Answer::Message { room, from: None, data: &data, except: None }.encode())
    }

    /// Returns the rooms of the clients.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Returns the history of the rooms, if there is one. Append only what [`message`](Self::message) returns, and only
    /// to rooms that [are kept](Self::kept_rooms): otherwise clients ignore it, and believe that they have missed
    /// something.
    pub fn history(&self) -> Option<&History> {
        self.kept.as_ref().map(|kept| &kept.history)
    }

    /// Returns the presence of the clients.
    pub fn presence(&self) -> &Presence<Box<RawValue>> {
        &self.presence
    }

    /// Removes a connection of this node from a room, ends its presence there, and tells the client, which does not
    /// join again by itself. Returns whether there was something to do. In a [cluster](crate::Cluster), connections of
    /// other nodes are not found, and stay: call this on their node.
    ///
    /// Also cancels a join that your [`Authorize`] is deciding about at this moment, which [`Rooms::leave`] cannot do.
    /// If the client asks again, your `Authorize` decides again. So to ban a user, first record that where it looks.
    pub fn remove(&self, id: ConnectionId, room: &str) -> bool {
        let was_joining = self.pending_requests.cancel(id, room);
        self.rooms.leave(id, room) || was_joining
    }

    fn kept_room(&self, room: &str) -> Option<&KeptRooms> {
        self.kept.as_ref().filter(|kept| kept.contains(room))
    }
}

impl<A: Authorize> Handler for JsonRooms<A> {
    async fn on_connect(&self, connection: &Connection) {
        let (id, person) = (connection.id().to_string(), self.authorize.person(connection));
        let welcome = Answer::Welcome {
            version: 1,
            connection: &id,
            person: &person,
            max_data_size: self.max_data_size,
        };
        send(connection, welcome.encode()).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let request = match Request::parse(message) {
            Ok(request) => request,
            Err((id, rejection)) => {
                return send(connection, rejection.encode(id, None)).await;
            }
        };
        let outcome = self.execute(connection, &request).await;
        let has_joined = outcome.is_ok() && matches!(request.verb, Verb::Join(_));
        let answer = match &outcome {
            Ok(outcome) => request.id.map(|id| Answer::Ok { id, outcome }.encode()),
            Err(rejection) => Some(rejection.encode(request.id, request.named_room())),
        };
        if let Some(answer) = answer {
            send(connection, answer).await;
        }
        // A client ignores a `left` while it waits for the answer to a join, because it may be about an earlier stay.
        if has_joined && !self.rooms.contains(&request.room, connection.id()) {
            send(connection, Answer::Left { room: &request.room }.encode()).await;
        }
    }
}

impl<A> fmt::Debug for JsonRooms<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRooms").field("rooms", &self.rooms).finish_non_exhaustive()
    }
}
