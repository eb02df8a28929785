//! A chat as an application would write it: who is there hears who comes, who speaks and who goes;
//! and what does not come from a connection at all reaches them as well.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::support::{
    block_on,
    peer::{Peer, TEXT},
    server::{Running, serve},
};
use crate::prism::{
    CloseCode, Connection, ConnectionId, Disconnect, Handler, Message, OwnedMessage, Socket,
};

#[derive(Default)]
struct Chat {
    people: Mutex<HashMap<ConnectionId, (String, Connection)>>,
}

impl Chat {
    fn say(&self, room: &str, text: &str) {
        for (theirs, person) in self.people.lock().unwrap().values() {
            if theirs == room {
                let _ = person.try_send(text); // who does not keep up misses a line
            }
        }
    }
}

fn room(connection: &Connection) -> &str {
    connection.param("room").expect("the route has it")
}

fn name(connection: &Connection) -> &str {
    connection.query().unwrap_or("somebody")
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let person = (room(connection).to_owned(), connection.clone());
        self.people.lock().unwrap().insert(connection.id(), person);
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
        self.people.lock().unwrap().remove(&connection.id());
        self.say(room(connection), &format!("{} left", name(connection)));
    }
}

fn chat() -> Running {
    serve(|server| server.websocket("/rooms/{room}", Chat::default()))
}

#[track_caller]
fn join(server: &Running, path: &str) -> Socket {
    block_on(server.connect(path))
}

#[track_caller]
fn hears(people: &[&Socket], line: &str) {
    for person in people {
        let heard = block_on(person.recv()).expect("a line");
        assert_eq!(heard, OwnedMessage::Text(line.into()));
    }
}

#[test]
fn people_hear_who_comes_who_speaks_and_who_goes() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    hears(&[&ada], "ada joined");
    let ben = join(&server, "/rooms/1?ben");
    hears(&[&ada, &ben], "ben joined");
    block_on(ben.send("hello")).expect("an open connection");
    hears(&[&ada, &ben], "ben: hello");
    drop(ben);
    hears(&[&ada], "ben left");
}

#[test]
fn rooms_do_not_hear_each_other() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    hears(&[&ada], "ada joined");
    let ben = join(&server, "/rooms/2?ben");
    hears(&[&ben], "ben joined");
    block_on(ben.send("anybody?")).expect("an open connection");
    hears(&[&ben], "ben: anybody?");
    block_on(ada.send("nobody")).expect("an open connection");
    hears(&[&ada], "ada: nobody"); // and nothing of ben's before it
}

#[test]
fn however_somebody_goes_the_others_hear_it() {
    let server = chat();
    let ada = join(&server, "/rooms/1?ada");
    hears(&[&ada], "ada joined");
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
        hears(&[&ada], "ben joined");
        end(peer);
        hears(&[&ada], "ben left");
    }
}

#[test]
fn everybody_hears_a_busy_room_in_the_same_order() {
    let server = chat();
    let people: Vec<_> = (0..8).map(|_| join(&server, "/rooms/1?x")).collect();
    // Everybody is in when the last one's coming was heard; then all speak at once.
    for (number, person) in people.iter().enumerate() {
        for _ in number..people.len() {
            hears(&[person], "x joined");
        }
    }
    block_on(async {
        for round in 0..20 {
            for (number, person) in people.iter().enumerate() {
                person.send(&format!("{number}.{round}")).await.expect("an open connection");
            }
            let mut heard: Vec<Vec<OwnedMessage>> = Vec::new();
            for person in &people {
                let mut lines = Vec::new();
                for _ in &people {
                    lines.push(person.recv().await.expect("a line"));
                }
                heard.push(lines);
            }
            assert!(heard.iter().all(|lines| *lines == heard[0]), "{heard:?}");
        }
    });
}

#[test]
fn an_application_that_keeps_its_handler_speaks_to_everybody_from_elsewhere() {
    let chat = Arc::new(Chat::default());
    let server = serve(|server| server.websocket("/rooms/{room}", chat.clone()));
    let ada = join(&server, "/rooms/1?ada");
    hears(&[&ada], "ada joined");
    std::thread::scope(|scope| {
        scope.spawn(|| chat.say("1", "your parcel is here"));
    });
    hears(&[&ada], "your parcel is here");
}
