//! Departures: a leave hook runs once for each departure, however it comes about. It runs after the
//! connection has left its rooms and before `on_disconnect`.

use std::{
    pin::pin,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
};

use futures_lite::future::or;
use prism_rooms::{Departure, JoinError, Rooms};

use super::support::{
    TIMEOUT, block_on,
    peer::{Peer, TEXT},
    rooms_server::{command, next_text},
    server::{TestServer, serve},
};
use crate::{
    prism::{
        Client, CloseCode, Connection, Disconnect, Handler, Message, Options, Socket, serve_stream,
    },
    runtime::pipe,
};

/// Lets each connection join the lobby and the room of its path, and announces departures. The
/// query is the user's name.
struct Chat {
    rooms: Rooms,
    sender: Sender<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// From the hook: the name, the rooms, and whether the connection has ended.
    Left(String, Vec<String>, bool),
    /// From the handler.
    Disconnected(String),
}

fn name(connection: &Connection) -> String {
    connection.query().expect("a name").to_owned()
}

impl Chat {
    fn new() -> (Self, Rooms, Receiver<Event>) {
        let (rooms, (sender, events)) = (Rooms::new(), channel());
        rooms.on_leave(|_| panic!("on purpose: the other hooks still run"));
        rooms.on_leave({
            let sender = sender.clone();
            move |departure| announce(departure, &sender)
        });
        (Self { rooms: rooms.clone(), sender }, rooms, events)
    }
}

/// Announces a departure to its rooms and to the scenario, unless an assertion fails.
fn announce(departure: &Departure<'_>, sender: &Sender<Event>) {
    let Departure { rooms, connection, left, ended, .. } = *departure;
    for room in left {
        assert!(
            !rooms.contains(room, connection.id())
                && !rooms.members(room).contains(&connection.id())
        );
        rooms.to(room).send(format!("{} left {room}", name(connection)));
    }
    assert_eq!(rooms.one(connection.id()).is_none(), ended);
    if ended {
        assert!(rooms.rooms_of(connection.id()).is_empty());
        assert_eq!(rooms.join(connection, "too late"), Err(JoinError::Ended));
    }
    let mut left: Vec<_> = left.iter().map(ToString::to_string).collect();
    left.sort_unstable();
    sender.send(Event::Left(name(connection), left, ended)).expect("the scenario waits");
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        for room in ["lobby", connection.param("room").unwrap_or("room")] {
            let _ = self.rooms.join(connection, room); // fails if the connection has ended
        }
        let _ = connection.send("welcome").await; // fails if the connection is closing
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let left = match message.as_text().expect("text") {
            "leave" => usize::from(self.rooms.leave(connection.id(), "lobby")),
            "go" => self.rooms.leave_all(connection.id()).len(),
            "abort" => {
                connection.abort();
                return;
            }
            "close" => {
                assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
                return;
            }
            word => panic!("on purpose: {word}"),
        };
        let _ = connection.send(&left.to_string()).await; // fails if the connection is closing
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        let _ = self.sender.send(Event::Disconnected(name(connection))); // the scenario may be over
    }
}

fn open() -> (TestServer, Rooms, Receiver<Event>) {
    let (chat, rooms, events) = Chat::new();
    (serve(|server| server.websocket("/{room}", chat)), rooms, events)
}

#[track_caller]
fn expect_event(events: &Receiver<Event>, event: Event) {
    assert_eq!(events.recv_timeout(TIMEOUT), Ok(event));
}

fn left(user: &str, rooms: &[&str], ended: bool) -> Event {
    Event::Left(user.into(), rooms.iter().map(ToString::to_string).collect(), ended)
}

#[test]
fn every_end_is_announced_once_before_on_disconnect() {
    let (server, rooms, events) = open();
    let ann = block_on(server.connect("/tea?ann"));
    assert_eq!(block_on(next_text(&ann)), "welcome");
    let endings: [fn(Peer); 6] = [
        |mut peer| peer.send(TEXT, b"panic"),
        |mut peer| {
            peer.send_close(1000, "");
            peer.expect_close(1000, "");
        },
        |mut peer| {
            peer.send(TEXT, b"close");
            peer.expect_close(1000, "");
            peer.send_close(1000, "");
        },
        |mut peer| peer.write(b"rubbish, not a frame"),
        |mut peer| peer.send(TEXT, b"abort"),
        drop,
    ];
    for end in endings {
        let mut peer = server.open("/tea?ben");
        peer.expect(TEXT, b"welcome");
        end(peer);
        expect_event(&events, left("ben", &["lobby", "tea"], true));
        expect_event(&events, Event::Disconnected("ben".into()));
        let mut lines = [block_on(next_text(&ann)), block_on(next_text(&ann))];
        lines.sort_unstable();
        assert_eq!(lines, ["ben left lobby", "ben left tea"]);
        assert_eq!((rooms.len("lobby"), rooms.len("tea")), (1, 1));
    }
    // Nothing was announced twice.
    assert_eq!(command(&ann, "leave"), "1");
}

#[test]
fn an_explicit_leave_is_announced_only_once() {
    let (server, _, events) = open();
    let [ann, ben]: [Socket; 2] = ["/tea?ann", "/tea?ben"].map(|path| {
        let socket = block_on(server.connect(path));
        assert_eq!(block_on(next_text(&socket)), "welcome");
        socket
    });
    assert_eq!(command(&ben, "leave"), "1");
    expect_event(&events, left("ben", &["lobby"], false));
    assert_eq!(block_on(next_text(&ann)), "ben left lobby");
    assert_eq!(command(&ben, "leave"), "0", "ben has left already");
    assert_eq!(command(&ben, "go"), "1");
    expect_event(&events, left("ben", &["tea"], false));
    assert_eq!(block_on(next_text(&ann)), "ben left tea");
    assert_eq!(command(&ben, "go"), "0");
    // Ben is in no room, so his disconnect is not a departure.
    drop(ben);
    expect_event(&events, Event::Disconnected("ben".into()));
    // Ann leaves one room herself, and the other by disconnecting.
    assert_eq!(command(&ann, "leave"), "1");
    expect_event(&events, left("ann", &["lobby"], false));
    drop(ann);
    expect_event(&events, left("ann", &["tea"], true));
    expect_event(&events, Event::Disconnected("ann".into()));
}

#[test]
fn a_shutdown_announces_each_departure_once() {
    const CLIENTS: usize = 20;
    let (server, rooms, events) = open();
    let clients: Vec<Socket> = (0..CLIENTS)
        .map(|number| {
            let socket = block_on(server.connect(&format!("/tea?{number}")));
            assert_eq!(block_on(next_text(&socket)), "welcome");
            socket
        })
        .collect();
    assert_eq!(server.stop().closed, CLIENTS);
    let mut departed: Vec<usize> = Vec::new();
    for _ in 0..2 * CLIENTS {
        match events.recv_timeout(TIMEOUT).expect("another event") {
            Event::Left(user, left, true) if left == ["lobby", "tea"] => {
                departed.push(user.parse().expect("a number"));
            }
            Event::Disconnected(user) => {
                assert!(
                    departed.contains(&user.parse().expect("a number")),
                    "{user} is still in its rooms"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    departed.sort_unstable();
    assert_eq!(departed, (0..CLIENTS).collect::<Vec<_>>());
    assert!(rooms.names().is_empty());
    drop(clients);
}

#[test]
fn a_dropped_task_is_announced_without_on_disconnect() {
    let (chat, rooms, events) = Chat::new();
    let (ours, theirs) = pipe();
    block_on(async {
        let options = Options::default();
        let mut session = pin!(serve_stream(ours, &options, chat));
        let join = async {
            let client = Client::new("ws://localhost/?ben").expect("an address");
            let socket = client.connect_stream(theirs).await.expect("the server accepts");
            assert_eq!(next_text(&socket).await, "welcome");
        };
        let served = async {
            let _ = session.as_mut().await;
            panic!("the session ended before it was dropped");
        };
        or(join, served).await;
        assert_eq!(rooms.len("lobby"), 1);
    });
    expect_event(&events, left("ben", &["lobby", "room"], true));
    drop(rooms);
    assert_eq!(
        events.try_recv(),
        Err(TryRecvError::Disconnected),
        "the hooks are dropped with the rooms"
    );
}
