//! permessage-deflate (RFC 7692): who compresses, what, and how often.

use std::panic::{self, AssertUnwindSafe};

use allocation_counter::measure;
use futures_lite::future::zip;
use prism_core::deflate::DeflateParams;
use prism_driver::{
    Client, CloseCode, Connection, Deflate, Handler, Message, Options, Outgoing, Plain,
    PreparedMessage, SendError, TrySendError, WhenSlow, WindowBits, shared,
};
use prism_test::{Received, Sim};

use crate::common::{
    compressed::{counting, json, open, open_with, options, panicking_once},
    handlers::{Echo, HandOut, MessageLog},
    ms, serve_handshake,
    site::{ask, start},
    text,
};

/// The settings for both ways to compress.
fn both() -> [Deflate; 2] {
    [Deflate::default(), Deflate::default().with_takeover()]
}

#[test]
fn messages_are_compressed_if_both_ends_want_it() {
    let sim = Sim::default();
    for deflate in both() {
        let (mut peer, faults, connection) = open(&sim, options(deflate.clone()), deflate.clone());
        let agreed = connection.compression().expect("both want it");
        assert_eq!(agreed.server_no_context_takeover, deflate.server_no_context_takeover);
        assert_eq!(Some(agreed), peer.deflate_params());
        faults.to_client().set_capacity(0);
        sim.run(async {
            for nth in 0..20 {
                connection.send(json(nth)).await.unwrap();
            }
            let plain: usize = (0..20).map(|nth| json(nth).len()).sum();
            assert!(connection.buffered() < plain / 2, "{} of {plain}", connection.buffered());
            faults.to_client().set_capacity(1 << 20);
            for nth in 0..20 {
                assert_eq!(peer.next().await, text(&json(nth)));
            }
            for nth in 0..20 {
                peer.send(&json(nth)).await;
                assert_eq!(peer.next().await, text(&json(nth)), "echoed");
            }
        });
    }
}

#[test]
fn nothing_is_compressed_unless_both_ends_want_it() {
    let sim = Sim::default();
    let (mut peer, faults, connection) =
        open(&sim, Options::default().ping_interval(None), Deflate::default());
    assert_eq!(connection.compression(), None);
    assert_eq!(peer.deflate_params(), None);
    faults.to_client().set_capacity(0);
    connection.try_send(json(1)).unwrap();
    assert_eq!(connection.buffered(), 4 + json(1).len());
    faults.to_client().set_capacity(1 << 20);
    assert_eq!(sim.run(peer.next()), text(&json(1)));
}

#[test]
fn short_messages_are_sent_as_they_are() {
    let sim = Sim::default();
    let options = Options::default().ping_interval(None).compression(Deflate::default());
    let (mut peer, faults, connection) = open(&sim, options, Deflate::default());
    faults.to_client().set_capacity(0);
    connection.try_send("x".repeat(511)).unwrap();
    assert_eq!(connection.buffered(), 4 + 511);
    connection.try_send("x".repeat(512)).unwrap();
    assert!(connection.buffered() < 4 + 511 + 50);
    faults.to_client().set_capacity(1 << 20);
    for len in [511, 512] {
        assert_eq!(sim.run(peer.next()), text(&"x".repeat(len)));
    }
}

#[test]
fn a_plain_message_is_never_compressed() {
    let sim = Sim::default();
    for deflate in both() {
        let (mut peer, faults, connection) = open(&sim, options(deflate.clone()), deflate.clone());
        faults.to_client().set_capacity(0);
        let long = "x".repeat(1000);
        let mut frames = 0;
        let mut send = |sent: Result<(), _>| {
            sent.unwrap();
            frames += 1;
            assert_eq!(connection.buffered(), frames * (4 + 1000), "message {frames}");
        };
        send(connection.try_send(Plain(&*long)));
        send(connection.try_send(Plain(long.clone())));
        send(connection.try_send(Box::new(Plain(&long))));
        send(connection.try_send(Plain(PreparedMessage::new(&long))));
        send(connection.try_send(PreparedMessage::new(&long).plain()));
        send(connection.try_send(Plain(&long).prepare()));
        send(connection.try_send(Plain(PreparedMessage::new(&long)).prepare()));
        send(
            sim.run(async { connection.send(Plain(long.as_bytes())).await })
                .map_err(TrySendError::Refused),
        );
        connection.try_send(&long).unwrap();
        assert!(connection.buffered() < frames * (4 + 1000) + 50);
        faults.to_client().set_capacity(1 << 20);
        sim.run(async {
            for _ in 0..7 {
                assert_eq!(peer.next().await, text(&long));
            }
            assert_eq!(peer.next().await, Received::Binary(long.clone().into()));
            assert_eq!(peer.next().await, text(&long));
        });
    }
}

#[test]
fn a_prepared_message_is_compressed_once_for_each_window() {
    let sim = Sim::default();
    let (deflate, counting) = counting();
    let bits = |bits| WindowBits::new(bits).unwrap();
    let small = deflate.clone().server_max_window_bits(bits(9));
    let settings = [deflate.clone(), small.clone(), deflate.clone().with_takeover(), small];
    let mut peers = settings.map(|deflate| open(&sim, options(deflate.clone()), deflate.clone()));
    let long = (0..10).map(json).collect::<String>(); // longer than 4 KiB
    let message = PreparedMessage::new(&long);
    for _ in 0..3 {
        for (peer, _, connection) in &mut peers {
            connection.try_send(&message).unwrap();
            assert_eq!(sim.run(peer.next()), text(&long));
        }
    }
    assert_eq!(counting.take(), 3, "for 15, 9 and 12 bits");
}

/// As in a loop over all connections.
#[test]
fn a_message_that_is_sent_to_one_connection_after_another_is_compressed_twice_at_most() {
    let sim = Sim::default();
    for when_slow in [WhenSlow::Wait, WhenSlow::DropOldest] {
        let (deflate, counting) = counting();
        let options = options(deflate.clone()).when_slow(when_slow);
        let mut peers: Vec<_> =
            (0..10).map(|_| open(&sim, options.clone(), deflate.clone())).collect();
        let message = json(1);
        for (.., connection) in &peers {
            connection.try_send(&message).unwrap();
        }
        assert_eq!(counting.take(), 2);
        for (peer, ..) in &mut peers {
            assert_eq!(sim.run(peer.next()), text(&message));
        }
    }
}

#[test]
fn nothing_is_allocated_for_a_message_once_the_codecs_are_warm() {
    let sim = Sim::default();
    let mut rng = fastrand::Rng::with_seed(7);
    let noise: Vec<_> = (0..2000).map(|_| rng.u8(..)).collect(); // does not get shorter
    let text = json(1);
    for deflate in both() {
        let (mut peer, faults, connection) = open(&sim, options(deflate.clone()), deflate);
        let messages = [Message::Text(&text), Message::Binary(&noise)];
        let mut allocations = 0;
        for _ in 0..3 {
            // With the transport's own buffer full, it is the outbox that takes them.
            faults.to_client().set_capacity(0);
            let send = || messages.into_iter().for_each(|it| connection.try_send(it).unwrap());
            allocations = measure(send).count_total;
            faults.to_client().set_capacity(1 << 20);
            messages.iter().for_each(|_| drop(sim.run(peer.next())));
        }
        assert_eq!(allocations, 0);
    }
}

#[test]
fn nothing_is_compressed_for_a_connection_without_room_or_that_is_closed() {
    let sim = Sim::default();
    for deflate in [0, 1] {
        let (engine, counting) = counting();
        let deflate = if deflate == 0 { engine } else { engine.with_takeover() };
        let options = options(deflate.clone()).high_water_mark(1);
        let (_peer, faults, connection) = open(&sim, options, deflate);
        faults.to_client().set_capacity(0);
        connection.try_send(json(1)).unwrap();
        assert_eq!(counting.take(), 1);
        assert!(connection.try_send(json(2)).is_err());
        assert_eq!(connection.missed(), 1);
        assert!(connection.close(CloseCode::NORMAL, ""));
        assert_eq!(sim.run(async { connection.send(json(3)).await }), Err(SendError::Closed));
        assert_eq!(counting.take(), 0);
    }
}

#[test]
fn a_client_compresses_and_decompresses() {
    let sim = Sim::default();
    for deflate in both() {
        let (io, ..) = serve_handshake(&sim, Echo, options(deflate.clone()));
        let (handler, log, out) = MessageLog::new();
        sim.run(async {
            let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap();
            let running = client.options(options(deflate.clone())).run_stream(io, handler);
            let talking = async {
                let connection = out.recv().await.unwrap();
                let agreed = connection.compression().expect("both want it");
                assert_eq!(agreed.client_no_context_takeover, deflate.client_no_context_takeover);
                for nth in 0..20 {
                    connection.send(json(nth)).await.unwrap();
                    connection.send(PreparedMessage::new(&json(nth))).await.unwrap();
                }
                while log.lines().len() < 40 {
                    sim.pass(ms(1)).await;
                }
                connection.close(CloseCode::NORMAL, "");
            };
            zip(async { running.await.unwrap() }, talking).await;
        });
        let expected: Vec<_> = (0..40).map(|nth| json(nth / 2)).collect();
        assert_eq!(log.lines()[..40], expected);
    }
}

#[test]
fn a_function_decides_which_requests_are_compressed() {
    let sim = Sim::default();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let accepts = |net, path| {
        let (head, ..) = sim.run(ask(net, path, offer));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        head.contains("Sec-WebSocket-Extensions: permessage-deflate")
    };
    let net = start(&sim, |server| {
        server
            .options(Options::default().compression(Deflate::default()))
            .compress_for(|request| request.query() != Some("no"))
            .websocket("/server", Echo)
            .websocket("/own", shared(Echo).compress_for(|request| request.path() == "/own"))
            .websocket("/never", shared(Echo).compress_for(|_| false))
            .websocket("/panics", shared(Echo).compress_for(|_| panic!("on purpose")))
            .websocket("/off", shared(Echo).options(Options::default()))
            .websocket(
                "/authorized",
                shared(Echo).authorize(async |_| Ok(())).compress_for(|request| {
                    request.header("X-No-Compression").is_none() && request.query() != Some("no")
                }),
            )
    });
    for (path, expected) in [
        ("/server", true),
        ("/server?no", false),
        ("/own?no", true),
        ("/never", false),
        ("/panics", false),
        ("/off", false),
        ("/authorized", true),
        ("/authorized?no", false),
    ] {
        assert_eq!(accepts(&net, path), expected, "{path}");
    }
}

#[test]
fn a_handler_sees_what_was_agreed_in_on_connect() {
    struct Tells;

    impl Handler for Tells {
        async fn on_connect(&self, connection: &Connection) {
            let agreed = connection.compression().map(|agreed: DeflateParams| {
                (agreed.server_max_window_bits.get(), agreed.client_max_window_bits.get())
            });
            connection.send(format!("{agreed:?}")).await.unwrap();
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}
    }

    let sim = Sim::default();
    let deflate = Deflate::default().client_max_window_bits(WindowBits::new(11));
    let (mut peer, _) = open_with(&sim, Tells, options(deflate.clone()), deflate);
    assert_eq!(sim.run(peer.next()), text("Some((15, 11))"));
    let plain = Options::default().ping_interval(None);
    let (mut peer, _) = open_with(&sim, Tells, plain, Deflate::default());
    assert_eq!(sim.run(peer.next()), text("None"));
}

/// A peer that takes less than what `HandOut` returns still gets each message as a whole.
#[test]
fn partial_writes_do_not_break_compressed_messages() {
    for deflate in both() {
        for piece in [1, 7, 100, 5000] {
            let sim = Sim::default();
            let (handler, out) = HandOut::new();
            let (mut peer, faults) =
                open_with(&sim, handler, options(deflate.clone()), deflate.clone());
            let connection = sim.run(async { out.recv().await.unwrap() });
            faults.set_piece(piece);
            let long: String = (0..200).map(json).collect();
            sim.run(async {
                for nth in 0..10 {
                    connection.try_send(json(nth)).unwrap();
                    connection.try_send(PreparedMessage::new(&json(nth))).unwrap();
                }
                connection.try_send(&long).unwrap();
                for nth in 0..20 {
                    assert_eq!(peer.next().await, text(&json(nth / 2)));
                }
                assert_eq!(peer.next().await, text(&long));
            });
        }
    }
}

#[test]
fn a_panic_of_an_engine_costs_one_message() {
    for deflate in both() {
        let sim = Sim::default();
        let (mut peer, _, connection) =
            open(&sim, options(panicking_once(deflate.clone())), deflate);
        let send = || connection.try_send(json(1));
        panic::catch_unwind(AssertUnwindSafe(send)).unwrap_err();
        for nth in 2..5 {
            connection.try_send(json(nth)).unwrap();
            assert_eq!(sim.run(peer.next()), text(&json(nth)));
        }
    }
}
