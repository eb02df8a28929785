//! Rooms, broadcast and presence for Prism's connections, on every runtime.
//!
//! - [`Rooms`] groups connections, and sends a message to all members of a group.
//! - [`Presence`] tracks who is in a room, with metadata such as a status, and keeps watchers up to date.
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
//!                 departure.rooms.to(room).send(&format!("{} left", name(departure.connection)));
//!             }
//!         });
//!         Self { rooms }
//!     }
//! }
//!
//! impl Handler for Chat {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let room = connection.param("room").expect("the route has it");
//!         let _ = self.rooms.join(connection, room); // fails only if the connection has ended
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
//! use prism_driver::CloseCode;
//!
//! let delivery = rooms.to("tea").and("coffee").send("the kettle is on");
//! println!("{} received it, {} were too slow", delivery.delivered, delivery.dropped);
//!
//! rooms.everyone().send("the server restarts in ten minutes");
//! if let Some(connection) = rooms.one(id) {
//!     connection.try_send("you left your umbrella")?;
//! }
//! rooms.to("tea").close(CloseCode::GOING_AWAY, "the kettle is empty");
//! # Ok(()) }
//! ```
//!
//! ## Guarantees of rooms
//!
//! 1. **A connection that has ended is in no room**, however it ended: closed by either side, lost, after a
//!    panic in its handler, or because its task was dropped. It has left its rooms before `on_disconnect` is
//!    called, and cannot join again. In between, the [`on_leave`](Rooms::on_leave) hooks are called once, with
//!    the rooms that it was in.
//! 2. **A room exists exactly while it has members.** If the last member leaves just when another connection
//!    joins, the join is not lost, and no empty room remains.
//! 3. **Messages are delivered at most once.** A member receives a message once or not at all, even if it is in
//!    several of the rooms that the message is for. Nothing is stored or sent again: a connection that joins
//!    later does not receive earlier messages. "Delivered" means that the message is in the member's outbox.
//!    Only a reply of your own protocol can tell you that it has arrived.
//! 4. **A room has one order of messages.** All members receive its messages in the same order, that of their
//!    [stamps](Delivery::stamp). A message to several rooms, or to [everyone](Rooms::everyone), has a place in
//!    the order of each. Between rooms there is no order, except that the messages of one sender stay in the
//!    order in which they were sent. All rooms share one count of stamps, so gaps in a room's stamps do not mean
//!    that messages are missing.
//! 5. **A new member receives everything from then on**: all that is sent after [`join`](Rooms::join) has
//!    returned, and nothing that was sent before it was called.
//! 6. **A slow member delays no other member.** If it does not read, its outbox fills up (64 KiB, by
//!    [default](prism_driver::Options::high_water_mark)). From then on it misses each message that does not
//!    fit, as a whole, until it has read. For each message, [`Delivery::dropped`] counts the members that miss
//!    it. If a gap would make the rest useless, you can close those members instead, with
//!    [`or_close`](Recipients::or_close). A handler's own choice for slow peers
//!    ([`when_slow`](prism_driver::Handler::when_slow)) takes precedence. A member that reads nothing at all is
//!    disconnected after the [write timeout](prism_driver::Options::write_timeout), or sooner if the server
//!    holds [too much](prism_driver::ServerOptions::max_buffered) for all such members.
//!
//! ## Performance
//!
//! A message is encoded once, and a large one is shared instead of copied. While it is put into the members'
//! outboxes, its rooms are locked; that makes the order. Messages to different rooms are delivered in parallel.
//! Only a message to [everyone](Rooms::everyone) is delivered alone, and all rooms wait for it, so use that
//! sparingly. No lock is held while anything waits for a peer.
//!
//! A handler that sends to a room does not wake the tasks of idle members: its session writes to their sockets
//! itself, at the end of its turn, in one write for all messages of that turn. A sender outside of a handler,
//! such as a ticker or a spawned task, wakes the task of each member, which then writes. That costs more:
//! roughly 3 µs of CPU time for a delivery to one of 500 members, compared to a little over 2 µs from a handler
//! (a rough measurement, on a busy machine).
//!
//! All rooms share one lock, which gives messages to everyone their place in each order, and the counter of the
//! stamps. On two cores that costs little: two threads that each send to 500 of a thousand
//! small rooms send 1.88 times as many messages as one thread, compared to 1.94 times if they share nothing. If
//! both threads send to the same rooms it is 1.5 times, because the data of the rooms and their members moves
//! between the cores. More cores were not measured.
//!
//! # Presence
//!
//! A list of the people in a room, with some metadata for each, that stays up to date in every browser:
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
//! same person. To change what is shown of a connection, [`track`](Presence::track) it again.
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
//! After it come diffs, each with the next number:
//!
//! ```json
//! {"presence": "diff", "room": "lobby", "number": 8,
//!  "joined": [{"key": "ben", "connections": [{"id": "01234567...", "meta": {"typing": true}}]}],
//!  "updated": [], "left": ["ada"]}
//! ```
//!
//! In the browser that takes a few lines:
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
//! ([`DropOldest`](prism_driver::WhenSlow::DropOldest)). In that case the handler should answer the message
//! `the state, please` by calling [`unwatch`](Presence::unwatch) and [`watch`](Presence::watch), which sends the
//! state again.
//!
//! Your own program can watch too, without the JSON: see [`Presence::watch_here`].
//!
//! ## Guarantees of presence
//!
//! 1. **Every person shown has a connection.** When a connection ends, it is no longer shown. If a peer
//!    disappears without closing, the [keepalive](prism_driver::Config) notices that within 40 seconds, by
//!    default. That takes longer if the connection's handler is busy meanwhile: then nothing is read, so silence
//!    does not mean that the peer is gone.
//! 2. **The numbers have no gaps.** Changes are batched for a tenth of a second
//!    ([configurable](PresenceOptions::window)) and sent as one diff, with the next number. A diff contains each
//!    person at most once. If a person leaves and comes back within that time, watchers receive an update if
//!    the connection is a different one, and nothing otherwise.
//! 3. **A slow watcher catches up.** If its outbox has no room for a diff, the diff is skipped, and the watcher
//!    receives the whole state instead, at the end of the first window (a tenth of a second, whether or not
//!    anything changes in it) in which there is room. So a client never has to ask for the state; it only has to
//!    accept a state with any number. (If a handler
//!    [drops the oldest messages](prism_driver::WhenSlow::DropOldest), a diff may be among them. The client
//!    detects that by the gap, and gets the state by watching again.) A state of more than 64 KiB is encoded at
//!    most once a second, so a watcher that needs one waits up to a second while there are changes.
//! 4. **The state is what has been announced to watchers.** A new watcher receives changes that are still being
//!    batched a moment later, in the same diff as all other watchers. [`list`](Presence::list) and
//!    [`count`](Presence::count) include such changes at once.
//!
//! # Limits
//!
//! What one connection can make all the others store or receive is limited. [`RoomsOptions`] and
//! [`PresenceOptions`] set how many rooms one connection may be in, how many people may be in a room, and how
//! large their metadata may be. A call that would exceed a limit changes nothing and returns an error that names
//! the limit, a [`JoinError`] or a [`TrackError`]:
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
//!         let _ = connection.try_send(&error.to_string()); // such as: it is in too many rooms
//!     }
//! }
//! # }
//! ```
//!
//! A peer's request should not cost your server more than sending the answer does. To list rooms or people at a
//! peer's request, use the counts and the lists in pages ([`Rooms::names_after`], [`Presence::list_after`]).
//!
//! # Several processes
//!
//! Rooms and presence are local to a process. To connect several processes, you can build on two things: the
//! [`Stamp`] of a message identifies the process that sent it, and gives its place in the order of each room
//! that it was for; and a [connection's ID](prism_driver::ConnectionId) is unique across machines and identifies
//! the connection's process.

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
