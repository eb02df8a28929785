//! A chat as an application would write it: members see who joins, speaks and leaves, and receive
//! messages that do not come from a connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::support::{
    block_on,
    peer::{Peer, TEXT},
    server::{TestServer, serve},
};
use crate::prism::{
    CloseCode, Connection, ConnectionId, Disconnect, Handler, Message, OwnedMessage, Socket,
};

#[derive(Default)]
struct Chat {
    members: Mutex<HashMap<ConnectionId, Connection>>,
}

impl Chat {
    fn say(&self, to: &str, text: &str) {
        for person in self.members.lock().unwrap().values() {
            if room(person) == to {
                let _ = person.try_send(text); // a slow member misses a line
            }
        }
    }
}

fn room(connection: &Connection) -> &str {
    connection.param("room").expect("the route has it")
}

fn name(connection: &Connection) -> &str {
    connection.query().unwrap_or("anonymous")
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        self.members.lock().unwrap().insert(connection.id(), connection.clone());
        self.say(room(connection), &format!("{} joined", name(connection)));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        match message {
            Message::Text("/panic") => panic!("on purpose"),
            Message::Text(text) => {
                self.say(room(connection), &format!("{}: {text}", name(connection)));
            }
            Message::Binary(_) => {
                connection.close(CloseCode::UNSUPPORTED_DATA, "words, please");
            }
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.members.lock().unwrap().remove(&connection.id());
        self.say(room(connection), &format!("{} left", name(connection)));
    }
}

fn chat() -> TestServer {
    serve(|server| server.websocket("/rooms/{room}", Chat::default()))
}

#[track_caller]
fn join(server: &TestServer, path: &str) -> Socket {
    block_on(server.connect(path))
}

#[track_caller]
fn expect_line(members: &[&Socket], line: &str) {
    for person in members {
        let received = block_on(person.recv()).expect("a line");
        assert_eq!(received, OwnedMessage::Text(line.into()));
    }
}

#[test]
fn members_see_joins_messages_and_departures() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    expect_line(&[&ada], "ada joined");
    let ben = join(&server, "/rooms/1?ben");
    expect_line(&[&ada, &ben], "ben joined");
    block_on(ben.send("hello")).expect("an open connection");
    expect_line(&[&ada, &ben], "ben: hello");
    drop(ben);
    expect_line(&[&ada], "ben left");
}

#[test]
fn rooms_do_not_receive_each_others_messages() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    expect_line(&[&ada], "ada joined");
    let ben = join(&server, "/rooms/2?ben");
    expect_line(&[&ben], "ben joined");
    block_on(ben.send("anyone?")).expect("an open connection");
    expect_line(&[&ben], "ben: anyone?");
    block_on(ada.send("alone")).expect("an open connection");
    expect_line(&[&ada], "ada: alone"); // without a line of ben's before it
}

#[test]
fn every_kind_of_departure_is_announced() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    expect_line(&[&ada], "ada joined");
    let endings: [fn(Peer); 4] = [
        |mut peer| peer.send(TEXT, b"/panic"),
        |mut peer| {
            peer.send(super::support::peer::BINARY, b"\0");
            peer.expect_close(1003, "words, please");
        },
        |mut peer| peer.write(b"rubbish, not a frame"),
        drop,
    ];
    for end in endings {
        let mut peer = server.open("/rooms/1?ben");
        peer.expect(TEXT, b"ben joined");
        expect_line(&[&ada], "ben joined");
        end(peer);
        expect_line(&[&ada], "ben left");
    }
}

#[test]
fn all_members_see_the_messages_in_the_same_order() {
    let server = chat();
    let members: Vec<_> = (0..8).map(|_| join(&server, "/rooms/1?x")).collect();
    // Everyone is in the room once the last join was received. Then all speak at once.
    for (number, person) in members.iter().enumerate() {
        for _ in number..members.len() {
            expect_line(&[person], "x joined");
        }
    }
    block_on(async {
        for round in 0..20 {
            for (number, person) in members.iter().enumerate() {
                person.send(format!("{number}.{round}")).await.expect("an open connection");
            }
            let mut received: Vec<Vec<OwnedMessage>> = Vec::new();
            for person in &members {
                let mut lines = Vec::new();
                for _ in &members {
                    lines.push(person.recv().await.expect("a line"));
                }
                received.push(lines);
            }
            assert!(received.iter().all(|lines| *lines == received[0]), "{received:?}");
        }
    });
}

#[test]
fn an_application_can_broadcast_from_outside_its_handler() {
    let chat = Arc::new(Chat::default());
    let server = serve(|server| server.websocket("/rooms/{room}", chat.clone()));
    let ada = join(&server, "/rooms/1?ada");
    expect_line(&[&ada], "ada joined");
    std::thread::scope(|scope| {
        scope.spawn(|| chat.say("1", "your parcel is here"));
    });
    expect_line(&[&ada], "your parcel is here");
}
