//! A chat with several rooms: it shows who is there and who is typing, and has a page for the browser.
//!
//! With `--redis`, such as `--redis redis://127.0.0.1/`, several processes are one chat, over a Redis or Valkey server,
//! and with `--nats` over NATS. Each `--node`, such as `--node http://127.0.0.1:8081`, is another one of them, to which
//! a page connects when it has lost this one.
//!
//! The last messages of each room are kept: in Redis, or in memory if this process is alone. So a page that is new to a
//! room shows what was said last, and one that was offline, or that is loaded again, shows what it has missed. NATS
//! keeps no messages.
//!
//! The server is a [`JsonRooms`], and the page uses its client, `prism.js`. What is left to do is to say what this
//! chat allows: which names, texts and rooms. The guide "Rooms in the browser" (`prism-rooms/docs/browser.md`)
//! describes both sides.
//!
//! A browser is a person: its tabs have the same key, which the page generates and passes as `/ws?person=KEY`. Nobody
//! logs in, so anyone can claim to be anyone; the example `login` shows how to authenticate people. Members are shown
//! with `{"name": NAME, "typing": BOOL}`, and send `{"name": NAME, "text": TEXT}`.

use std::{borrow::Cow, error::Error, time::Duration};

use prism_rooms::{
    Action, Authorize, JsonRooms, Keep, PRISM_JS, Presence, PresenceOptions, Refusal, RoomsOptions,
};
use serde::{Deserialize, de::DeserializeOwned};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{Connection, Deflate, Network, Options, Rate, Reply, Server, WhenSlow};

#[path = "rooms_arguments.rs"]
mod arguments;
#[path = "page.rs"]
mod page;

use self::arguments::Arguments;

/// How many rooms one connection may be in.
const MAX_ROOMS: usize = 32;

/// How many people may be in a room. Each of them is sent a list of all the others.
const MAX_PEOPLE: usize = 200;

/// How long a request may be, in bytes: more than [`JsonRooms::max_data_size`], so that what exceeds that is refused,
/// and the connection goes on.
const MAX_REQUEST_LEN: usize = 20 << 10;

/// How many characters a text may have.
const MAX_TEXT_LEN: usize = 4000;

/// How fast one connection may send. A message to a room costs a thousand times more to deliver than to
/// send. This is faster than anyone types. The burst is for a page that reconnects: it joins its rooms at once.
const RATE: Rate = Rate { per_second: 20, burst: 100 };

/// How many messages of a room are kept, and for how long after the last one.
const KEEP: Keep = Keep::new(1000, Duration::from_secs(24 * 60 * 60));

/// How many of them a page shows that is new to a room.
const RECENT: u32 = 50;

/// While this many bytes are unsent, a client gets no messages; it gets them when it has read. This is an eighth of the
/// default: clients share the bytes of a long message, but each client that does not read has its own copy of the short
/// ones.
const MAX_UNSENT: usize = 8 << 10;

/// Why a name is refused.
const BAD_NAME: &str =
    "a name has 1 to 24 characters, no space at either end, and no invisible characters";

/// Why the name of a room is refused.
const BAD_ROOM: &str =
    "a room name has 1 to 24 characters, no spaces, no invisible characters, and no / at the start";

/// Why a text is refused.
const BAD_TEXT: &str = "a text has 1 to 4,000 characters, and no control characters";

/// Why metadata and messages are refused.
const BAD_STATUS: &str = r#"the metadata is not {"name": NAME, "typing": true or false}"#;
const BAD_DATA: &str = r#"the data is not {"name": NAME, "text": TEXT}"#;

/// What this chat allows.
struct Chat;

/// What the others in a room see of a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    name: String,
    #[serde(rename = "typing")]
    _typing: bool,
}

/// What a person says. It has a name, because a person may have left when someone reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: String,
    text: String,
}

impl Authorize for Chat {
    async fn authorize(
        &self,
        _: &Connection,
        room: &str,
        action: Action<'_>,
    ) -> Result<(), Refusal> {
        match action {
            Action::Join => expect(is_room(room), BAD_ROOM),
            Action::Track { meta } => {
                let Status { name, .. } = parse(meta, BAD_STATUS)?;
                expect(is_name(&name), BAD_NAME)
            }
            Action::Send { data } => {
                let Said { name, text } = parse(data, BAD_DATA)?;
                expect(is_name(&name), BAD_NAME)?;
                expect(is_text(&text), BAD_TEXT)
            }
            _ => Ok(()),
        }
    }

    fn person<'a>(&self, connection: &'a Connection) -> Cow<'a, str> {
        let key = connection.query_param("person").filter(|key| is_key(key));
        key.unwrap_or_else(|| connection.id().to_string().into())
    }
}

fn expect(is_good: bool, otherwise: &str) -> Result<(), Refusal> {
    if is_good { Ok(()) } else { Err(otherwise.into()) }
}

fn parse<T: DeserializeOwned>(json: &str, otherwise: &str) -> Result<T, Refusal> {
    serde_json::from_str(json).map_err(|_| otherwise.into())
}

fn is_key(key: &str) -> bool {
    (1..=32).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
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

fn is_text(text: &str) -> bool {
    let is_bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    (1..=MAX_TEXT_LEN).contains(&text.chars().count()) && !text.contains(is_bad)
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(
    runtime: impl Network,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let options = Options::default()
        .max_message_size(MAX_REQUEST_LEN)
        .message_rate(Some(RATE))
        .high_water_mark(MAX_UNSENT)
        .compression(Deflate::default()) // lists of names become much shorter
        // No answer waits. A handler that waits holds the 64 KiB buffer that contains its message, and a client could
        // cause that merely by sending requests without reading the answers. Instead, such a client is disconnected.
        .when_slow(WhenSlow::DropNewest);
    let in_rooms = RoomsOptions::default().max_rooms_per_connection(MAX_ROOMS);
    let in_presence = PresenceOptions::default()
        .max_rooms_per_connection(MAX_ROOMS)
        .max_people_per_room(MAX_PEOPLE);
    let cluster = arguments.cluster(&runtime, in_rooms)?;
    let presence = Presence::on_with_options(&cluster, "people", in_presence);
    let rooms = if arguments.keeps_messages() {
        JsonRooms::with_history(&cluster, KEEP, presence, Chat)?.recent_messages(RECENT)
    } else {
        println!(
            "NATS keeps no messages: pages do not get what they miss, as they do with --redis"
        );
        JsonRooms::new(cluster.rooms(), presence, Chat)
    };
    let nodes = format!("export const nodes = {};", serde_json::to_string(&arguments.nodes)?);
    let server = Server::bind(arguments.address)
        .await?
        .options(options)
        .get("/", |_| Reply::html(include_str!("rooms.html")))
        .get("/page/{file}", page::file)
        .get("/prism.js", |_| {
            Reply::new(200).body("text/javascript", PRISM_JS).expect("a valid content type")
        })
        .get("/nodes.js", move |_| {
            Reply::new(200).body("text/javascript", nodes.clone()).expect("a valid content type")
        })
        .websocket("/ws", rooms);
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    cluster.leave().await; // the others know at once
    Ok(())
}
