//! Rooms on connections: who hears what, and that whoever goes is in no room any more.

use std::{pin::pin, thread};

use futures_lite::future::or;
use prism_rooms::Delivery;

use super::support::{
    block_on,
    handlers::Seen,
    hotel::{Hotel, hears, open, order},
    peer::{Peer, TEXT},
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
fn all_hear(sockets: &[&Socket], line: &str) {
    for socket in sockets {
        assert_eq!(block_on(hears(socket)), line);
    }
}

#[test]
fn who_is_in_a_room_hears_what_is_said_there_and_nobody_else() {
    let hotel = open(Options::default());
    let ((ann, ann_hears), (ben, ben_hears), (_, eve_hears)) =
        (hotel.guest(), hotel.guest(), hotel.guest());
    assert_eq!(order(&ann_hears, "join tea"), "true");
    assert_eq!(order(&ann_hears, "join tea"), "false");
    assert_eq!(order(&ben_hears, "join tea"), "true");
    assert_eq!(hotel.rooms.len("tea"), 2);
    assert_eq!(hotel.rooms.names().iter().map(|name| &**name).collect::<Vec<_>>(), ["tea"]);
    assert!(hotel.rooms.contains("tea", ben.id()));

    let rooms = hotel.rooms.clone();
    assert!(delivered(2, 0)(&rooms.to("tea").send("both")));
    all_hear(&[&ann_hears, &ben_hears], "both");
    assert!(delivered(1, 0)(&rooms.to("tea").except(ann.id()).send("ben")));
    assert!(delivered(3, 0)(&rooms.everyone().send("all")));
    all_hear(&[&ben_hears], "ben");
    all_hear(&[&ann_hears, &ben_hears, &eve_hears], "all");
    assert!(delivered(0, 0)(&rooms.to("milk").send("nobody is there")));

    assert_eq!(order(&ann_hears, "leave tea"), "true");
    assert_eq!(order(&ann_hears, "leave tea"), "false");
    assert!(delivered(1, 0)(&rooms.to("tea").send("ben")));
    all_hear(&[&ben_hears], "ben");
    assert_eq!(hotel.rooms.members("tea"), [ben.id()]);
    // And nothing came to the others before this.
    rooms.one(ann.id()).expect("it is known").try_send("only you").unwrap();
    all_hear(&[&ann_hears], "only you");
}

#[test]
fn of_many_guests_all_hear_but_those_who_are_left_out() {
    let hotel = open(Options::default());
    let guests: Vec<_> = (0..20).map(|_| hotel.guest()).collect();
    let (left_out, others) = guests.split_at(12);
    let to = left_out.iter().fold(hotel.rooms.everyone(), |to, (guest, _)| to.except(guest.id()));
    assert!(delivered(others.len(), 0)(&to.send("not for all")));
    all_hear(&others.iter().map(|(_, hears)| hears).collect::<Vec<_>>(), "not for all");
    assert!(delivered(guests.len(), 0)(&hotel.rooms.everyone().send("all")));
    // And nothing before it.
    all_hear(&guests.iter().map(|(_, hears)| hears).collect::<Vec<_>>(), "all");
}

#[test]
fn who_is_in_several_rooms_hears_what_is_for_all_of_them_once() {
    let hotel = open(Options::default());
    let ((ann, ann_hears), (_, ben_hears), (_, eve_hears)) =
        (hotel.guest(), hotel.guest(), hotel.guest());
    for (socket, room) in [(&ann_hears, "tea"), (&ann_hears, "milk"), (&ben_hears, "milk")] {
        assert_eq!(order(socket, &format!("join {room}")), "true");
    }
    order(&eve_hears, "join water");
    let rooms = hotel.rooms.clone();
    let both = rooms.to("tea").and("milk").and("nowhere").and("tea");
    assert!(delivered(2, 0)(&both.send("once")));
    assert!(delivered(1, 0)(&both.clone().except(ann.id()).send("ben")));
    assert!(delivered(3, 0)(&rooms.everyone().and("tea").send("all")));
    all_hear(&[&ann_hears, &ben_hears], "once");
    all_hear(&[&ben_hears], "ben");
    all_hear(&[&ann_hears, &ben_hears, &eve_hears], "all");

    let mut left: Vec<String> =
        rooms.leave_all(ann.id()).iter().map(|room| room.to_string()).collect();
    left.sort_unstable();
    assert_eq!(left, ["milk", "tea"]);
    assert!(rooms.rooms_of(ann.id()).is_empty() && rooms.is_empty("tea"));
    assert!(rooms.one(ann.id()).is_some(), "it is known all the same");
}

#[test]
fn however_a_connection_ends_it_is_in_no_room_when_its_handler_hears_of_it() {
    let hotel = open(Options::default());
    let endings: [fn(Peer, &Connection); 6] = [
        |mut peer, _| peer.send(TEXT, b"panic"),
        |mut peer, _| {
            peer.send_close(1000, "");
            peer.expect_close(1000, "");
        },
        |mut peer, _| peer.write(b"rubbish, not a frame"),
        |peer, _| drop(peer),
        |mut peer, connection| {
            assert!(connection.close(CloseCode::NORMAL, ""), "it is open");
            peer.expect_close(1000, "");
            peer.send_close(1000, "");
        },
        |mut peer, connection| {
            // Its task is awake when it is aborted, perhaps.
            peer.send(TEXT, b"join coffee");
            connection.abort();
        },
    ];
    for end in endings {
        let mut peer = hotel.server.open("/");
        let connection = hotel.events.connected();
        for room in ["tea", "milk"] {
            peer.send(TEXT, format!("join {room}").as_bytes());
            peer.expect(TEXT, b"true");
        }
        assert_eq!(hotel.rooms.rooms_of(connection.id()).len(), 2);
        end(peer, &connection);
        // The handler looks, too, before it tells this.
        hotel.events.ended();
        assert!(hotel.rooms.names().is_empty(), "{:?}", hotel.rooms);
    }
}

#[test]
fn a_shutdown_empties_the_rooms() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = std::time::Duration::from_millis(10); // the first guest never answers
    let hotel = open(options);
    let mut silent = hotel.server.open("/");
    silent.send(TEXT, b"join tea");
    silent.expect(TEXT, b"true");
    let (_, polite) = {
        hotel.events.connected();
        hotel.guest()
    };
    order(&polite, "join tea");
    assert_eq!(hotel.server.stop().cut, 1);
    assert!(hotel.rooms.names().is_empty());
    assert!(delivered(0, 0)(&hotel.rooms.everyone().send("anybody?")));
}

#[test]
fn a_task_that_is_dropped_takes_its_connection_out_of_its_rooms() {
    let (hotel, rooms, events) = Hotel::new();
    let (ours, theirs) = pipe();
    block_on(async {
        let options = Options::default();
        let mut session = pin!(serve_stream(ours, &options, &hotel));
        let join = async {
            let client = Client::new("ws://localhost/").expect("an address");
            let socket = client.connect_stream(theirs).await.expect("the server accepts");
            socket.send("join tea").await.expect("an open connection");
            assert_eq!(hears(&socket).await, "true");
        };
        let served = async {
            let _ = session.as_mut().await;
            panic!("it ended before it was dropped");
        };
        or(join, served).await;
        assert_eq!(rooms.len("tea"), 1);
    });
    assert!(rooms.names().is_empty(), "{rooms:?}");
    assert!(matches!(events.next(), Seen::Connected(_)));
}

#[test]
fn closing_a_room_closes_who_is_in_it() {
    let hotel = open(Options::default());
    let ((ann, ann_hears), (_, ben_hears), (_, eve_hears)) =
        (hotel.guest(), hotel.guest(), hotel.guest());
    for socket in [&ann_hears, &ben_hears] {
        order(socket, "join tea");
    }
    let rooms = hotel.rooms.clone();
    let closed =
        rooms.to("tea").except(ann.id()).close(CloseCode::GOING_AWAY, "the kettle is empty");
    assert_eq!(closed, 1);
    match block_on(ben_hears.recv()) {
        Err(Disconnect::Peer { code: CloseCode::GOING_AWAY, reason }) => {
            assert_eq!(reason, "the kettle is empty");
        }
        other => panic!("{other:?}"),
    }
    hotel.events.ended();
    assert_eq!(rooms.members("tea"), [ann.id()]);
    assert_eq!(order(&eve_hears, "join tea"), "true", "the others stay");
}

/// All that is said until somebody says `last`.
fn listen(socket: &Socket) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        match block_on(hears(socket)).as_str() {
            "last" => return heard,
            // The answer to the order to join: others may have spoken before it.
            "true" => {}
            line => heard.push(line.to_owned()),
        }
    }
}

#[test]
fn all_hear_one_order_and_who_joins_meanwhile_hears_the_rest_of_it() {
    const WORDS: usize = 300;
    let hotel = open(Options::default());
    let [speakers, early, late] =
        [4, 2, 2].map(|count| (0..count).map(|_| hotel.guest().1).collect::<Vec<_>>());
    for socket in &early {
        order(socket, "join tea");
    }
    let heard: Vec<Vec<String>> = thread::scope(|scope| {
        let speaking: Vec<_> = speakers
            .iter()
            .enumerate()
            .map(|(number, speaker)| {
                scope.spawn(move || {
                    for word in 0..WORDS {
                        order(speaker, &format!("say tea {number}.{word}"));
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
            speaker.join().expect("it speaks");
        }
        wait_until("the late ones have joined", || hotel.rooms.len("tea") == 4);
        assert!(delivered(4, 0)(&hotel.rooms.to("tea").send("last")));
        listening.into_iter().map(|listener| listener.join().expect("it listens")).collect()
    });
    assert_eq!(heard[0].len(), speakers.len() * WORDS);
    assert_eq!(heard[0], heard[1]);
    for part in &heard[2..] {
        assert!(heard[0].ends_with(part), "{} of {} lines", part.len(), heard[0].len());
    }
}
