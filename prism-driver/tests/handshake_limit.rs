//! `max_handshakes`: handshakes that never finish cannot block new clients, and each handshake has at
//! least 250 ms before it can be evicted.

use futures_lite::AsyncWriteExt;
use prism_driver::{Runtime, ServerOptions, ServerStats};
use prism_test::{PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::{REQUEST, read_head, read_to_end, shake_hands},
    ms,
    net::Net,
    s, text,
};

/// Starts a server with this limit on handshakes.
fn server(sim: &Sim, max_handshakes: usize) -> (Net, ServerStats) {
    let mut options = ServerOptions::default();
    options.max_handshakes = max_handshakes;
    server_with(sim, options)
}

fn server_with(sim: &Sim, options: impl Into<ServerOptions>) -> (Net, ServerStats) {
    let net = Net::new(sim);
    let stats = net.serve(|server| server.options(options).websocket("/chat", Echo));
    (net, stats)
}

fn connect_raw(net: &Net) -> PipeEnd {
    net.connect_raw().unwrap().0
}

#[test]
fn at_the_limit_the_oldest_handshake_is_evicted_after_250_ms() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 2);
    sim.run(async {
        let mut oldest = connect_raw(&net);
        oldest.write_all(&REQUEST.as_bytes()[..50]).await.unwrap();
        sim.pass(ms(100)).await;
        let second = connect_raw(&net);
        let _newcomer = shake_hands(connect_raw(&net)).await;
        assert_eq!(sim.now(), ms(250));
        assert_eq!(read_to_end(&mut oldest).await, "", "there is no answer");
        // The younger one goes on.
        let mut second = shake_hands(second).await;
        second.send("still here").await;
        assert_eq!(second.next().await, text("still here"));
        assert_eq!(sim.now(), ms(250));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.in_handshake, counts.refused.evicted), (2, 0, 1));
    });
}

#[test]
fn a_burst_of_complete_requests_is_accepted_at_once() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 8);
    sim.run(async {
        let mut all: Vec<_> = (0..1000).map(|_| connect_raw(&net)).collect();
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
fn idle_handshakes_cannot_block_a_new_client() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 8);
    sim.run(async {
        let silent: Vec<_> = (0..1000).map(|_| connect_raw(&net)).collect();
        let _good = shake_hands(connect_raw(&net)).await;
        // 125 batches of eight, and each batch has 250 ms, not ten seconds.
        assert_eq!(sim.now(), ms(125 * 250));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.evicted, counts.in_handshake), (1, 993, 7));
        drop(silent);
    });
}

#[test]
fn a_handshake_that_completes_during_eviction_is_accepted() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1);
    sim.run(async {
        let mut first = connect_raw(&net);
        sim.settle().await;
        let _second = connect_raw(&net);
        // The eviction has been requested, but not noticed, when the request arrives.
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
fn a_refused_peer_that_stays_is_evicted_and_counted_once() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(connect_raw(&net)).await;
        assert_eq!(sim.now(), ms(250));
        let counts = stats.counts();
        assert_eq!((counts.refused.not_found, counts.refused.evicted), (1, 0));
    });
}

/// Opens a peer that is refused with 404, and stays.
async fn refused(net: &Net) -> PipeEnd {
    let mut refused = connect_raw(net);
    refused.write_all(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    refused
}

#[test]
fn a_refused_peer_makes_way_for_a_connection() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let (net, _) = server_with(&sim, options);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(connect_raw(&net)).await;
        assert_eq!(sim.now(), ms(250));
    });
}

#[test]
fn a_refused_peer_makes_way_when_descriptors_run_out() {
    let sim = Sim::default();
    let (net, _) = server(&sim, 1000);
    net.set_descriptors(1);
    sim.run(async {
        let _refused = refused(&net).await;
        let _good = shake_hands(connect_raw(&net)).await;
        assert_eq!(sim.now(), ms(250));
    });
}

#[test]
fn at_max_connections_the_next_opens_when_one_has_ended() {
    let sim = Sim::default();
    let (net, stats) = server_with(&sim, ServerOptions::default().max_connections(1));
    sim.run(async {
        for round in 1..=3 {
            let first = shake_hands(connect_raw(&net)).await;
            let waiting = connect_raw(&net);
            sim.pass(ms(1000)).await;
            assert_eq!(stats.counts().open, 1, "the other one waits");
            drop(first);
            drop(shake_hands(waiting).await);
            sim.pass(ms(1000)).await;
            let counts = stats.counts();
            assert_eq!((counts.open, counts.closed), (0, 2 * round));
        }
    });
}

#[test]
fn at_max_connections_only_handshakes_are_evicted() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 3;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let first = shake_hands(connect_raw(&net)).await;
        let _silent = [connect_raw(&net), connect_raw(&net)];
        let _second = shake_hands(connect_raw(&net)).await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 1));
        let _third = shake_hands(connect_raw(&net)).await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 2));
        // All three places are taken by connections now.
        let (mut waits, faults) = net.connect_raw().unwrap();
        waits.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.pass(s(15)).await;
        assert_eq!((faults.to_server().unread(), stats.counts().open), (REQUEST.len(), 3));
        drop(first);
        assert!(read_head(&mut waits).await.starts_with("HTTP/1.1 101 "));
        assert_eq!((sim.now(), stats.counts().open), (ms(15_250), 3));
    });
}

#[test]
fn the_next_handshake_is_evicted_if_the_first_completes() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 2;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let mut first = connect_raw(&net);
        let _silent = connect_raw(&net);
        let newcomer = connect_raw(&net);
        // The first one's eviction has been requested, but not noticed, when its request arrives.
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
fn two_handshakes_cannot_both_take_the_last_place() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    options.max_connections = 1;
    let (net, stats) = server_with(&sim, options);
    sim.run(async {
        let mut first = connect_raw(&net);
        sim.settle().await;
        let mut second = connect_raw(&net);
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
fn handshakes_are_evicted_when_descriptors_run_out() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1000);
    net.set_descriptors(8);
    sim.run(async {
        let mut good = shake_hands(connect_raw(&net)).await;
        let _silent: Vec<_> = (0..14).map(|_| connect_raw(&net)).collect();
        let _newcomer = shake_hands(connect_raw(&net)).await;
        // Seven in the first 250 ms and seven in the next, not ten seconds.
        assert_eq!(sim.now(), ms(500));
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.evicted, counts.in_handshake), (2, 8, 6));
        good.send("still here").await;
        assert_eq!(good.next().await, text("still here"));
    });
}

#[test]
fn without_descriptors_a_client_waits_for_a_connection_to_end() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 1000);
    net.set_descriptors(1);
    sim.run(async {
        let first = shake_hands(connect_raw(&net)).await;
        let mut waits = connect_raw(&net);
        waits.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.pass(ms(15_025)).await;
        assert_eq!(stats.counts().accepted, 1);
        drop(first);
        assert!(read_head(&mut waits).await.starts_with("HTTP/1.1 101 "));
        assert_eq!((sim.now(), stats.counts().open), (ms(15_025), 1));
    });
}

#[test]
fn limits_of_zero_still_allow_one_handshake() {
    let sim = Sim::default();
    let mut options = ServerOptions::default();
    (options.max_handshakes, options.max_connections) = (0, 0);
    let (net, _) = server_with(&sim, options);
    sim.run(async {
        let _good = shake_hands(connect_raw(&net)).await;
        assert_eq!(sim.now(), s(0));
    });
}

/// On tokio, this is near the end of one of the steps in which tasks grow. TLS may not change it.
#[test]
fn the_task_of_a_handshake_is_as_small_as_it_should_be() {
    let sim = Sim::default();
    let (net, _) = server(&sim, 2);
    sim.run(async {
        let _peer = connect_raw(&net);
        sim.settle().await;
        assert!((700..=736).contains(&net.last_task_size()), "{}", net.last_task_size());
    });
}
