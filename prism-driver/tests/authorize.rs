//! `authorize` over time: its deadline, peers that leave meanwhile, and what peers send before they are answered.

use std::io::ErrorKind;

use futures_lite::AsyncWriteExt;
use prism_driver::{IntoRoute, Options, Reply, Request, Runtime, shared};
use prism_test::{Faults, Peer, PipeEnd, Received, Sim};

use crate::common::{
    gatekeeper::Gatekeeper,
    handlers::{Echo, Log, MessageLog},
    http::{read_head, read_to_end},
    ms,
    net::Net,
    s,
    site::{request, send, start},
    text,
};

// ---- the deadline

#[test]
fn an_authorization_may_take_the_rest_of_the_handshake_timeout() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |_| {});
    sim.run(async {
        let mut in_time = server.ask("in_time", s(10) - ms(1)).await.0;
        let mut late = server.ask("late", s(10) + ms(1)).await.0;
        let head = read_head(&mut in_time).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(sim.now(), s(10) - ms(1));
        let answer = read_to_end(&mut late).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nX-Route: chat\r\n"), "a refusal like any other: {answer}");
        let counts = server.stats.counts();
        assert_eq!((sim.now(), counts.refused.timed_out, counts.open), (s(10), 1, 1));
    });
    assert!(server.log.contains("10000: late ends"), "{:?}", server.log.lines());
}

#[test]
fn a_slow_request_leaves_less_time_for_its_authorization() {
    for (span, status) in [(s(4) - ms(1), "101"), (s(4) + ms(1), "503")] {
        let sim = Sim::default();
        let server = Gatekeeper::start(&sim, |_| {});
        sim.run(async {
            let (mut io, _) = server.net.connect_raw().unwrap();
            sim.pass(s(6)).await;
            let target = format!("/chat?name=slow&ms={}", span.as_millis());
            io.write_all(request(&target).as_bytes()).await.unwrap();
            let head = read_head(&mut io).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        });
    }
}

#[test]
fn the_time_in_the_queue_counts_towards_the_deadline() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    sim.run(async {
        let _first = server.ask("first", s(9)).await;
        sim.settle().await;
        let mut second = server.ask("second", s(2)).await.0;
        sim.settle().await;
        let mut third = server.ask("third", s(1)).await.0;
        for io in [&mut second, &mut third] {
            let answer = read_to_end(io).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        }
        let counts = server.stats.counts();
        assert_eq!((sim.now(), counts.refused.timed_out, counts.open), (s(10), 2, 1));
        // Nothing is left of them: the next one begins at once.
        let mut next = server.ask("next", ms(0)).await.0;
        assert!(read_head(&mut next).await.starts_with("HTTP/1.1 101 "));
        assert_eq!(sim.now(), s(10));
    });
    let begun = server.log.lines();
    let expected =
        ["0: first begins", "9000: first ends", "9000: second begins", "10000: second ends"];
    assert_eq!(begun[..4], expected);
}

#[test]
fn a_request_that_waits_until_its_deadline_is_never_authorized() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| options.max_authorizations = 1);
    sim.run(async {
        let (mut waits, _) = server.net.connect_raw().unwrap();
        sim.pass(s(2)).await;
        let mut runs = server.ask("runs", s(9)).await.0;
        sim.settle().await;
        waits.write_all(request("/chat?name=waits&ms=0").as_bytes()).await.unwrap();
        let answer = read_to_end(&mut waits).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!((sim.now(), server.stats.counts().refused.timed_out), (s(10), 1));
        assert!(read_head(&mut runs).await.starts_with("HTTP/1.1 101 "));
    });
    assert_eq!(server.log.lines(), ["2000: runs begins", "11000: runs ends"]);
}

// ---- peers that leave

/// Asserts that a peer that leaves in this way is noticed at once, while its authorization runs and while it waits,
/// and that nothing of it is left.
fn leaves(leave: impl Fn(&mut PipeEnd, &Faults)) {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |options| {
        (options.max_authorizations, options.max_connections) = (1, 2);
    });
    sim.run(async {
        let mut running = server.ask("running", s(5)).await;
        sim.settle().await;
        let mut waiting = server.ask("waiting", s(5)).await;
        sim.pass(s(1)).await;
        for (io, faults) in [&mut waiting, &mut running] {
            leave(io, faults);
            sim.settle().await;
            assert!(faults.dropped_by_server());
        }
        assert_eq!(server.log.lines(), ["0: running begins", "1000: running ends"]);
        let counts = server.stats.counts();
        assert_eq!((counts.refused.left, counts.refused.total(), counts.in_handshake), (2, 2, 0));
        assert_eq!(server.net.tasks(), 1, "only the server's own task");
        // Both slots and the only permit are free.
        for _ in 0..2 {
            let mut next = server.ask("next", ms(0)).await.0;
            assert!(read_head(&mut next).await.starts_with("HTTP/1.1 101 "));
        }
        assert_eq!(sim.now(), s(1));
    });
}

#[test]
fn a_peer_that_ends_its_side_cancels_its_authorization() {
    leaves(|io, _| futures_lite::future::block_on(io.close()).unwrap());
}

#[test]
fn a_peer_that_resets_cancels_its_authorization() {
    leaves(|_, faults| faults.to_server().fail(ErrorKind::ConnectionReset));
}

#[test]
fn early_bytes_do_not_hide_that_a_peer_has_left() {
    leaves(|io, _| {
        futures_lite::future::block_on(async {
            io.write_all(&[0; 10_000]).await.unwrap();
            io.close().await.unwrap();
        });
    });
}

#[test]
fn a_peer_that_leaves_when_it_is_authorized_is_connected_first() {
    let sim = Sim::default();
    let server = Gatekeeper::start(&sim, |_| {});
    sim.run(async {
        let (mut io, _) = server.ask("chat", ms(0)).await;
        io.close().await.unwrap();
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        sim.settle().await;
        let counts = server.stats.counts();
        assert_eq!((counts.closed, counts.refused.total()), (1, 0));
    });
}

// ---- what peers send early

/// How many bytes a server reads while it decides.
const MAX_EARLY: usize = 16 << 10;

/// Returns a masked text frame.
fn frame(payload: &str) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let mask = [0; 4];
    match len {
        0..126 => [&[0x81, 0x80 | len as u8][..], &mask, payload.as_bytes()].concat(),
        _ => [&[0x81, 0x80 | 126][..], &len.to_be_bytes(), &mask, payload.as_bytes()].concat(),
    }
}

/// Starts a server that authorizes each request for `/chat` after a second.
fn after_a_second(sim: &Sim, chat: impl IntoRoute<Net>) -> Net {
    let clock = sim.clone();
    let authorize = move |_: Request| {
        let wait = clock.sleep(s(1));
        async {
            wait.await;
            Ok::<_, Reply>(())
        }
    };
    start(sim, |server| server.authorize(authorize).websocket("/chat", chat))
}

fn logging(sim: &Sim) -> (Net, Log) {
    let (handler, log, _) = MessageLog::new();
    (after_a_second(sim, handler), log)
}

#[test]
fn what_a_peer_sends_during_its_authorization_is_not_lost() {
    for count in [1, 2, 30, 32, 33, 40, 1000] {
        for together in [true, false] {
            let sim = Sim::default();
            let (net, log) = logging(&sim);
            let messages: Vec<_> = (0..count).map(|n| format!("{n:0504}")).collect();
            let frames: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
            assert_eq!(frames.len(), 512 * count);
            sim.run(async {
                let (mut io, faults) = net.connect_raw().unwrap();
                let head = request("/chat");
                if together {
                    io.write_all(&[head.as_bytes(), &frames].concat()).await.unwrap();
                } else {
                    io.write_all(head.as_bytes()).await.unwrap();
                    sim.settle().await;
                    io.write_all(&frames).await.unwrap();
                }
                sim.settle().await;
                let unread = frames.len().saturating_sub(MAX_EARLY);
                assert!(faults.to_server().unread() >= unread, "the rest waits in the transport");
                assert!(faults.to_server().unread() <= unread + 4096, "{count}");
                assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
                sim.settle().await;
                assert_eq!((sim.now(), log.lines() == messages), (s(1), true), "{count}");
                Peer::new(io).send("after").await;
                sim.settle().await;
                assert!(log.contains("after"));
            });
        }
    }
}

#[test]
fn an_early_byte_at_a_time_is_not_lost() {
    let sim = Sim::default();
    let (net, log) = logging(&sim);
    sim.run(async {
        let (mut io, _) = net.connect_raw().unwrap();
        for byte in [request("/chat").as_bytes(), &frame("one"), &frame("two")].concat() {
            io.write_all(&[byte]).await.unwrap();
            sim.settle().await;
        }
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        sim.settle().await;
    });
    assert_eq!(log.lines(), ["one", "two"]);
}

#[test]
fn early_messages_are_subject_to_the_limits_of_the_route() {
    let sim = Sim::default();
    let small = shared(Echo).options(Options::default().max_message_size(10));
    let net = after_a_second(&sim, small);
    sim.run(async {
        let early = [request("/chat").as_bytes(), &frame("short"), &frame("far too long")].concat();
        let (mut io, _) = send(&net, early).await;
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        let mut peer = Peer::new(io);
        assert_eq!(peer.next().await, text("short"));
        let refusal = peer.next().await;
        assert!(matches!(refusal, Received::Close(1009, _)), "{refusal:?}");
    });
}
