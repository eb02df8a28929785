//! Rooms: several chats at once, who is in them and who is typing, and a page for the browser.
//!
//! ```text
//! rooms [ADDR]
//! ```
//!
//! A person is a name here: two tabs with the same one are one person. It is sent text, and answers
//! with JSON:
//!
//! ```text
//! /name NAME           {"name": NAME}
//! /join ROOM           {"presence": "state", ...}, and "diff"s from then on; again, the state again
//! /leave ROOM          {"left": ROOM}
//! /who ROOM            {"who": ROOM, "people": [NAME, ...], "of": NUMBER}
//! /rooms [AFTER]       {"rooms": [{"room": ROOM, "members": NUMBER}, ...], "of": NUMBER}
//! /typing ROOM         a "diff" to all who are in the room
//! /quiet ROOM          the same, when there is no more typing
//! ROOM MESSAGE         {"room": ROOM, "from": NAME, "text": MESSAGE}, to all who are in it
//! ```
//!
//! Those who are in a room are told `{"room": ROOM, "came": NAME}` when somebody has joined it, and
//! `{"room": ROOM, "gone": NAME}` when that person's last connection has left it, or has ended. Lists are
//! a page long: `of` is how many there are in all. What is refused is answered with
//! `{"error": WHY, "line": LINE}`.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_rooms::{Departure, Presence, PresenceOptions, Rooms, RoomsOptions};
use serde::Serialize;
use serde_json::{Value, json};

use crate::prism::{
    Connection, ConnectionId, Disconnect, Handler, Message, Options, Rate, Reply, Runtime, Server,
};

/// How many rooms one connection may be in, how many of anything are listed, and how long what is sent
/// may be, in bytes.
const MOST_ROOMS: usize = 32;
const MOST_LISTED: usize = 100;
const LONGEST: usize = 16 << 10;

/// How fast one connection may talk. What it says goes to all in the room, so it costs a thousand times
/// more to pass on than to say. Nobody types so fast; but a page that comes back says its name and joins
/// its rooms at once, and that should not have to wait.
const RATE: Rate = Rate { per_second: 20, burst: 100 };

/// How long a connection that was told a list waits before its next line is read. A list of rooms costs as
/// much as a hundred lines, and a connection that has just come could ask for a hundred lists at once.
const AFTER_LIST: Duration = Duration::from_millis(50);

struct House<R> {
    rooms: Rooms,
    people: Arc<People>,
    runtime: R,
}

struct People {
    presence: Presence<Status>,
    names: Mutex<HashMap<ConnectionId, String>>,
}

/// What the others in a room see of a person, beside the name.
#[derive(Serialize)]
struct Status {
    typing: bool,
}

impl People {
    fn name(&self, connection: &Connection) -> String {
        self.names.lock().unwrap()[&connection.id()].clone()
    }

    /// All who watch the room see this person in it, unless it is full.
    fn show(&self, connection: &Connection, room: &str, typing: bool) -> Result<(), String> {
        let name = self.name(connection);
        let shown = self.presence.track(connection, room, &name, Status { typing });
        shown.map_err(|error| error.to_string())
    }

    fn is_in(&self, room: &str, name: &str) -> bool {
        self.presence.person(room, name).is_some()
    }

    /// Called whenever a connection has left rooms, by itself or because it has ended. (Of one that has
    /// ended, presence knows or will know by itself. Here it has to, for the others' sake.)
    fn part(&self, departure: &Departure<'_>) {
        let (id, name) = (departure.connection.id(), self.name(departure.connection));
        for room in departure.left {
            self.presence.unwatch(id, room);
            self.presence.untrack(id, room);
            // Unless there is another tab.
            if !self.is_in(room, &name) {
                tell(departure.rooms, room, "gone", &name);
            }
        }
    }
}

impl<R: Runtime> House<R> {
    fn new(runtime: R) -> Self {
        let options = PresenceOptions::default().max_rooms_per_connection(MOST_ROOMS);
        let presence = Presence::with_options(runtime.clone(), options);
        let people = Arc::new(People { presence, names: Mutex::default() });
        let options = RoomsOptions::default().max_rooms_per_connection(MOST_ROOMS);
        let rooms = Rooms::with_options(options);
        rooms.on_leave({
            let people = people.clone();
            move |departure| people.part(departure)
        });
        Self { rooms, people, runtime }
    }

    /// Gives a connection a name in all its rooms; if one of them refuses it, the old name back in all.
    fn call(&self, connection: &Connection, name: &str) -> Result<Value, String> {
        let id = connection.id();
        let set = |name: &str| self.people.names.lock().unwrap().insert(id, name.to_owned());
        let before = set(name).unwrap_or_else(|| name.to_owned());
        let rooms = self.rooms.rooms_of(id);
        let was_in: Vec<_> = rooms.iter().map(|room| self.people.is_in(room, name)).collect();
        let shown = rooms.iter().try_for_each(|room| self.people.show(connection, room, false));
        if let Err(refused) = shown {
            set(&before);
            for room in &rooms {
                // Its place may have gone to somebody else: then it is in that room no longer.
                if self.people.show(connection, room, false).is_err() {
                    self.rooms.leave(id, room);
                    let _ = connection.try_send(&json!({ "left": room }).to_string());
                }
            }
            return Err(refused);
        }
        for (room, was_in) in rooms.iter().zip(was_in) {
            if !was_in {
                tell(&self.rooms, room, "came", name);
            }
            if !self.people.is_in(room, &before) {
                tell(&self.rooms, room, "gone", &before);
            }
        }
        Ok(json!({ "name": name }))
    }

    /// Lets a connection in and tells it who is there; tells it again if it was in.
    fn join(&self, connection: &Connection, room: &str) -> Result<(), String> {
        let (id, presence) = (connection.id(), &self.people.presence);
        if !self.rooms.contains(room, id) {
            let name = self.people.name(connection);
            let was_in = self.people.is_in(room, &name);
            // Shown first: if there is no place, it has never been in the room, and nobody is told that it
            // has left.
            self.people.show(connection, room, false)?;
            if let Err(error) = self.rooms.join(connection, room) {
                presence.untrack(id, room);
                return Err(error.to_string());
            }
            if !was_in {
                tell(&self.rooms, room, "came", &name);
            }
        }
        presence.unwatch(id, room);
        presence.watch(connection, room).map(|_| ()).map_err(|error| error.to_string())
    }

    fn say(&self, connection: &Connection, room: &str, text: &str) -> Result<(), String> {
        let line = json!({ "room": room, "from": self.people.name(connection), "text": text });
        self.rooms.to(room).send(&line.to_string());
        self.people.show(connection, room, false)
    }

    fn who(&self, room: &str) -> Value {
        let people = self.people.presence.list_after(room, None, MOST_LISTED);
        let people: Vec<_> = people.iter().map(|person| &*person.key).collect();
        json!({ "who": room, "people": people, "of": self.people.presence.count(room) })
    }

    /// The first rooms, or the first behind one of them.
    fn some_rooms(&self, after: &str) -> Value {
        let room = |name| json!({ "room": name, "members": self.rooms.len(name) });
        let names = self.rooms.names_after(Some(after), MOST_LISTED);
        let rooms: Vec<_> = names.iter().map(|name| room(name)).collect();
        json!({ "rooms": rooms, "of": self.rooms.room_count() })
    }

    /// Does what a line asks for; the answer, if there is one, or why not.
    fn obey(&self, connection: &Connection, line: &str) -> Result<Option<Value>, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_in = |room| self.rooms.contains(room, connection.id());
        match word {
            "/name" if is_name(rest) => return self.call(connection, rest).map(Some),
            "/join" if is_room(rest) => self.join(connection, rest)?,
            "/leave" if is_in(rest) => {
                self.rooms.leave(connection.id(), rest);
                return Ok(Some(json!({ "left": rest })));
            }
            "/who" => return Ok(Some(self.who(rest))),
            "/rooms" => return Ok(Some(self.some_rooms(rest))),
            "/typing" if is_in(rest) => self.people.show(connection, rest, true)?,
            "/quiet" if is_in(rest) => self.people.show(connection, rest, false)?,
            room if is_in(room) => self.say(connection, room, rest)?,
            _ => return Err("a bad name, or not your room".into()),
        }
        Ok(None)
    }
}

/// Tells all who are in a room what somebody has done.
fn tell(rooms: &Rooms, room: &str, what: &str, name: &str) {
    rooms.to(room).send(&json!({ "room": room, what: name }).to_string());
}

fn is_name(name: &str) -> bool {
    (1..=24).contains(&name.chars().count()) && name.trim() == name && !name.contains(is_hidden)
}

/// Whether a character is not seen, but makes a name look like another, or breaks a line of a log. (Not
/// those that emoji and some scripts need. Letters that look alike are let through: to tell people apart
/// for sure takes accounts.)
fn is_hidden(c: char) -> bool {
    let turns_text = matches!(c, '\u{61C}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}');
    let is_nothing = matches!(c, '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    c.is_control() || turns_text || is_nothing
}

fn is_room(room: &str) -> bool {
    is_name(room) && !room.contains(char::is_whitespace) && !room.starts_with('/')
}

fn is_for_list(line: &str) -> bool {
    matches!(line.split(' ').next(), Some("/rooms" | "/who"))
}

impl<R: Runtime> Handler for House<R> {
    async fn on_connect(&self, connection: &Connection) {
        let name = format!("guest-{:.4}", connection.id());
        let answer = self.call(connection, &name).expect("it is in no room");
        let _ = connection.send(&answer.to_string()).await; // or it has gone already
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let line = message.as_text().unwrap_or_default();
        let refused = |error| Some(json!({ "error": error, "line": line }));
        if let Some(answer) = self.obey(connection, line).unwrap_or_else(refused) {
            let _ = connection.send(&answer.to_string()).await; // or it is about to go
        }
        if is_for_list(line) {
            let _ = self.runtime.sleep(AFTER_LIST).await;
        }
    }

    // It has left its rooms already, and that has been told.
    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.people.names.lock().unwrap().remove(&connection.id());
    }
}

/// Serves until `shutdown` is ready, and everybody has left.
pub(crate) async fn serve(
    runtime: impl Runtime,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let mut options = Options::default();
    options.protocol.max_message_size = LONGEST;
    options.message_rate = Some(RATE);
    let server = Server::bind(address)
        .await?
        .options(options)
        .get("/", |_| Reply::html(include_str!("rooms.html")))
        .websocket("/ws", House::new(runtime));
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
