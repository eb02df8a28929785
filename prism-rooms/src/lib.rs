//! Rooms, broadcast and presence for Prism's connections, on every runtime.
//!
//! - [`Rooms`] groups connections, and sends a message to all members of a group.
//! - [`Presence`] tracks who is in a room, with metadata such as a status, and sends each change to the connections
//!   that watch the room.
//!
//! You can use each without the other.
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
//! ## Guarantees of rooms
//!
//! 1. **A connection that has ended is in no room.** This holds however the connection ended: closed by either
//!    side, lost, after a panic of its handler, or because its task was dropped. The connection first leaves its
//!    rooms, and cannot join again. Then, if it was in any room, each [`on_leave`](Rooms::on_leave) hook is called
//!    once, with all of its rooms. Both happen before `on_disconnect`, which is not called if the task was
//!    dropped.
//! 2. **A room exists exactly while it has members.** If the last member leaves just when another connection
//!    joins, the join is not lost, and no empty room remains.
//! 3. **Messages are delivered at most once.** A member receives a message once or not at all, even if it is in
//!    several of the rooms that the message is for. Nothing is stored or sent again: a connection that joins
//!    later does not receive earlier messages. "Delivered" means that the message was put into the member's
//!    outbox, the buffer of bytes that are still to be sent. To learn that a message has arrived, let your clients
//!    acknowledge it.
//! 4. **A room has one order of messages.** All members receive its messages in the same order. Each message has a
//!    [stamp](Delivery::stamp), whose number increases in that order. A message to several rooms, or to
//!    [everyone](Rooms::everyone), has one place in the order of each room concerned: all members of the room
//!    receive it at that place. Messages to different rooms have no common order, with one exception: if one
//!    `send` has returned before another is called, a connection that receives both messages receives them in that
//!    order. All rooms share one counter of stamps, so a gap in a room's stamps does not mean that a message is
//!    missing.
//! 5. **A new member is sent all later messages**: every message that is sent after [`join`](Rooms::join) has
//!    returned, and none that was sent before `join` was called. A message that is sent during the call may or may
//!    not be among them.
//! 6. **A slow member delays no other member.** If it does not read, its outbox fills up (64 KiB and one
//!    message, by [default](prism_driver::Options::high_water_mark)). From then on, each message is dropped for this
//!    member, always as a whole, until the member has read enough. For each message, [`Delivery::dropped`]
//!    counts the members that miss it. If a gap would make the rest useless, you can close those members
//!    instead, with [`or_close`](Recipients::or_close). If a member's connection has the policy `DropOldest` or
//!    `Close` for slow peers ([`when_slow`](prism_driver::Options::when_slow)), that policy takes precedence. A
//!    broadcast never waits. A member that reads nothing is disconnected after the
//!    [write timeout](prism_driver::Options::write_timeout), or sooner if the server holds more than
//!    [`max_buffered`](prism_driver::ServerOptions::max_buffered) for all peers that do not read.
//!
//! ## Performance
//!
//! A message is encoded once, and a large one is shared instead of copied. While a message is put into the
//! members' outboxes, its rooms are locked, which keeps the messages of a room in order. Messages to different
//! rooms are delivered in parallel. While a message to [everyone](Rooms::everyone) is being delivered, all other
//! messages wait, so use `everyone` sparingly. No lock is held while anything waits for a peer.
//!
//! When a handler sends to a room, the tasks of idle members are not woken. When the handler next waits, or soon
//! after it returns, its own task writes to their sockets: one write for each socket, with everything that the
//! handler has sent. A sender outside of a handler, such as a ticker or a spawned task, wakes the task of each
//! member, which then writes. That costs more: with 500 members, roughly 3 µs of CPU time for each member,
//! compared to a little over 2 µs from a handler (measured on a busy machine).
//!
//! All rooms share two things: the counter of stamps, and a read-write lock that only a message to everyone takes
//! exclusively. On two cores this costs little. Two threads, each of which sends to 500 small rooms of its own,
//! send 1.90 times as many messages as one thread; two threads that share nothing, because each has a `Rooms` of
//! its own, send 1.93 times as many. If both threads send to the same rooms, they send 1.5 times as many, because
//! the data of the rooms and their members moves between the cores. More cores were not measured.
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
//! ## Messages to watchers
//!
//! A connection that [watches](Presence::watch) a room receives JSON text messages. The first is the state,
//! which lists all people in the room:
//!
//! ```json
//! {"presence": "state", "room": "lobby", "number": 7, "people": [
//!     {"key": "ada", "connections": [{"id": "00abcdef...", "meta": {"typing": false}}]}
//! ]}
//! ```
//!
//! Diffs follow. The numbers of a room are consecutive: each diff has the next one.
//!
//! ```json
//! {"presence": "diff", "room": "lobby", "number": 8,
//!  "joined": [{"key": "ben", "connections": [{"id": "01234567...", "meta": {"typing": true}}]}],
//!  "updated": [], "left": ["ada"]}
//! ```
//!
//! In the browser, a few lines of code keep the list up to date:
//!
//! ```js
//! let people = new Map(), number;
//! function presence(change) {
//!   if (change.presence === 'state') people = new Map(change.people.map(person => [person.key, person]));
//!   else if (change.number !== number + 1) return socket.send('the state, please'); // there is a gap
//!   else for (const person of [...change.joined, ...change.updated]) people.set(person.key, person);
//!   for (const key of change.left ?? []) people.delete(key);
//!   number = change.number;
//! }
//! ```
//!
//! A gap is only possible if your handler lets accepted messages be dropped
//! ([`DropOldest`](prism_driver::WhenSlow::DropOldest)). Otherwise the client never has to ask for the state, and
//! the line with the comment is not needed. `the state, please` is a message of your own protocol: the handler
//! should answer it by calling [`unwatch`](Presence::unwatch) and [`watch`](Presence::watch), which sends the
//! state again.
//!
//! Your own program can watch too, without the JSON: see [`Presence::watch_here`].
//!
//! ## Guarantees of presence
//!
//! 1. **Every person shown has a connection.** When a connection ends, it is no longer shown. If a peer
//!    disappears without closing, the [keepalive](prism_driver::Config) notices that within 40 seconds, by
//!    default. It takes longer if the connection's handler is busy: then nothing is read, so silence does not
//!    mean that the peer is gone.
//! 2. **Diffs are numbered consecutively.** Changes are batched for a tenth of a second
//!    ([configurable](PresenceOptions::window)) and sent as one diff, with the next number. A diff contains
//!    each person at most once. If a person leaves and comes back within that time, watchers receive an update
//!    if the connection or its metadata has changed, and nothing otherwise.
//! 3. **A slow watcher catches up.** If its outbox is full, a diff is skipped. From then on, whenever changes are sent
//!    to others, and once a second otherwise, Prism checks whether the outbox accepts messages again, and if so,
//!    sends the whole state. So the client must accept a state with any number, but never has to ask for one.
//!    (There is one exception. If the handler [drops the oldest messages](prism_driver::WhenSlow::DropOldest), a
//!    diff may be among them. The client detects the gap, and has to ask your handler to call `unwatch` and
//!    `watch`.) A state of more than 64 KiB is encoded at most once a second. If the room has changed since the
//!    last time, a watcher that needs such a state (a new watcher, for example) waits up to a second for it.
//! 4. **The state is what has been announced to watchers.** Changes that are still being batched are not in the
//!    state that a new watcher receives. They follow in the next diff, which all watchers receive.
//!    [`list`](Presence::list) and [`count`](Presence::count) include such changes at once.
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
//! Rooms and presence are local to a process. Two things help you to connect several processes. The [`Stamp`] of a
//! message identifies the process that sent it, and orders it among the messages that this process sent to the
//! same room. The [ID of a connection](prism_driver::ConnectionId) is globally unique, and identifies the
//! connection's process.

mod directory;
mod error;
mod member_records;
mod options;
mod presence;
mod rooms;
mod shards;
mod sync;

pub use crate::{
    error::{JoinError, TrackError},
    options::{PresenceOptions, RoomsOptions},
    presence::{Change, Person, Presence, Tracked, Watch},
    rooms::{Delivery, Departure, Recipients, Rooms, Stamp},
};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
