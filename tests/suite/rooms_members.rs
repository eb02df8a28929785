//! Rooms over real connections: which members receive a message, and that an ended connection is in
//! no room.

use std::{pin::pin, thread};

use futures_lite::future::or;
use prism_rooms::Delivery;

use super::support::{
    block_on,
    handlers::Seen,
    peer::{Peer, TEXT},
    rooms_server::{RoomsHandler, command, next_text, serve_rooms},
    wait_until,
};
use crate::{
    prism::{
        Client, CloseCode, Connection, Disconnect, Options, ServerOptions, Socket, serve_stream,
    },
    runtime::pipe,
};

fn delivered(to: usize, dropped: usize) -> impl Fn(&Delivery) -> bool {
    move |delivery| (delivery.delivered, delivery.dropped) == (to, dropped)
}

#[track_caller]
fn all_receive(sockets: &[&Socket], line: &str) {
    for socket in sockets {
        assert_eq!(block_on(next_text(socket)), line);
    }
}

#[test]
fn only_members_receive_the_messages_of_a_room() {
    let fixture = serve_rooms(Options::default());
    let ((ann, ann_socket), (ben, ben_socket), (_, eve_socket)) =
        (fixture.connect(), fixture.connect(), fixture.connect());
    assert_eq!(command(&ann_socket, "join tea"), "true");
    assert_eq!(command(&ann_socket, "join tea"), "false");
    assert_eq!(command(&ben_socket, "join tea"), "true");
    assert_eq!(fixture.rooms.len("tea"), 2);
    assert_eq!(fixture.rooms.names().iter().map(|name| &**name).collect::<Vec<_>>(), ["tea"]);
    assert!(fixture.rooms.contains("tea", ben.id()));

    let rooms = fixture.rooms.clone();
    assert!(delivered(2, 0)(&rooms.to("tea").send("both")));
    all_receive(&[&ann_socket, &ben_socket], "both");
    assert!(delivered(1, 0)(&rooms.to("tea").except(ann.id()).send("ben")));
    assert!(delivered(3, 0)(&rooms.everyone().send("all")));
    all_receive(&[&ben_socket], "ben");
    all_receive(&[&ann_socket, &ben_socket, &eve_socket], "all");
    assert!(delivered(0, 0)(&rooms.to("milk").send("an empty room")));

    assert_eq!(command(&ann_socket, "leave tea"), "true");
    assert_eq!(command(&ann_socket, "leave tea"), "false");
    assert!(delivered(1, 0)(&rooms.to("tea").send("ben")));
    all_receive(&[&ben_socket], "ben");
    assert_eq!(fixture.rooms.members("tea"), [ben.id()]);
    // Ann received nothing before this.
    rooms.one(ann.id()).expect("a known connection").try_send("only you").unwrap();
    all_receive(&[&ann_socket], "only you");
}

#[test]
fn except_excludes_exactly_the_given_connections() {
    let fixture = serve_rooms(Options::default());
    let clients: Vec<_> = (0..20).map(|_| fixture.connect()).collect();
    let (left_out, others) = clients.split_at(12);
    let to =
        left_out.iter().fold(fixture.rooms.everyone(), |to, (client, _)| to.except(client.id()));
    assert!(delivered(others.len(), 0)(&to.send("not for all")));
    all_receive(&others.iter().map(|(_, socket)| socket).collect::<Vec<_>>(), "not for all");
    assert!(delivered(clients.len(), 0)(&fixture.rooms.everyone().send("all")));
    // The excluded clients received nothing before this.
    all_receive(&clients.iter().map(|(_, socket)| socket).collect::<Vec<_>>(), "all");
}

#[test]
fn a_member_of_several_rooms_receives_a_message_once() {
    let fixture = serve_rooms(Options::default());
    let ((ann, ann_socket), (_, ben_socket), (_, eve_socket)) =
        (fixture.connect(), fixture.connect(), fixture.connect());
    for (socket, room) in [(&ann_socket, "tea"), (&ann_socket, "milk"), (&ben_socket, "milk")] {
        assert_eq!(command(socket, &format!("join {room}")), "true");
    }
    command(&eve_socket, "join water");
    let rooms = fixture.rooms.clone();
    let both = rooms.to("tea").and("milk").and("nowhere").and("tea");
    assert!(delivered(2, 0)(&both.send("once")));
    assert!(delivered(1, 0)(&both.clone().except(ann.id()).send("ben")));
    assert!(delivered(3, 0)(&rooms.everyone().and("tea").send("all")));
    all_receive(&[&ann_socket, &ben_socket], "once");
    all_receive(&[&ben_socket], "ben");
    all_receive(&[&ann_socket, &ben_socket, &eve_socket], "all");

    let mut left: Vec<String> =
        rooms.leave_all(ann.id()).iter().map(|room| room.to_string()).collect();
    left.sort_unstable();
    assert_eq!(left, ["milk", "tea"]);
    assert!(rooms.rooms_of(ann.id()).is_empty() && rooms.is_empty("tea"));
    assert!(rooms.one(ann.id()).is_some(), "a connection without rooms is still known");
}

#[test]
fn an_ended_connection_is_in_no_room_at_on_disconnect() {
    let fixture = serve_rooms(Options::default());
    let endings: [fn(Peer, &Connection); 6] = [
        |mut peer, _| peer.send(TEXT, b"panic"),
        |mut peer, _| {
            peer.send_close(1000, "");
            peer.expect_close(1000, "");
        },
        |mut peer, _| peer.write(b"rubbish, not a frame"),
        |peer, _| drop(peer),
        |mut peer, connection| {
            assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
            peer.expect_close(1000, "");
            peer.send_close(1000, "");
        },
        |mut peer, connection| {
            // The connection's task may be running when it is aborted.
            peer.send(TEXT, b"join coffee");
            connection.abort();
        },
    ];
    for end in endings {
        let mut peer = fixture.server.open("/");
        let connection = fixture.events.connected();
        for room in ["tea", "milk"] {
            peer.send(TEXT, format!("join {room}").as_bytes());
            peer.expect(TEXT, b"true");
        }
        assert_eq!(fixture.rooms.rooms_of(connection.id()).len(), 2);
        end(peer, &connection);
        // The handler asserts the same before it records this.
        fixture.events.ended();
        assert!(fixture.rooms.names().is_empty(), "{:?}", fixture.rooms);
    }
}

#[test]
fn a_shutdown_empties_the_rooms() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = std::time::Duration::from_millis(10); // the first client never answers
    let fixture = serve_rooms(options);
    let mut silent = fixture.server.open("/");
    silent.send(TEXT, b"join tea");
    silent.expect(TEXT, b"true");
    let (_, polite) = {
        fixture.events.connected();
        fixture.connect()
    };
    command(&polite, "join tea");
    assert_eq!(fixture.server.stop().cut, 1);
    assert!(fixture.rooms.names().is_empty());
    assert!(delivered(0, 0)(&fixture.rooms.everyone().send("anyone?")));
}

#[test]
fn a_dropped_task_removes_its_connection_from_its_rooms() {
    let (handler, rooms, events) = RoomsHandler::new();
    let (ours, theirs) = pipe();
    block_on(async {
        let options = Options::default();
        let mut session = pin!(serve_stream(ours, &options, handler));
        let join = async {
            let client = Client::new("ws://localhost/").expect("an address");
            let socket = client.connect_stream(theirs).await.expect("the server accepts");
            socket.send("join tea").await.expect("an open connection");
            assert_eq!(next_text(&socket).await, "true");
        };
        let served = async {
            let _ = session.as_mut().await;
            panic!("the session ended before it was dropped");
        };
        or(join, served).await;
        assert_eq!(rooms.len("tea"), 1);
    });
    assert!(rooms.names().is_empty(), "{rooms:?}");
    assert!(matches!(events.next(), Seen::Connected(_)));
}

#[test]
fn closing_a_room_closes_its_members() {
    let fixture = serve_rooms(Options::default());
    let ((ann, ann_socket), (_, ben_socket), (_, eve_socket)) =
        (fixture.connect(), fixture.connect(), fixture.connect());
    for socket in [&ann_socket, &ben_socket] {
        command(socket, "join tea");
    }
    let rooms = fixture.rooms.clone();
    let closed =
        rooms.to("tea").except(ann.id()).close(CloseCode::GOING_AWAY, "the kettle is empty");
    assert_eq!(closed.here, 1);
    match block_on(ben_socket.recv()) {
        Err(Disconnect::Peer { code: CloseCode::GOING_AWAY, reason }) => {
            assert_eq!(reason, "the kettle is empty");
        }
        other => panic!("{other:?}"),
    }
    fixture.events.ended();
    assert_eq!(rooms.members("tea"), [ann.id()]);
    assert_eq!(command(&eve_socket, "join tea"), "true", "other connections stay open");
}

/// Receives lines up to `last`, and returns them.
fn listen(socket: &Socket) -> Vec<String> {
    let mut received = Vec::new();
    loop {
        match block_on(next_text(socket)).as_str() {
            "last" => return received,
            // The answer to the join command, which other lines may precede.
            "true" => {}
            line => received.push(line.to_owned()),
        }
    }
}

#[test]
fn early_and_late_members_see_the_same_order() {
    const WORDS: usize = 300;
    let fixture = serve_rooms(Options::default());
    let [speakers, early, late] =
        [4, 2, 2].map(|count| (0..count).map(|_| fixture.connect().1).collect::<Vec<_>>());
    for socket in &early {
        command(socket, "join tea");
    }
    let received: Vec<Vec<String>> = thread::scope(|scope| {
        let speaking: Vec<_> = speakers
            .iter()
            .enumerate()
            .map(|(number, speaker)| {
                scope.spawn(move || {
                    for word in 0..WORDS {
                        command(speaker, &format!("say tea {number}.{word}"));
                    }
                })
            })
            .collect();
        let listening: Vec<_> =
            early.iter().chain(&late).map(|socket| scope.spawn(|| listen(socket))).collect();
        for socket in &late {
            block_on(socket.send("join tea")).expect("an open connection");
        }
        for speaker in speaking {
            speaker.join().expect("the speaker finishes");
        }
        wait_until("the late members have joined", || fixture.rooms.len("tea") == 4);
        assert!(delivered(4, 0)(&fixture.rooms.to("tea").send("last")));
        listening
            .into_iter()
            .map(|listener| listener.join().expect("the listener finishes"))
            .collect()
    });
    assert_eq!(received[0].len(), speakers.len() * WORDS);
    assert_eq!(received[0], received[1]);
    for part in &received[2..] {
        assert!(received[0].ends_with(part), "{} of {} lines", part.len(), received[0].len());
    }
}
