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
//! /join ROOM           {"presence": "state", ...}, and "diff"s from then on
//! /leave ROOM          {"left": ROOM}
//! /who ROOM            {"who": ROOM, "people": [NAME, ...]}
//! /rooms               {"rooms": [{"room": ROOM, "members": NUMBER}, ...]}
//! /typing ROOM         a "diff" to all who are in the room
//! /quiet ROOM          the same, when there is no more typing
//! ROOM MESSAGE         {"room": ROOM, "from": NAME, "text": MESSAGE}, to all who are in it
//! ```

use std::{collections::HashMap, io, sync::Mutex};

use prism_rooms::{Presence, Rooms};
use serde::Serialize;
use serde_json::{Value, json};

use crate::prism::{
    Connection, ConnectionId, Disconnect, Handler, Message, Options, Reply, Runtime, Server,
};

/// How many rooms one connection may be in, and how long what is sent may be, in bytes.
const MOST_ROOMS: usize = 32;
const LONGEST: usize = 16 << 10;

struct House {
    rooms: Rooms,
    presence: Presence<Status>,
    names: Mutex<HashMap<ConnectionId, String>>,
}

/// What the others in a room see of a person, beside the name.
#[derive(Serialize)]
struct Status {
    typing: bool,
}

impl House {
    fn new(runtime: impl Runtime) -> Self {
        let (rooms, names) = (Rooms::new(), Mutex::default());
        Self { rooms, presence: Presence::new(runtime), names }
    }

    fn name(&self, connection: &Connection) -> String {
        self.names.lock().unwrap()[&connection.id()].clone()
    }

    fn call(&self, connection: &Connection, name: &str) -> Value {
        self.names.lock().unwrap().insert(connection.id(), name.to_owned());
        for room in self.rooms.rooms_of(connection.id()) {
            self.show(connection, &room, false);
        }
        json!({ "name": name })
    }

    /// The answer, if there is one: who has come in hears who is there.
    fn join(&self, connection: &Connection, room: &str) -> Option<Value> {
        if self.rooms.rooms_of(connection.id()).len() >= MOST_ROOMS {
            return Some(json!({ "error": format!("{MOST_ROOMS} rooms are enough") }));
        }
        if self.rooms.join(connection, room) {
            self.show(connection, room, false);
            self.presence.watch(connection, room);
        }
        None
    }

    fn leave(&self, connection: &Connection, room: &str) -> Value {
        self.rooms.leave(connection.id(), room);
        self.presence.unwatch(connection.id(), room);
        self.presence.untrack(connection.id(), room);
        json!({ "left": room })
    }

    fn say(&self, connection: &Connection, room: &str, text: &str) {
        let line = json!({ "room": room, "from": self.name(connection), "text": text });
        self.rooms.to(room).send(&line.to_string());
        self.show(connection, room, false);
    }

    /// All who watch the room see this person in it.
    fn show(&self, connection: &Connection, room: &str, typing: bool) {
        let name = self.name(connection);
        let shown = self.presence.track(connection, room, &name, Status { typing });
        shown.expect("a status is JSON");
    }

    fn who(&self, room: &str) -> Value {
        let people: Vec<_> = self.presence.list(room).iter().map(|p| p.key.to_string()).collect();
        json!({ "who": room, "people": people })
    }

    fn all_rooms(&self) -> Value {
        let mut names = self.rooms.names();
        names.sort();
        let room = |name| json!({ "room": name, "members": self.rooms.len(name) });
        json!({ "rooms": names.iter().map(|name| room(name)).collect::<Vec<_>>() })
    }

    /// Does what a line asks for; the answer, if there is one.
    fn obey(&self, connection: &Connection, line: &str) -> Option<Value> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_in = |room| self.rooms.contains(room, connection.id());
        match word {
            "/name" if is_name(rest) => return Some(self.call(connection, rest)),
            "/join" if is_room(rest) => return self.join(connection, rest),
            "/leave" if is_in(rest) => return Some(self.leave(connection, rest)),
            "/who" => return Some(self.who(rest)),
            "/rooms" => return Some(self.all_rooms()),
            "/typing" if is_in(rest) => self.show(connection, rest, true),
            "/quiet" if is_in(rest) => self.show(connection, rest, false),
            room if is_in(room) => self.say(connection, room, rest),
            _ => {
                return Some(
                    json!({ "error": format!("{word} {rest}: a bad name, or not your room") }),
                );
            }
        }
        None
    }
}

fn is_name(name: &str) -> bool {
    (1..=24).contains(&name.chars().count()) && name.trim() == name
}

fn is_room(room: &str) -> bool {
    is_name(room) && !room.contains(char::is_whitespace) && !room.starts_with('/')
}

impl Handler for House {
    async fn on_connect(&self, connection: &Connection) {
        let answer = self.call(connection, &format!("guest-{:.4}", connection.id()));
        let _ = connection.send(&answer.to_string()).await; // or it has gone already
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let line = message.as_text().unwrap_or_default();
        if let Some(answer) = self.obey(connection, line) {
            let _ = connection.send(&answer.to_string()).await; // or it is about to go
        }
    }

    // It has left its rooms already, and is not shown any more.
    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.names.lock().unwrap().remove(&connection.id());
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
    let server = Server::bind(address)
        .await?
        .options(options)
        .get("/", |_| Reply::html(include_str!("rooms.html")))
        .web_socket("/ws", House::new(runtime));
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
