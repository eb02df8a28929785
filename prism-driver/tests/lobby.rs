//! Handshakes that never finish: they lock nobody out, and nobody is driven out by mere haste.

mod common;

use common::{
    handlers::Echo,
    http::{REQUEST, read_head, read_to_end, shake_hands},
    ms,
    net::Net,
    pipe::End,
    s,
    sim::Sim,
    text,
};
use futures_lite::AsyncWriteExt;
use prism_driver::{Runtime, Server, ServerOptions, ServerStats};

/// A server that has room for so many handshakes.
fn server(sim: &Sim, max_handshakes: usize) -> (Net, ServerStats) {
    let mut options = ServerOptions::default();
    options.max_handshakes = max_handshakes;
    server_with(sim, options)
}

fn server_with(sim: &Sim, options: impl Into<ServerOptions>) -> (Net, ServerStats) {
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.options(options).websocket("/chat", Echo);
    let stats = server.stats();
    sim.spawn(server.serve());
    sim.run(sim.settle());
    (net, stats)
}

fn knock(net: &Net) -> End {
    net.knock().unwrap().0
}

#[test]
fn when_there_is_no_room_the_oldest_handshake_makes_way_when_it_has_had_its_time() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 2);
    sim.run(async {
        let mut oldest = knock(&net);
        oldest.write_all(&REQUEST.as_bytes()[..50]).await.unwrap();
        sim.pass(ms(100)).await;
        let second = knock(&net);
        let _newcomer = shake_hands(knock(&net)).await;
        assert_eq!(sim.now(), ms(250));
        assert_eq!(read_to_end(&mut oldest).await, "", "it is not answered");
        // Who has been here for less long goes on.
        let mut second = shake_hands(second).await;
        second.send("still here").await;
        assert_eq!(second.next().await, text("still here"));
        assert_eq!(sim.now(), ms(250));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.in_handshake, counts.refused.evicted), (2, 0, 1));
    });
}

#[test]
fn a_thousand_at_once_whose_requests_are_there_are_all_let_in_at_once() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 8);
    sim.run(async {
        let mut all: Vec<_> = (0..1000).map(|_| knock(&net)).collect();
        for one in &mut all {
            one.write_all(REQUEST.as_bytes()).await.unwrap();
        }
        for one in &mut all {
            assert!(read_head(one).await.starts_with("HTTP/1.1 101 "));
        }
        assert_eq!((sim.now(), stats.counts().open), (s(0), 1000));
    });
}

#[test]
fn behind_a_thousand_who_say_nothing_each_has_its_turn() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 8);
    sim.run(async {
        let silent: Vec<_> = (0..1000).map(|_| knock(&net)).collect();
        let _good = shake_hands(knock(&net)).await;
        // 125 times eight of them, each of which has a quarter of a second; not ten seconds.
        assert_eq!(sim.now(), ms(125 * 250));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.evicted, counts.in_handshake), (1, 993, 7));
        drop(silent);
    });
}

#[test]
fn who_is_asked_to_leave_but_has_sent_its_request_meanwhile_is_let_in() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1);
    sim.run(async {
        let mut first = knock(&net);
        sim.settle().await;
        let _second = knock(&net);
        // It has been asked, and has not heard of it, when its request comes.
        while stats.counts().accepted < 2 {
            sim.step();
        }
        assert_eq!(sim.now(), ms(250));
        first.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(read_head(&mut first).await.starts_with("HTTP/1.1 101 "));
        assert_eq!(stats.counts().refused.evicted, 0);
    });
}

#[test]
fn who_was_refused_and_does_not_leave_makes_way_too_and_is_counted_once() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(knock(&net)).await;
        assert_eq!(sim.now(), ms(250));
        let counts = stats.counts();
        assert_eq!((counts.refused.not_found, counts.refused.evicted), (1, 0));
    });
}

/// Somebody who gets a 404, and stays.
async fn refused(net: &Net) -> End {
    let mut refused = knock(net);
    refused.write_all(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    refused
}

#[test]
fn who_was_refused_and_does_not_leave_takes_the_place_of_a_connection() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let (net, _) = server_with(&sim, options);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(knock(&net)).await;
        assert_eq!(sim.now(), ms(250));
    });
}

#[test]
fn who_was_refused_and_does_not_leave_takes_a_descriptor_and_is_heard_when_it_is_free() {
    let sim = Sim::default();
    let (net, _) = server(&sim, 1000);
    net.set_descriptors(1);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(knock(&net)).await;
        assert_eq!(sim.now(), ms(250));
    });
}

#[test]
fn where_no_place_is_left_for_a_connection_handshakes_make_way_and_connections_do_not() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 3;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let first = shake_hands(knock(&net)).await;
        let _silent = [knock(&net), knock(&net)];
        let _second = shake_hands(knock(&net)).await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 1));
        let _third = shake_hands(knock(&net)).await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 2));
        // Now there are three.
        let (mut waits, script) = net.knock().unwrap();
        waits.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.pass(s(15)).await;
        assert_eq!((script.unread_by_server(), stats.counts().open), (REQUEST.len(), 3));
        drop(first);
        assert!(read_head(&mut waits).await.starts_with("HTTP/1.1 101 "));
        assert_eq!((sim.now(), stats.counts().open), (ms(15_250), 3));
    });
}

#[test]
fn who_has_to_leave_but_gets_in_after_all_is_no_reason_to_wait_for_the_next() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 2;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let mut first = knock(&net);
        let _silent = knock(&net);
        let newcomer = knock(&net);
        // The first has been asked to leave, and has not heard of it, when its request comes.
        while sim.now() < ms(250) {
            sim.step();
        }
        sim.tick();
        first.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(read_head(&mut first).await.starts_with("HTTP/1.1 101 "));
        let _newcomer = shake_hands(newcomer).await;
        assert_eq!(sim.now(), ms(250));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.evicted), (2, 1));
    });
}

#[test]
fn two_who_finish_at_once_do_not_both_take_the_last_place() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let mut first = knock(&net);
        sim.settle().await;
        let mut second = knock(&net);
        second.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.settle().await;
        first.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(read_head(&mut first).await.starts_with("HTTP/1.1 101 "));
        sim.pass(s(15)).await;
        assert_eq!(stats.counts().open, 1);
        drop(first);
        assert!(read_head(&mut second).await.starts_with("HTTP/1.1 101 "));
        assert_eq!((sim.now(), stats.counts().open), (s(15), 1));
    });
}

#[test]
fn where_no_descriptor_is_left_handshakes_make_way_as_well() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1000);
    net.set_descriptors(8);
    sim.run(async {
        let mut good = shake_hands(knock(&net)).await;
        let _silent: Vec<_> = (0..14).map(|_| knock(&net)).collect();
        let _newcomer = shake_hands(knock(&net)).await;
        // Seven in the first quarter of a second, seven in the next; not ten seconds.
        assert_eq!(sim.now(), ms(500));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.evicted, counts.in_handshake), (2, 8, 6));
        good.send("still here").await;
        assert_eq!(good.next().await, text("still here"));
    });
}

#[test]
fn where_no_descriptor_is_left_and_nobody_can_make_way_the_next_waits_until_one_leaves() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1000);
    net.set_descriptors(1);
    sim.run(async {
        let first = shake_hands(knock(&net)).await;
        let mut waits = knock(&net);
        waits.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.pass(ms(15_025)).await;
        assert_eq!(stats.counts().accepted, 1);
        drop(first);
        assert!(read_head(&mut waits).await.starts_with("HTTP/1.1 101 "));
        assert_eq!((sim.now(), stats.counts().open), (ms(15_025), 1));
    });
}

#[test]
fn a_server_has_room_for_one_handshake_whatever_it_is_told() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    (options.max_handshakes, options.max_connections) = (0, 0);
    let (net, _) = server_with(&sim, options);
    sim.run(async {
        let _good = shake_hands(knock(&net)).await;
        assert_eq!(sim.now(), s(0));
    });
}
