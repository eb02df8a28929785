//! Departures: a connection that leaves a room, in whichever way, is announced there once, by a hook that is
//! called when it has left its rooms and before `on_disconnect`.

use std::{
    pin::pin,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
};

use futures_lite::future::or;
use prism_rooms::{Departure, JoinError, Rooms};

use super::support::{
    PATIENCE, block_on,
    hotel::{hears, order},
    peer::{Peer, TEXT},
    server::{Running, serve},
};
use crate::{
    prism::{
        Client, CloseCode, Connection, Disconnect, Handler, Message, Options, Socket, serve_stream,
    },
    runtime::pipe,
};

/// Lets everybody into the lobby and into the room of their path, and announces who leaves. The person is
/// the query.
struct Chat {
    rooms: Rooms,
    tell: Sender<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// By the hook: who, from which rooms, and whether it has ended.
    Left(String, Vec<String>, bool),
    /// By the handler.
    Disconnected(String),
}

fn name(connection: &Connection) -> String {
    connection.query().expect("a name").to_owned()
}

impl Chat {
    fn new() -> (Self, Rooms, Receiver<Event>) {
        let (rooms, (tell, told)) = (Rooms::new(), channel());
        rooms.on_leave(|_| panic!("on purpose: the others are called all the same"));
        rooms.on_leave({
            let tell = tell.clone();
            move |departure| announce(departure, &tell)
        });
        (Self { rooms: rooms.clone(), tell }, rooms, told)
    }
}

/// Not told if one of these fails.
fn announce(departure: &Departure<'_>, tell: &Sender<Event>) {
    let Departure { rooms, connection, left, ended, .. } = *departure;
    for room in left {
        assert!(
            !rooms.contains(room, connection.id())
                && !rooms.members(room).contains(&connection.id())
        );
        rooms.to(room).send(&format!("{} left {room}", name(connection)));
    }
    assert_eq!(rooms.one(connection.id()).is_none(), ended);
    if ended {
        assert!(rooms.rooms_of(connection.id()).is_empty());
        assert_eq!(rooms.join(connection, "afterlife"), Err(JoinError::Ended));
    }
    let mut left: Vec<_> = left.iter().map(ToString::to_string).collect();
    left.sort_unstable();
    tell.send(Event::Left(name(connection), left, ended)).expect("the scenario waits");
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        for room in ["lobby", connection.param("room").unwrap_or("room")] {
            let _ = self.rooms.join(connection, room); // or it has gone
        }
        let _ = connection.send("welcome").await; // or it has gone
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
                assert!(connection.close(CloseCode::NORMAL, ""), "it is open");
                return;
            }
            word => panic!("on purpose: {word}"),
        };
        let _ = connection.send(&left.to_string()).await; // or it has gone
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        let _ = self.tell.send(Event::Disconnected(name(connection))); // the scenario may be over
    }
}

fn open() -> (Running, Rooms, Receiver<Event>) {
    let (chat, rooms, told) = Chat::new();
    (serve(|server| server.websocket("/{room}", chat)), rooms, told)
}

#[track_caller]
fn expect(told: &Receiver<Event>, event: Event) {
    assert_eq!(told.recv_timeout(PATIENCE), Ok(event));
}

fn left(who: &str, rooms: &[&str], ended: bool) -> Event {
    Event::Left(who.into(), rooms.iter().map(ToString::to_string).collect(), ended)
}

#[test]
fn however_a_connection_ends_its_departure_is_announced_once_and_before_on_disconnect() {
    let (server, rooms, told) = open();
    let ann = block_on(server.connect("/tea?ann"));
    assert_eq!(block_on(hears(&ann)), "welcome");
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
        expect(&told, left("ben", &["lobby", "tea"], true));
        expect(&told, Event::Disconnected("ben".into()));
        let mut lines = [block_on(hears(&ann)), block_on(hears(&ann))];
        lines.sort_unstable();
        assert_eq!(lines, ["ben left lobby", "ben left tea"]);
        assert_eq!((rooms.len("lobby"), rooms.len("tea")), (1, 1));
    }
    // And nothing was said twice.
    assert_eq!(order(&ann, "leave"), "1");
}

#[test]
fn who_leaves_by_itself_is_announced_and_what_it_has_left_is_not_announced_again() {
    let (server, _, told) = open();
    let [ann, ben]: [Socket; 2] = ["/tea?ann", "/tea?ben"].map(|path| {
        let socket = block_on(server.connect(path));
        assert_eq!(block_on(hears(&socket)), "welcome");
        socket
    });
    assert_eq!(order(&ben, "leave"), "1");
    expect(&told, left("ben", &["lobby"], false));
    assert_eq!(block_on(hears(&ann)), "ben left lobby");
    assert_eq!(order(&ben, "leave"), "0", "it is not in");
    assert_eq!(order(&ben, "go"), "1");
    expect(&told, left("ben", &["tea"], false));
    assert_eq!(block_on(hears(&ann)), "ben left tea");
    assert_eq!(order(&ben, "go"), "0");
    // It is in no room, so its end is no departure.
    drop(ben);
    expect(&told, Event::Disconnected("ben".into()));
    // Half of them by itself, the others by its end.
    assert_eq!(order(&ann, "leave"), "1");
    expect(&told, left("ann", &["lobby"], false));
    drop(ann);
    expect(&told, left("ann", &["tea"], true));
    expect(&told, Event::Disconnected("ann".into()));
}

#[test]
fn a_shutdown_announces_each_departure_once() {
    const GUESTS: usize = 20;
    let (server, rooms, told) = open();
    let guests: Vec<Socket> = (0..GUESTS)
        .map(|number| {
            let socket = block_on(server.connect(&format!("/tea?{number}")));
            assert_eq!(block_on(hears(&socket)), "welcome");
            socket
        })
        .collect();
    assert_eq!(server.stop().closed, GUESTS);
    let mut gone: Vec<usize> = Vec::new();
    for _ in 0..2 * GUESTS {
        match told.recv_timeout(PATIENCE).expect("all are told") {
            Event::Left(who, left, true) if left == ["lobby", "tea"] => {
                gone.push(who.parse().expect("a number"));
            }
            Event::Disconnected(who) => {
                assert!(gone.contains(&who.parse().expect("a number")), "{who} has not left yet");
            }
            other => panic!("{other:?}"),
        }
    }
    gone.sort_unstable();
    assert_eq!(gone, (0..GUESTS).collect::<Vec<_>>());
    assert!(rooms.names().is_empty());
    drop(guests);
}

#[test]
fn the_departure_of_a_connection_whose_task_is_dropped_is_announced_without_on_disconnect() {
    let (chat, rooms, told) = Chat::new();
    let (ours, theirs) = pipe();
    block_on(async {
        let options = Options::default();
        let mut session = pin!(serve_stream(ours, &options, &chat));
        let join = async {
            let client = Client::new("ws://localhost/?ben").expect("an address");
            let socket = client.connect_stream(theirs).await.expect("the server accepts");
            assert_eq!(hears(&socket).await, "welcome");
        };
        let served = async {
            let _ = session.as_mut().await;
            panic!("it ended before it was dropped");
        };
        or(join, served).await;
        assert_eq!(rooms.len("lobby"), 1);
    });
    expect(&told, left("ben", &["lobby", "room"], true));
    drop((chat, rooms));
    assert_eq!(told.try_recv(), Err(TryRecvError::Disconnected), "the hooks go with the rooms");
}
