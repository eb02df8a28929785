//! Rooms, broadcast and presence for Prism's connections, on every runtime.
//!
//! - [`Rooms`] groups connections into rooms, and sends a message to all members of a room.
//! - A [`Cluster`] makes rooms span several processes, and a [`History`] keeps their messages for clients that come
//!   back.
//! - [`Presence`] tracks who is in a room, with metadata such as a status, and sends each change to the connections
//!   that watch the room.
//! - [`JsonRooms`] is a handler that gives rooms and presence to [browsers](docs::browser), as JSON.
//!
//! You can use rooms and presence without each other.
//!
//! # Rooms
//!
//! A room is a name, together with the connections that have joined it. Put a [`Rooms`] into your handler, and
//! let connections join when it suits you:
//!
//! ```no_run
//! use prism_rooms::Rooms;
//! use prism_tokio::{Connection, Handler, Message, Server};
//!
//! struct Chat {
//!     rooms: Rooms,
//! }
//!
//! fn name(connection: &Connection) -> &str {
//!     connection.query().unwrap_or("somebody")
//! }
//!
//! impl Chat {
//!     fn new() -> Self {
//!         let rooms = Rooms::new();
//!         rooms.on_leave(|departure| {
//!             for room in departure.left {
//!                 departure.rooms.to(room).send(format!("{} left", name(departure.connection)));
//!             }
//!         });
//!         Self { rooms }
//!     }
//! }
//!
//! impl Handler for Chat {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let room = connection.param("room").expect("the route has it");
//!         let _ = self.rooms.join(connection, room); // fails if a limit is reached, or the connection has ended
//!     }
//!
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let room = connection.param("room").expect("the route has it");
//!         self.rooms.to(room).except(connection.id()).send(message);
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let chat = Chat::new();
//!     Server::bind("127.0.0.1:8080").await?.websocket("/chat/{room}", chat).serve().await;
//!     Ok(())
//! }
//! ```
//!
//! The handler needs no `on_disconnect`: a connection leaves its rooms when it ends, however it ends, and the
//! [`on_leave`](Rooms::on_leave) hook announces it. There is no need to create or delete rooms either: a room
//! exists while it has members.
//!
//! A clone of [`Rooms`] shares the same rooms, so other parts of your program can send too:
//!
//! ```no_run
//! # fn example(rooms: prism_rooms::Rooms, id: prism_driver::ConnectionId) -> Result<(), Box<dyn std::error::Error>> {
//! # use prism_driver::CloseCode;
//! let delivery = rooms.to("tea").and("coffee").send("the kettle is on");
//! println!("sent to {}, {} were too slow", delivery.delivered, delivery.dropped);
//!
//! // Everyone: all connections that have joined a room, or were added to `rooms`, and have not ended.
//! rooms.everyone().send("the server restarts in ten minutes");
//! if let Some(connection) = rooms.one(id) {
//!     connection.try_send("you left your umbrella")?;
//! }
//! rooms.to("tea").close(CloseCode::GOING_AWAY, "the kettle is empty");
//! # Ok(()) }
//! ```
//!
//! If the handlers of the members have to do something themselves, each with its own state, use
//! [`wake`](Recipients::wake): it runs [`on_wake`](prism_driver::ConnectionHandler::on_wake) of each member's handler.
//!
//! In short:
//!
//! - A connection that has ended is in no room, and a room exists exactly while it has members.
//! - A message is delivered at most once, and all members of a room (in a cluster: on one node) receive its messages in
//!   the same order.
//! - A slow member delays no other member. It misses messages instead, or is closed: you choose.
//!
//! [What you can rely on in rooms](docs::rooms) states this exactly, and says what a message costs. The example
//! [`rooms`](https://github.com/prism-rs/prism/blob/main/examples/rooms.rs) is a chat with several rooms: who is there,
//! who is typing, what is unread.
//!
//! # Presence
//!
//! [`Presence`] maintains a list of the people in a room, with metadata for each, and keeps that list up to date
//! in every browser that watches:
//!
//! ```no_run
//! use prism_rooms::Presence;
//! use prism_tokio::{Connection, Handler, Message, Server, Tokio};
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Status {
//!     typing: bool,
//! }
//!
//! struct Lobby {
//!     presence: Presence<Status>,
//! }
//!
//! impl Handler for Lobby {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let name = connection.query().unwrap_or("somebody");
//!         let status = Status { typing: false };
//!         // Both fail if a limit is reached, or if the connection has ended.
//!         let _ = self.presence.track(connection, "lobby", name, status);
//!         let _ = self.presence.watch(connection, "lobby");
//!     }
//!
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let name = connection.query().unwrap_or("somebody");
//!         let status = Status { typing: message == Message::Text("typing") };
//!         let _ = self.presence.track(connection, "lobby", name, status);
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let lobby = Lobby { presence: Presence::new(Tokio) };
//!     Server::bind("127.0.0.1:8080").await?.websocket("/ws", lobby).serve().await;
//!     Ok(())
//! }
//! ```
//!
//! A person is a key of your choice, such as the ID of an account. Connections with the same key belong to the
//! same person. To change the metadata of a connection, [`track`](Presence::track) it again.
//!
//! A connection that [watches](Presence::watch) a room is sent JSON: first the list of all people, then numbered
//! changes. [What watchers receive](docs::presence) has the format, a few lines of JavaScript that keep the list up to
//! date in a browser, and what you can rely on. Your own program can watch too, without the JSON: see
//! [`Presence::watch_here`].
//!
//! # Limits
//!
//! One connection can make the server store, and send to others, only a limited amount. [`RoomsOptions`] and
//! [`PresenceOptions`] set how many rooms one connection may be in, how many people may be in a room, and how
//! large their metadata may be. A call that would exceed a limit changes nothing and returns a [`JoinError`] or a
//! [`TrackError`], which names the limit:
//!
//! ```no_run
//! # fn example(rooms: &prism_rooms::Rooms, connection: &prism_driver::Connection) {
//! use prism_rooms::JoinError;
//!
//! match rooms.join(connection, "tea") {
//!     Ok(true) => {
//!         rooms.to("tea").send("somebody joined");
//!     }
//!     Ok(false) | Err(JoinError::Ended) => {} // it was in the room already, or has ended
//!     Err(error) => {
//!         let _ = connection.try_send(error.to_string()); // such as: it is in too many rooms
//!     }
//! }
//! # }
//! ```
//!
//! A peer's request should not cost your server more than sending the answer does. To list rooms or people at a
//! peer's request, use the counts and the paged lists ([`Rooms::names_after`], [`Presence::list_after`]).
//!
//! # Several processes
//!
//! [`Rooms::new`] and [`Presence::new`] are local to a process. The [`rooms`](Cluster::rooms) of a [`Cluster`] span
//! several: each process is a node, and a message reaches the members on all nodes. [`Presence::on`] shows the people
//! on all nodes. Nodes exchange messages over a [`Backplane`], such as
//! [Redis](https://github.com/prism-rs/prism/tree/main/prism-rooms-redis) or
//! [NATS](https://github.com/prism-rs/prism/tree/main/prism-rooms-nats). The guides to [clusters](docs::cluster) and to
//! [presence in them](docs::cluster_presence) say what you can rely on when it fails.
//!
//! # Clients that come back
//!
//! A [`History`] keeps the messages of rooms for a while. A client that was away comes back with the [`Position`] of
//! the last message that it has. It gets what it has missed, or the application is told that messages are lost:
//!
//! ```no_run
//! # async fn send_everything(_: &prism_driver::Connection) {}
//! # async fn example(history: prism_rooms::History, connection: prism_driver::Connection) -> Result<(), Box<dyn std::error::Error>> {
//! use prism_rooms::Joined;
//!
//! let position = connection.query().and_then(|query| query.parse().ok());
//! if let Joined::Broken { .. } = history.join(&connection, "tea", position).await? {
//!     send_everything(&connection).await;
//! }
//! history.append("tea", "the kettle is on").await?; // to the members on all nodes
//! # Ok(()) }
//! ```
//!
//! [The guide to history](docs::history) says what you can rely on.

mod backplane;
mod cluster;
mod directory;
pub mod docs;
mod error;
mod history;
mod json_rooms;
mod member_records;
mod options;
mod presence;
mod rooms;
#[cfg(all(test, not(prism_loom)))]
mod seeds;
mod shards;
mod shared_message;
mod signal;
mod stamp;
mod sync;

pub use crate::{
    backplane::{
        Backplane, Session, SessionFuture,
        command::{Channel, Command, Ticket},
        history::{Append, Keep, Page, Read},
        memory::{MemoryBackplane, MemoryBroker},
    },
    cluster::{
        Cluster, ClusterEvents,
        elsewhere::Elsewhere,
        event::{ClusterCounts, ClusterEvent, MemberCount},
        node_id::NodeId,
    },
    error::{JoinError, TrackError},
    history::{
        History,
        error::{AppendError, HistoryError, HistoryJoinError},
        joined::Joined,
        position::{InvalidPosition, Position},
    },
    json_rooms::{
        JsonRooms, PRISM_JS,
        authorize::{Action, Authorize, Refusal},
    },
    options::{PresenceOptions, RoomsOptions},
    presence::{Change, Person, Presence, Tracked, Watch},
    rooms::{Closed, Delivery, Departure, Recipients, Rooms},
    stamp::Stamp,
};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
