//! [`Hotel`]: rooms that are entered, left and spoken to by messages.

use prism_rooms::{JoinError, Recipients, Rooms};

use super::handlers::{Events, Recorder, Seen, recorder};
use crate::prism::{Connection, Disconnect, Handler, Message, ServerOptions, Socket};

use super::{
    block_on,
    server::{Running, serve},
};

/// Does what it is told, such as `join tea`, `leave tea`, `go` (leave all), `say tea+milk is ready` or
/// `shout fire`, and answers whether that has changed something, or how many have heard it. Tells the
/// scenario who comes and goes.
pub(crate) struct Hotel {
    rooms: Rooms,
    told: Recorder,
}

/// A hotel that is open, its rooms, and what it tells.
pub(crate) struct Open {
    pub(crate) server: Running,
    pub(crate) rooms: Rooms,
    pub(crate) events: Events,
}

pub(crate) fn open(options: impl Into<ServerOptions>) -> Open {
    let (hotel, rooms, events) = Hotel::new();
    let server = serve(|server| server.options(options).websocket("/", hotel));
    Open { server, rooms, events }
}

impl Hotel {
    pub(crate) fn new() -> (Self, Rooms, Events) {
        let (rooms, (told, events)) = (Rooms::new(), recorder());
        (Self { rooms: rooms.clone(), told }, rooms, events)
    }

    fn obey(&self, connection: &Connection, order: &str) -> String {
        let (what, room) = order.split_once(' ').unwrap_or((order, ""));
        match what {
            "join" => self.rooms.join(connection, room).is_ok_and(|is_new| is_new).to_string(),
            "leave" => self.rooms.leave(connection.id(), room).to_string(),
            "go" => self.rooms.leave_all(connection.id()).len().to_string(),
            "say" | "tell" => {
                let (rooms, text) = room.split_once(' ').expect("something to say");
                let mut names = rooms.split('+');
                let mut to = self.rooms.to(names.next().expect("a room"));
                to = names.fold(to, Recipients::and);
                if what == "tell" {
                    to = to.except(connection.id());
                }
                to.send(&format!("{rooms}: {text}")).delivered.to_string()
            }
            "shout" => {
                let delivery = self.rooms.everyone().send(&format!("everyone: {room}"));
                delivery.delivered.to_string()
            }
            _ => panic!("on purpose: {order}"),
        }
    }
}

impl Handler for Hotel {
    async fn on_connect(&self, connection: &Connection) {
        self.rooms.add(connection);
        self.told.tell(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let answer = self.obey(connection, message.as_text().expect("text"));
        let _ = connection.send(&answer).await; // fails if the connection is closing
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        let id = connection.id();
        assert!(self.rooms.rooms_of(id).is_empty() && self.rooms.one(id).is_none());
        assert_eq!(self.rooms.join(connection, "afterlife"), Err(JoinError::Ended));
        // Not told by those who have failed here.
        self.told.on_disconnect(connection, reason).await;
    }
}

impl Open {
    /// Somebody who has come: the server's end, and the client's.
    #[track_caller]
    pub(crate) fn guest(&self) -> (Connection, Socket) {
        let socket = block_on(self.server.connect("/"));
        loop {
            // Others may have gone before.
            if let Seen::Connected(connection) = self.events.next() {
                return (connection, socket);
            }
        }
    }
}

/// Gives an order, and waits for the answer.
#[track_caller]
pub(crate) fn order(socket: &Socket, order: &str) -> String {
    block_on(async {
        socket.send(order).await.expect("an open connection");
        hears(socket).await
    })
}

pub(crate) async fn hears(socket: &Socket) -> String {
    let heard = socket.recv().await.expect("an open connection");
    heard.as_message().as_text().expect("text").to_owned()
}
