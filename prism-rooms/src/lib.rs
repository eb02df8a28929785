//! Rooms, broadcast and presence for Prism's connections, on every runtime.
//!
//! [`Rooms`] says who hears what. [`Presence`] says who is there, and what they want known of them.
//! Each can be used without the other.
//!
//! # Rooms
//!
//! A room is a name, and the connections that have joined it. Put one [`Rooms`] into your handler,
//! and let connections in when it suits you:
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
//!         let _ = self.rooms.join(connection, room); // or it has gone already
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
//!     Server::bind("127.0.0.1:8080").await?.web_socket("/chat/{room}", chat).serve().await;
//!     Ok(())
//! }
//! ```
//!
//! There is no `on_disconnect`, because there is nothing to do in it: a connection leaves its rooms
//! when it ends, and a hook ([`Rooms::on_leave`]) announces that, however it ended. And there is no
//! `create` or `delete`: a room is there while somebody is in it.
//!
//! A clone of [`Rooms`] is the same rooms, so that the rest of your program can speak, too:
//!
//! ```no_run
//! # fn example(rooms: prism_rooms::Rooms, somebody: prism_driver::ConnectionId) -> Result<(), Box<dyn std::error::Error>> {
//! use prism_driver::CloseCode;
//!
//! let delivery = rooms.to("tea").and("coffee").send("the kettle is on");
//! println!("{} heard it, {} were too slow", delivery.delivered, delivery.dropped);
//!
//! rooms.everyone().send("the house closes in ten minutes");
//! if let Some(connection) = rooms.one(somebody) {
//!     connection.try_send("you left your umbrella")?;
//! }
//! rooms.to("tea").close(CloseCode::GOING_AWAY, "the kettle is empty");
//! # Ok(()) }
//! ```
//!
//! ## What you may rely on
//!
//! 1. **A connection that has ended is in no room**, however it ended: closed by either side, lost,
//!    after a panic in its handler, or because its task was dropped. That is so before
//!    `on_disconnect` is called, and it cannot join again. Between the two, the hooks of
//!    [`on_leave`](Rooms::on_leave) are told once which rooms it was in.
//! 2. **A room is there exactly while it has a member**, also where the last one leaves just when
//!    another joins: no join is lost, and no empty room remains.
//! 3. **At most once.** Each member gets a message once or not at all, also one that is in several of
//!    the rooms that it is for. Nothing is stored, and nothing is sent again: not to who was away, and
//!    not to who comes later. "Delivered" means that it is in the member's outbox; whether it
//!    arrives, only an answer of your own can tell.
//! 4. **One order.** All members of a room get its messages in the same order, that of their
//!    [stamps](Delivery::stamp). What is for several rooms, or for [everyone](Rooms::everyone), has its
//!    place in the order of each. Between rooms there is no order, except that one sender's messages
//!    stay in the sender's. Stamps are counted for all rooms together, so in one room's there are gaps
//!    though nothing is missing.
//! 5. **Who joins gets what is sent from then on**: all that is sent after [`join`](Rooms::join) has
//!    returned, and nothing that was sent before it was called.
//! 6. **Nobody waits for a slow member.** One that does not read fills its outbox (64 KiB, by
//!    [default](prism_driver::Options::high_water_mark)); from then on it misses what does not fit,
//!    until it has read. What it has missed is counted ([`Delivery::dropped`]), and is a whole
//!    message each time. If a gap makes no sense, have it closed instead:
//!    [`to(..).or_close()`](Recipients::or_close). What a member's own handler wants to be
//!    [missed](prism_driver::Handler::when_slow) comes first. One that takes no byte at all is cut by the
//!    [write timeout](prism_driver::Options::write_timeout).
//!
//! ## What it costs
//!
//! A message is encoded once, and large ones are shared, not copied. While it is put into the
//! members' outboxes the room is locked, which makes the order. Messages to other rooms pass side by
//! side with it; only one to [everyone](Rooms::everyone) waits until it is alone, and all rooms wait for
//! it: fit for a word now and then. No lock is held while anybody waits for a peer.
//!
//! A handler that sends to a room does not wake its members' tasks: its session writes to their sockets
//! itself, all that was sent in one turn at once. Who sends from elsewhere, such as a ticker or a task
//! that you spawned, wakes each member's task, and that writes for itself, which costs more: roughly 3 µs
//! of CPU for a delivery to one of 500 members, where from a handler it was a little over 2 (by a rough
//! measurement, on a busy machine).
//!
//! All rooms share a turnstile, by which a message to everyone has its place in each order, and the
//! counter of the stamps. On two cores that costs little: two threads that speak to a thousand small
//! rooms, half of them each, get 1.88 times as many messages out as one, and 1.94 times if they have
//! nothing in common. If they speak to the same rooms it is 1.5 times, because those and their members
//! go from core to core. On more cores it was not measured.
//!
//! # Presence
//!
//! A list of who is in a room, with a few words on each, that keeps itself up to date in every
//! browser:
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
//!         // Either fails if there are too many, or the connection has gone already.
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
//!     Server::bind("127.0.0.1:8080").await?.web_socket("/ws", lobby).serve().await;
//!     Ok(())
//! }
//! ```
//!
//! A person is a key of your choice: the id of an account, say. Several connections with the same key
//! are one person with several connections. To [`track`](Presence::track) a connection again changes
//! what is shown of it.
//!
//! ## What a watcher is told
//!
//! A connection that [watches](Presence::watch) a room is sent text messages of JSON. First, everybody
//! who is there:
//!
//! ```json
//! {"presence": "state", "room": "lobby", "number": 7, "people": [
//!     {"key": "ada", "connections": [{"id": "00abcdef...", "meta": {"typing": false}}]}
//! ]}
//! ```
//!
//! And then what has become different, each time with the next number:
//!
//! ```json
//! {"presence": "diff", "room": "lobby", "number": 8,
//!  "joined": [{"key": "ben", "connections": [{"id": "01234567...", "meta": {"typing": true}}]}],
//!  "updated": [], "left": ["ada"]}
//! ```
//!
//! In the browser that is a few lines:
//!
//! ```js
//! let people = new Map(), number;
//! function presence(news) {
//!   if (news.presence === 'state') people = new Map(news.people.map(person => [person.key, person]));
//!   else if (news.number !== number + 1) return socket.send('the state, please'); // there is a gap
//!   else for (const person of [...news.joined, ...news.updated]) people.set(person.key, person);
//!   for (const key of news.left ?? []) people.delete(key);
//!   number = news.number;
//! }
//! ```
//!
//! The gap is there only where your handler lets messages be dropped that were accepted
//! ([`DropOldest`](prism_driver::WhenSlow::DropOldest)). Then it should answer that line by
//! [`unwatch`](Presence::unwatch) and [`watch`](Presence::watch), which tells the state anew.
//!
//! Your own program can watch, too, without the JSON: [`Presence::watch_here`].
//!
//! ## What you may rely on here
//!
//! 1. **There are no ghosts.** Who is shown has a connection, and when that ends, it is not shown any
//!    more. A peer that vanishes without a word is noticed by the
//!    [keepalive](prism_driver::Config), within 40 seconds by default; later, if its handler is busy
//!    meanwhile: nobody reads then, so silence proves nothing.
//! 2. **The numbers have no gap.** Changes are gathered for a tenth of a second
//!    ([or as you like](PresenceOptions::window)) and told in one diff, with the next number. Each
//!    person is in it at most once. Who has gone and come back in that time has not moved: its
//!    watchers see an update, if its connection is another one, or nothing.
//! 3. **A slow watcher heals.** If there is no room for a diff in its outbox, it is left out, and the
//!    next thing that this watcher gets is the whole state, at the end of the first window (a tenth of a
//!    second, with or without changes in it) at which there is room. So a client never has to ask; only
//!    a state may follow on a number that is not the one before. (Where a handler has the
//!    [oldest](prism_driver::WhenSlow::DropOldest) messages dropped, a diff may be among them: the gap
//!    shows it, and to watch anew brings the state.) A state of more than 64 KiB is made once a second at
//!    most, so a watcher that needs one may wait that long while there are changes.
//! 4. **The state is what watchers have been told.** A watcher that comes while changes are gathered
//!    gets them a moment later, in the same diff as all others. [`list`](Presence::list) and
//!    [`count`](Presence::count) know them at once.
//!
//! # Limits
//!
//! What one member can make all others hold or hear is limited, so that nobody can make it more than it is
//! worth. [`RoomsOptions`] and [`PresenceOptions`] say how many rooms one connection may be in, how many
//! people may be in a room, and how large what is known of them may be. What is beyond a limit is refused,
//! with a [`JoinError`] or a [`TrackError`] that names it, and nothing has changed.
//!
//! ```no_run
//! # fn example(rooms: &prism_rooms::Rooms, connection: &prism_driver::Connection) {
//! use prism_rooms::JoinError;
//!
//! match rooms.join(connection, "tea") {
//!     Ok(true) => {
//!         rooms.to("tea").send("somebody came in");
//!     }
//!     Ok(false) | Err(JoinError::Ended) => {} // it was in already, or has gone
//!     Err(error) => {
//!         let _ = connection.try_send(&error.to_string()); // such as: it is in too many rooms
//!     }
//! }
//! # }
//! ```
//!
//! Whatever your handler does because a peer asks for it should cost no more than the answer: so there are
//! counts, and lists by the page ([`Rooms::names_after`], [`Presence::list_after`]).
//!
//! # In several processes
//!
//! All this is local to the process. What it takes to cross to others is there: the [`Stamp`] of a
//! message says which process it comes from, and its place in the order of each room that it was for;
//! and a [connection's id](prism_driver::ConnectionId) is unique across machines, and says where it is.

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
