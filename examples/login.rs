//! A chat among people who have logged in: a cookie identifies them.
//!
//! ```text
//! login [ADDR]
//! ```
//!
//! The page connects to `/ws` with the cookie that `/login?name=NAME` has set, so the server knows the name. A client
//! first receives `you are NAME`, then a line for each event: `NAME joined`, `NAME left`, or `NAME: TEXT`. A connection
//! without the cookie is closed with the code 4001. (A page would not see a status such as 401: only that the
//! connection failed.) A connection of another site's page is refused with 403.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use prism_rooms::Rooms;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{
    Authorized, CloseCode, Connection, Disconnect, Handler, Message, Options, Origins, Reply,
    Request, Server, shared,
};

#[path = "page.rs"]
mod page;

/// The close code for a connection without a session. From 4000 on, codes are the application's.
const LOG_IN_FIRST: u16 = 4001;

/// How long a name may be, in characters.
const MAX_NAME_LEN: usize = 24;

/// What the server knows about a connection's user.
struct User {
    name: String,
}

/// The names of the users who have logged in, by the token in their cookie. A real server keeps them in a database, and
/// lets them expire.
#[derive(Default)]
struct Sessions {
    names: Mutex<HashMap<String, String>>,
}

impl Sessions {
    /// Answers the request for `/login`: sets a cookie, and redirects to the chat. A real server asks for a password
    /// first, in a form that is sent by POST: use a web framework for that, as the example `with_axum` does.
    fn log_in(&self, request: &Request) -> Reply {
        let name = request.query_param("name").unwrap_or_default();
        let Some(name) = valid_name(&name) else {
            return Reply::text(
                400,
                "expected a name of 1 to 24 characters, without a colon: /login?name=ada",
            );
        };
        let Ok(token) = getrandom::u64() else { return Reply::new(500) };
        let token = format!("{token:016x}");
        let cookie = format!("session={token}; HttpOnly; SameSite=Strict; Path=/");
        self.names.lock().unwrap().insert(token, name.to_owned());
        let reply = Reply::new(303).header("Location", "/");
        reply.and_then(|reply| reply.header("Set-Cookie", &cookie)).expect("valid headers")
    }

    /// Finds a connection's user by its cookie. This is async, as the query of a database would be. Without a user the
    /// connection is accepted, too: `on_connect` closes it with a code that the page sees.
    async fn authorize(self: Arc<Self>, request: Request) -> Result<Authorized, Reply> {
        let token = request.cookie("session").unwrap_or_default();
        match self.names.lock().unwrap().get(&token) {
            Some(name) => Ok(Authorized::new(User { name: name.clone() })),
            None => Ok(Authorized::default()),
        }
    }
}

/// Returns the name without surrounding spaces if it is valid. A colon ends the name in the lines of the chat.
fn valid_name(name: &str) -> Option<&str> {
    let name = name.trim();
    let is_valid = (1..=MAX_NAME_LEN).contains(&name.chars().count())
        && !name.contains(|c: char| c == ':' || c.is_control());
    is_valid.then_some(name)
}

struct Chat {
    rooms: Rooms,
}

impl Chat {
    /// Sends a line to everyone.
    fn say(&self, line: String) {
        self.rooms.to("chat").send(line);
    }
}

/// Returns the name of a connection's user, if it has one.
fn name(connection: &Connection) -> Option<&str> {
    connection.data::<User>().map(|user| &*user.name)
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let Some(name) = name(connection) else {
            let code = CloseCode::new(LOG_IN_FIRST).expect("a code of the application");
            connection.close(code, "log in first");
            return;
        };
        let _ = connection.send(format!("you are {name}")).await; // fails only if the connection is closing
        // A connection may be in many rooms, and leaves all of them automatically when it ends.
        if self.rooms.join(connection, "chat").is_ok() {
            self.say(format!("{name} joined"));
        }
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if let (Some(name), Message::Text(text)) = (name(connection), message) {
            self.say(format!("{name}: {text}"));
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        if let Some(name) = name(connection) {
            self.say(format!("{name} left"));
        }
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(address: &str, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let sessions = Arc::new(Sessions::default());
    let logins = sessions.clone();
    let chat = shared(Chat { rooms: Rooms::new() })
        .origins(Origins::same()) // cookies are sent whichever site's page connects
        .authorize(move |request| sessions.clone().authorize(request));
    let server = Server::bind(address)
        .await?
        // Each client that does not read holds its own copy of the short lines.
        .options(Options::default().high_water_mark(16 << 10))
        .get("/", |_| Reply::html(include_str!("login.html")))
        .get("/page/{file}", page::file)
        .get("/login", move |request| logins.log_in(&request))
        .websocket("/ws", chat);
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
