//! A chat with several rooms: it shows who is there and who is typing, and has a page for the browser.
//!
//! ```text
//! rooms [ADDR]
//! ```
//!
//! A name stands for a person: two tabs with the same name are one person. Clients send lines of text, and
//! receive JSON:
//!
//! ```text
//! /name NAME           {"name": NAME}
//! /join ROOM           {"presence": "state", ...}, then "diff"s; joining again sends the state again
//! /leave ROOM          {"left": ROOM}
//! /who ROOM            {"who": ROOM, "people": [NAME, ...], "of": NUMBER}
//! /rooms [AFTER]       {"rooms": [{"room": ROOM, "members": NUMBER}, ...], "of": NUMBER}
//! /typing ROOM         a "diff" to everyone in the room
//! /quiet ROOM          the same, when the typing has stopped
//! ROOM MESSAGE         {"room": ROOM, "from": NAME, "text": MESSAGE} to everyone in the room
//! ```
//!
//! Everyone in a room receives `{"room": ROOM, "came": NAME}` when a person joins it, and
//! `{"room": ROOM, "gone": NAME}` when that person's last connection leaves it or ends. If the person only takes
//! another name, they receive `{"room": ROOM, "renamed": NAME, "to": NAME}`. A list has at most one page, and `of` is
//! the total. A line that is refused is answered with `{"error": WHY, "line": LINE}`. Requests for lists and new
//! names are refused if they come too fast. A client that does not read what it is sent misses messages, and also
//! answers.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_rooms::{Departure, Presence, PresenceOptions, Rooms, RoomsOptions};
use serde::Serialize;
use serde_json::{Value, json};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{
    Authorized, Connection, Deflate, Handler, Message, Options, Rate, Reply, Runtime, Server,
    WhenSlow, shared,
};

#[path = "page.rs"]
mod page;

/// How many rooms one connection may be in.
const MAX_ROOMS: usize = 32;

/// How many people may be in a room. Each of them is sent a list of all the others.
const MAX_PEOPLE: usize = 200;

/// How many entries a list has.
const PAGE_LEN: usize = 100;

/// How long a line may be, in bytes.
const MAX_LINE_LEN: usize = 16 << 10;

/// How fast one connection may send. A message to a room costs a thousand times more to deliver than to
/// send. This is faster than anyone types. The burst is for a page that reconnects: it sends its name and
/// joins its rooms at once.
const RATE: Rate = Rate { per_second: 20, burst: 100 };

/// While this many bytes are unsent, a client misses messages. This is an eighth of the default: clients share the
/// bytes of a long message, but each client that does not read has its own copy of the short ones.
const MAX_UNSENT: usize = 8 << 10;

/// The minimum time from one list or new name to the next. A list of rooms costs as much as a hundred lines, and a new
/// connection could request a hundred lists at once. A new name is announced in each of the connection's rooms, so it
/// counts once for each of them.
///
/// A line that comes too soon is refused. If the handler slept instead, it would hold the 64 KiB buffer that contains
/// the line.
const INTERVAL: Duration = Duration::from_millis(50);

/// Why a name is refused.
const BAD_NAME: &str =
    "a name has 1 to 24 characters, no space at either end, and no invisible characters";

/// Why the name of a room is refused.
const BAD_ROOM: &str =
    "a room name has 1 to 24 characters, no spaces, no invisible characters, and no / at the start";

const NOT_A_MEMBER: &str = "you are not in this room";

struct RoomsHandler<R> {
    rooms: Rooms,
    people: Arc<People>,
    runtime: R,
}

struct People {
    presence: Presence<Status>,
}

/// The data of a connection.
#[derive(Default)]
struct User {
    name: Mutex<String>,
    /// When the connection may send the next expensive line.
    next_expensive: Mutex<Duration>,
}

/// What the others in a room see of a person, besides the name.
#[derive(Serialize)]
struct Status {
    typing: bool,
}

impl User {
    fn of(connection: &Connection) -> &Self {
        connection.data().expect("each connection of the route has it")
    }

    fn name(&self) -> String {
        self.name.lock().unwrap().clone()
    }

    /// Sets the name. Returns the previous one.
    fn set_name(&self, name: &str) -> String {
        std::mem::replace(&mut *self.name.lock().unwrap(), name.to_owned())
    }
}

impl People {
    /// Shows a person to all who watch the room. Fails if the room is full.
    fn show(&self, connection: &Connection, room: &str, typing: bool) -> Result<(), String> {
        let name = User::of(connection).name();
        let shown = self.presence.track(connection, room, &name, Status { typing });
        shown.map_err(|error| error.to_string())
    }

    fn is_in(&self, room: &str, name: &str) -> bool {
        self.presence.person(room, name).is_some()
    }

    /// Runs whenever a connection has left rooms, including at its end. Presence would notice the end of a
    /// connection by itself, but has to know it before the others are told.
    fn on_leave(&self, departure: &Departure<'_>) {
        let (id, name) = (departure.connection.id(), User::of(departure.connection).name());
        for room in departure.left {
            self.presence.unwatch(id, room);
            self.presence.untrack(id, room);
            // The person may have another tab.
            if !self.is_in(room, &name) {
                announce(departure.rooms, room, "gone", &name);
            }
        }
    }
}

impl<R: Runtime> RoomsHandler<R> {
    fn new(runtime: R) -> Self {
        let options = PresenceOptions::default()
            .max_rooms_per_connection(MAX_ROOMS)
            .max_people_per_room(MAX_PEOPLE);
        let presence = Presence::with_options(runtime.clone(), options);
        let people = Arc::new(People { presence });
        let options = RoomsOptions::default().max_rooms_per_connection(MAX_ROOMS);
        let rooms = Rooms::with_options(options);
        rooms.on_leave({
            let people = people.clone();
            move |departure| people.on_leave(departure)
        });
        Self { rooms, people, runtime }
    }

    /// Gives a connection a name in all its rooms. If one of them refuses it, restores the old name in all.
    fn rename(&self, connection: &Connection, name: &str) -> Result<Value, String> {
        let id = connection.id();
        let rooms = self.rooms.rooms_of(id);
        self.allow(connection, rooms.len())?;
        let before = User::of(connection).set_name(name);
        let was_in: Vec<_> = rooms.iter().map(|room| self.people.is_in(room, name)).collect();
        let shown = rooms.iter().try_for_each(|room| self.people.show(connection, room, false));
        if let Err(refused) = shown {
            User::of(connection).set_name(&before);
            for room in &rooms {
                // Another person may have taken its place meanwhile. Then it leaves that room.
                if self.people.show(connection, room, false).is_err() {
                    self.rooms.leave(id, room);
                    let _ = connection.try_send(json!({ "left": room }).to_string());
                }
            }
            return Err(refused);
        }
        for (room, was_in) in rooms.iter().zip(was_in) {
            // A person with two tabs may have renamed one of them, or may have renamed one to the name of the other.
            match (self.people.is_in(room, &before), was_in) {
                (false, false) => {
                    let renamed = json!({ "room": room, "renamed": before, "to": name });
                    self.rooms.to(room).send(renamed.to_string());
                }
                (false, true) => announce(&self.rooms, room, "gone", &before),
                (true, false) => announce(&self.rooms, room, "came", name),
                (true, true) => {}
            }
        }
        Ok(json!({ "name": name }))
    }

    /// Lets a connection join a room, and sends it the state; sends the state again if it is in there.
    fn join(&self, connection: &Connection, room: &str) -> Result<(), String> {
        let (id, presence) = (connection.id(), &self.people.presence);
        if !self.rooms.contains(room, id) {
            let name = User::of(connection).name();
            let was_in = self.people.is_in(room, &name);
            // Presence comes first: if the room is full, the connection never joins it, and no departure is
            // announced.
            self.people.show(connection, room, false)?;
            if let Err(error) = self.rooms.join(connection, room) {
                presence.untrack(id, room);
                return Err(error.to_string());
            }
            if !was_in {
                announce(&self.rooms, room, "came", &name);
            }
        }
        presence.unwatch(id, room);
        presence.watch(connection, room).map(|_| ()).map_err(|error| error.to_string())
    }

    fn send(&self, connection: &Connection, room: &str, text: &str) -> Result<(), String> {
        let line = json!({ "room": room, "from": User::of(connection).name(), "text": text });
        self.rooms.to(room).send(line.to_string());
        self.people.show(connection, room, false)
    }

    /// Allows an expensive line, unless it comes too soon after the previous one. The line costs as many
    /// [intervals](INTERVAL) as given.
    fn allow(&self, connection: &Connection, intervals: usize) -> Result<(), String> {
        let now = self.runtime.now();
        let mut next = User::of(connection).next_expensive.lock().unwrap();
        let early = next.saturating_sub(now);
        if early > Duration::ZERO {
            return Err(format!(
                "too soon, expected no earlier than in {} ms",
                early.as_millis() + 1
            ));
        }
        *next = now + INTERVAL * intervals as u32; // at most `MAX_ROOMS`
        Ok(())
    }

    /// Lists the first people in a room.
    fn list_people(&self, room: &str) -> Value {
        let people = self.people.presence.list_after(room, None, PAGE_LEN);
        let people: Vec<_> = people.iter().map(|person| &*person.key).collect();
        json!({ "who": room, "people": people, "of": self.people.presence.count(room) })
    }

    /// Lists the first rooms after this name.
    fn list_rooms(&self, after: &str) -> Value {
        let room = |name| json!({ "room": name, "members": self.rooms.len(name) });
        let names = self.rooms.names_after(Some(after), PAGE_LEN);
        let rooms: Vec<_> = names.iter().map(|name| room(name)).collect();
        json!({ "rooms": rooms, "of": self.rooms.room_count() })
    }

    /// Executes a line. Returns the answer, if there is one, or why the line is refused.
    fn execute(&self, connection: &Connection, line: &str) -> Result<Option<Value>, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_in = |room| self.rooms.contains(room, connection.id());
        match word {
            "/name" if is_name(rest) => return self.rename(connection, rest).map(Some),
            "/name" => return Err(BAD_NAME.into()),
            "/join" if is_room(rest) => self.join(connection, rest)?,
            "/join" => return Err(BAD_ROOM.into()),
            "/leave" if is_in(rest) => {
                self.rooms.leave(connection.id(), rest);
                return Ok(Some(json!({ "left": rest })));
            }
            "/who" => return self.allow(connection, 1).map(|()| Some(self.list_people(rest))),
            "/rooms" => return self.allow(connection, 1).map(|()| Some(self.list_rooms(rest))),
            "/typing" if is_in(rest) => self.people.show(connection, rest, true)?,
            "/quiet" if is_in(rest) => self.people.show(connection, rest, false)?,
            room if is_in(room) => self.send(connection, room, rest)?,
            "/leave" | "/typing" | "/quiet" => return Err(NOT_A_MEMBER.into()),
            command if command.starts_with('/') => return Err("unknown command".into()),
            _ => return Err(NOT_A_MEMBER.into()),
        }
        Ok(None)
    }
}

/// Tells everyone in a room that a person came or is gone.
fn announce(rooms: &Rooms, room: &str, what: &str, name: &str) {
    rooms.to(room).send(json!({ "room": room, what: name }).to_string());
}

fn is_name(name: &str) -> bool {
    (1..=24).contains(&name.chars().count()) && name.trim() == name && !name.contains(is_hidden)
}

/// Returns whether a character is invisible, but makes a name look like another, or breaks a line of a
/// log. Characters that emoji and some scripts need are allowed, and so are letters that look alike: only
/// accounts can tell people apart for sure.
fn is_hidden(c: char) -> bool {
    let turns_text = matches!(c, '\u{61C}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}');
    let is_nothing = matches!(c, '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    c.is_control() || turns_text || is_nothing
}

fn is_room(room: &str) -> bool {
    is_name(room) && !room.contains(char::is_whitespace) && !room.starts_with('/')
}

impl<R: Runtime> Handler for RoomsHandler<R> {
    async fn on_connect(&self, connection: &Connection) {
        let name = format!("guest-{:.4}", connection.id());
        User::of(connection).set_name(&name);
        let answer = json!({ "name": name }).to_string();
        let _ = connection.send(answer).await; // fails only if the connection is closing
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let line = message.as_text().unwrap_or_default();
        let refused = |error| Some(json!({ "error": error, "line": line }));
        if let Some(answer) = self.execute(connection, line).unwrap_or_else(refused) {
            let _ = connection.send(answer.to_string()).await; // fails only if the connection is closing
        }
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(
    runtime: impl Runtime,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let options = Options::default()
        .max_message_size(MAX_LINE_LEN)
        .message_rate(Some(RATE))
        .high_water_mark(MAX_UNSENT)
        .compression(Deflate::default()) // lists of names become much shorter
        // No `send` waits. A handler that waits holds the 64 KiB buffer that contains its message, and a client could
        // cause that merely by sending requests without reading the answers.
        .when_slow(WhenSlow::DropNewest);
    // Each connection gets data of its own. (Here, everyone is authorized.)
    let rooms = shared(RoomsHandler::new(runtime))
        .authorize(async |_| Ok(Authorized::new(User::default())));
    let server = Server::bind(address)
        .await?
        .options(options)
        .get("/", |_| Reply::html(include_str!("rooms.html")))
        .get("/page/{file}", page::file)
        .websocket("/ws", rooms);
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
