//! [`RoomsHandler`]: a handler whose clients join, leave and address rooms by text commands.

use prism_rooms::{JoinError, Recipients, Rooms};

use super::handlers::{Events, Recorder, Seen, recorder};
use crate::prism::{Connection, Disconnect, Handler, Message, ServerOptions, Socket};

use super::{
    block_on,
    server::{TestServer, serve},
};

/// Executes commands such as `join tea`, `leave tea`, `go` (leave all rooms), `say tea+milk hello`,
/// `tell tea hello` (without the sender) or `shout fire`. The answer says whether the command
/// changed something, or how many connections it was delivered to. Records connects and
/// disconnects for the scenario.
pub(crate) struct RoomsHandler {
    rooms: Rooms,
    recorder: Recorder,
}

/// A running server with rooms, and what its handler records.
pub(crate) struct RoomsServer {
    pub(crate) server: TestServer,
    pub(crate) rooms: Rooms,
    pub(crate) events: Events,
}

pub(crate) fn serve_rooms(options: impl Into<ServerOptions>) -> RoomsServer {
    let (handler, rooms, events) = RoomsHandler::new();
    let server = serve(|server| server.options(options).websocket("/", handler));
    RoomsServer { server, rooms, events }
}

impl RoomsHandler {
    pub(crate) fn new() -> (Self, Rooms, Events) {
        let (rooms, (recorder, events)) = (Rooms::new(), recorder());
        (Self { rooms: rooms.clone(), recorder }, rooms, events)
    }

    fn execute(&self, connection: &Connection, command: &str) -> String {
        let (verb, arguments) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "join" => self.rooms.join(connection, arguments).is_ok_and(|is_new| is_new).to_string(),
            "leave" => self.rooms.leave(connection.id(), arguments).to_string(),
            "go" => self.rooms.leave_all(connection.id()).len().to_string(),
            "say" | "tell" => {
                let (rooms, text) = arguments.split_once(' ').expect("a text after the rooms");
                let mut names = rooms.split('+');
                let mut to = self.rooms.to(names.next().expect("a room"));
                to = names.fold(to, Recipients::and);
                if verb == "tell" {
                    to = to.except(connection.id());
                }
                to.send(format!("{rooms}: {text}")).delivered.to_string()
            }
            "shout" => {
                let delivery = self.rooms.everyone().send(format!("everyone: {arguments}"));
                delivery.delivered.to_string()
            }
            _ => panic!("on purpose: {command}"),
        }
    }
}

impl Handler for RoomsHandler {
    async fn on_connect(&self, connection: &Connection) {
        self.rooms.add(connection);
        self.recorder.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let answer = self.execute(connection, message.as_text().expect("text"));
        let _ = connection.send(&answer).await; // fails if the connection is closing
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        let id = connection.id();
        assert!(self.rooms.rooms_of(id).is_empty() && self.rooms.one(id).is_none());
        assert_eq!(self.rooms.join(connection, "too late"), Err(JoinError::Ended));
        // Skipped if an assertion above fails.
        self.recorder.on_disconnect(connection, reason).await;
    }
}

impl RoomsServer {
    /// Connects a client. Returns the server's end and the client's end.
    #[track_caller]
    pub(crate) fn connect(&self) -> (Connection, Socket) {
        let socket = block_on(self.server.connect("/"));
        loop {
            // Skips the disconnects of earlier clients.
            if let Seen::Connected(connection) = self.events.next() {
                return (connection, socket);
            }
        }
    }
}

/// Sends a command and returns the answer.
#[track_caller]
pub(crate) fn command(socket: &Socket, command: &str) -> String {
    block_on(async {
        socket.send(command).await.expect("an open connection");
        next_text(socket).await
    })
}

pub(crate) async fn next_text(socket: &Socket) -> String {
    let received = socket.recv().await.expect("an open connection");
    received.as_message().as_text().expect("text").to_owned()
}
