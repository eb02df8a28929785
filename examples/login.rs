//! A chat among people who have logged in: a cookie identifies them.
//!
//! ```text
//! login [ADDR]
//! ```
//!
//! Open `/login?name=ada` in a browser. The page then connects to `/ws` with the cookie that it got, and the server
//! knows the name. Without the cookie, or from another site's page, the connection is refused.

use std::{
    borrow::Cow,
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use prism_rooms::Rooms;

use crate::prism::{
    Authorized, Connection, Disconnect, Handler, Message, Options, Origins, Reply, Request, Server,
    shared,
};

#[path = "page.rs"]
mod page;

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
    /// first.
    fn log_in(&self, request: &Request) -> Reply {
        let is_name = |name: &Cow<'_, str>| !name.trim().is_empty() && name.len() <= 24;
        let Some(name) = request.query_param("name").filter(is_name) else {
            return Reply::text(400, "expected a short name, as in /login?name=ada");
        };
        let Ok(token) = getrandom::u64() else { return Reply::new(500) };
        let token = format!("{token:016x}");
        let cookie = format!("session={token}; HttpOnly; SameSite=Strict; Path=/");
        self.names.lock().unwrap().insert(token, name.into_owned());
        let reply = Reply::new(303).header("Location", "/");
        reply.and_then(|reply| reply.header("Set-Cookie", &cookie)).expect("valid headers")
    }

    /// Authorizes a connection by its cookie. This is async, as the query of a database would be.
    async fn authorize(self: Arc<Self>, request: Request) -> Result<Authorized, Reply> {
        let token = request.cookie("session").unwrap_or_default();
        match self.names.lock().unwrap().get(&token) {
            Some(name) => Ok(Authorized::new(User { name: name.clone() })),
            None => Err(Reply::text(401, "log in first, at /login?name=...")),
        }
    }
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

/// Returns the name of a connection's user.
fn name(connection: &Connection) -> &str {
    let user: &User = connection.data().expect("each connection is authorized");
    &user.name
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        // A connection may be in many rooms, and leaves all of them automatically when it ends.
        if self.rooms.join(connection, "chat").is_ok() {
            self.say(format!("{} joined", name(connection)));
        }
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if let Message::Text(text) = message {
            // The page sends `NAME: TEXT`, but here the name is known.
            let text = text.split_once(": ").map_or(text, |(_, text)| text);
            self.say(format!("{}: {text}", name(connection)));
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.say(format!("{} left", name(connection)));
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let sessions = Arc::new(Sessions::default());
    let logins = sessions.clone();
    let chat = shared(Chat { rooms: Rooms::new() })
        .origins(Origins::same()) // cookies are sent whichever site's page connects
        .authorize(move |request| sessions.clone().authorize(request));
    let server = Server::bind(address)
        .await?
        // Each client that does not read holds its own copy of the short lines.
        .options(Options::default().high_water_mark(16 << 10))
        .get("/", |_| Reply::html(include_str!("chat.html")))
        .get("/page/{file}", page::file)
        .get("/login", move |request| logins.log_in(&request))
        .websocket("/ws", chat);
    println!("log in at http://{}/login?name=ada", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
