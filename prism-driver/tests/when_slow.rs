//! `WhenSlow`: which messages are missed by a peer that does not keep up.

use std::io;

use async_channel::Receiver;
use fastrand::Rng;
use futures_lite::future::poll_once;
use prism_driver::{
    Client, CloseCode, Connection, Disconnect, Failure, Options, PreparedMessage, Runtime,
    SendError, TrySendError, WhenSlow,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    handlers::{HandOut, MessageLog},
    serve, serve_handshake, text,
};

/// Room for two of the messages here, which are frames of 12 bytes.
const MARK: usize = 20;

/// The same where messages are kept separately, which costs 176 bytes each.
const MARK_APART: usize = MARK + 2 * 176;

fn message(number: usize) -> String {
    format!("message {number:2}")
}

/// A connection whose peer takes nothing yet.
fn stuck(
    sim: &Sim,
    when_slow: WhenSlow,
    mark: usize,
) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    let mut options = Options::default();
    options.high_water_mark = mark;
    options.protocol.ping_interval = None;
    let (handler, out) = HandOut::when_slow(when_slow);
    let (peer, faults, ended) = serve(sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    sim.run(sim.settle());
    faults.to_client().set_capacity(0);
    (peer, faults, ended, connection)
}

#[test]
fn a_waiting_send_misses_nothing_and_try_send_is_counted() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::Wait, MARK);
    sim.run(async {
        connection.send(&message(0)).await.unwrap();
        connection.try_send(message(1)).unwrap();
        let mut waiting = Box::pin(async { connection.send(&message(2)).await });
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(connection.missed(), 0);
        assert!(connection.is_full());
        assert_eq!(connection.try_send(message(3)), Err(TrySendError::Full));
        assert_eq!(connection.missed(), 1);
        faults.to_client().set_capacity(1000);
        waiting.await.unwrap();
        for number in 0..3 {
            assert_eq!(peer.next().await, text(&message(number)));
        }
        assert_eq!((connection.missed(), connection.is_full()), (1, false));
    });
}

#[test]
fn drop_newest_keeps_what_was_sent_first() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropNewest, MARK);
    sim.run(async {
        for number in 0..5 {
            assert_eq!(poll_once(connection.send(&message(number))).await, Some(Ok(())));
        }
        assert_eq!(connection.try_send(message(5)), Err(TrySendError::Full));
        assert_eq!((connection.missed(), connection.buffered()), (4, 24));
        faults.to_client().set_capacity(1000);
        sim.settle().await;
        connection.send(&message(6)).await.unwrap();
        for number in [0, 1, 6] {
            assert_eq!(peer.next().await, text(&message(number)));
        }
    });
}

#[test]
fn drop_oldest_keeps_what_was_sent_last() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, MARK_APART);
    sim.run(async {
        for number in 0..4 {
            assert_eq!(poll_once(connection.send(&message(number))).await, Some(Ok(())));
        }
        connection.try_send(message(4)).unwrap();
        connection.try_send(PreparedMessage::new(&message(5))).unwrap();
        assert_eq!((connection.missed(), connection.buffered()), (4, 24));
        faults.to_client().set_capacity(1000);
        for number in [4, 5] {
            assert_eq!(peer.next().await, text(&message(number)));
        }
    });
}

#[test]
fn a_partly_written_message_is_never_dropped() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, MARK_APART);
    sim.run(async {
        faults.to_client().set_capacity(5);
        connection.send(&message(0)).await.unwrap();
        sim.settle().await;
        assert_eq!(connection.buffered(), 7);
        for number in 1..6 {
            connection.send(&message(number)).await.unwrap();
        }
        assert_eq!(connection.missed(), 3);
        faults.to_client().set_capacity(1000);
        for number in [0, 4, 5] {
            assert_eq!(peer.next().await, text(&message(number)));
        }
    });
}

#[test]
fn drop_oldest_drops_the_newest_if_nothing_else_can_be() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, MARK_APART);
    let large = "x".repeat(200);
    sim.run(async {
        faults.to_client().set_capacity(5);
        connection.send(&large).await.unwrap();
        sim.settle().await;
        connection.send(&message(1)).await.unwrap();
        assert_eq!(connection.try_send(message(2)), Err(TrySendError::Full));
        assert_eq!((connection.missed(), connection.buffered()), (2, 199));
        faults.to_client().set_capacity(1000);
        assert_eq!(peer.next().await, text(&large));
        assert!(connection.close(CloseCode::NORMAL, ""));
        assert!(matches!(peer.next().await, Received::Close(1000, _)), "and nothing in between");
    });
}

#[test]
fn pongs_and_the_close_frame_are_not_dropped() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, MARK_APART);
    sim.run(async {
        for number in 0..9 {
            connection.send(&message(number)).await.unwrap();
            if number == 4 {
                peer.ping(b"you?").await;
                sim.settle().await;
            }
        }
        assert!(connection.close(CloseCode::NORMAL, "done"));
        faults.to_client().set_capacity(1000);
        let seen = peer.all().await;
        let pong = Received::Pong(b"you?".to_vec());
        assert!(seen.contains(&pong), "{seen:?}");
        let texts: Vec<&Received> =
            seen.iter().filter(|seen| matches!(seen, Received::Text(_))).collect();
        assert_eq!(texts.len() + connection.missed() as usize, 9);
        assert_eq!(*texts[texts.len() - 1], text(&message(8)));
        assert!(
            matches!(seen[..], [.., Received::Close(1000, _), Received::End(Ok(()))]),
            "{seen:?}"
        );
    });
}

#[test]
fn a_flush_returns_although_messages_were_dropped() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, MARK_APART);
    sim.run(async {
        connection.send(&"x".repeat(200)).await.unwrap();
        let mut flushed = Box::pin(connection.flush());
        assert!(poll_once(&mut flushed).await.is_none());
        connection.send(&message(1)).await.unwrap();
        assert_eq!(connection.missed(), 1);
        assert!(poll_once(&mut flushed).await.is_none(), "nothing has left");
        faults.to_client().set_capacity(1000);
        flushed.await.unwrap();
        assert_eq!(peer.next().await, text(&message(1)));
    });
}

#[test]
fn close_sends_what_was_accepted_then_closes_with_1013() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = stuck(&sim, WhenSlow::Close, MARK);
    sim.run(async {
        connection.send(&message(0)).await.unwrap();
        connection.send(&message(1)).await.unwrap();
        assert_eq!(connection.send(&message(2)).await, Err(SendError::Closed));
        let refused = connection.try_send(message(3));
        assert_eq!(refused, Err(TrySendError::Refused(SendError::Closed)));
        assert_eq!(connection.missed(), 1, "the last one came after the close");
        faults.to_client().set_capacity(1000);
        for number in [0, 1] {
            assert_eq!(peer.next().await, text(&message(number)));
        }
        assert_eq!(peer.next().await, Received::Close(1013, "too slow".into()));
        let code = ended.recv().await.unwrap();
        assert!(matches!(code, Disconnect::Local { code: CloseCode::TRY_AGAIN_LATER, .. }));
    });
}

#[test]
fn a_client_drops_the_newest_instead_of_the_oldest() {
    let sim = Sim::default();
    let (handler, log, _) = MessageLog::new();
    let (io, faults, _) = serve_handshake(&sim, handler, Options::default());
    let (sender, out) = HandOut::when_slow(WhenSlow::DropOldest);
    let mut options = Options::default();
    options.high_water_mark = MARK;
    let client = Client::new_on(sim.clone(), "ws://example.org/").unwrap().options(options);
    sim.spawn(async move {
        client.run_stream(io, sender).await.unwrap();
    });
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        faults.to_server().allow(0);
        for number in 0..4 {
            connection.send(&message(number)).await.unwrap();
        }
        assert_eq!((connection.missed(), connection.buffered()), (2, 2 * (6 + 10)));
        faults.to_server().allow(usize::MAX);
        sim.settle().await;
        assert_eq!(log.lines(), [message(0), message(1)]);
    });
}

#[test]
fn a_peer_that_keeps_up_misses_nothing() {
    for when_slow in [WhenSlow::Wait, WhenSlow::DropNewest, WhenSlow::DropOldest, WhenSlow::Close] {
        let sim = Sim::default();
        let (mut peer, faults, _, connection) = stuck(&sim, when_slow, MARK);
        faults.to_client().set_capacity(usize::MAX);
        sim.run(async {
            // No other task runs in between.
            for number in 0..50 {
                assert_eq!(connection.try_send(message(number)), Ok(()), "{when_slow:?}");
            }
            assert_eq!(connection.missed(), 0);
            for number in 0..50 {
                assert_eq!(peer.next().await, text(&message(number)));
            }
        });
    }
}

#[test]
fn a_write_error_while_making_room_ends_the_connection() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = stuck(&sim, WhenSlow::DropNewest, MARK);
    faults.to_client().set_capacity(usize::MAX);
    sim.run(async {
        // No other task runs in between.
        connection.try_send(message(0)).unwrap();
        connection.try_send(message(1)).unwrap();
        faults.to_client().fail_next_write(io::ErrorKind::TimedOut);
        assert_eq!(connection.try_send(message(2)), Err(TrySendError::Refused(SendError::Closed)));
        let reason = ended.recv().await.unwrap();
        let timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        let failed = matches!(&reason, Disconnect::Failed(Failure::Io(it)) if timed_out(it));
        assert!(failed, "{reason}");
    });
}

#[test]
fn every_message_is_either_received_or_counted_as_missed() {
    for seed in 0..200 {
        let (sim, mut dice) = (Sim::default(), Rng::with_seed(seed));
        let mark = dice.usize(1..2000);
        let (mut peer, faults, _, connection) = stuck(&sim, WhenSlow::DropOldest, mark);
        let mut sent = Vec::new();
        sim.run(async {
            for number in 0..100 {
                let payload = format!("{number} {}", "x".repeat(dice.usize(..600)));
                let outcome = if dice.bool() {
                    connection.try_send(&payload)
                } else {
                    connection.try_send(PreparedMessage::new(&payload))
                };
                match outcome {
                    Ok(()) => sent.push(payload),
                    other => assert_eq!(other, Err(TrySendError::Full), "seed {seed}"),
                }
                assert!(connection.buffered() < mark + 4 + 610, "seed {seed}");
                if dice.u8(..8) == 0 {
                    let _ = connection.ping(b"!"); // there may be no room
                }
                if dice.bool() {
                    faults.to_client().allow(dice.usize(..700));
                    faults.to_client().set_capacity(usize::MAX);
                    sim.settle().await;
                }
            }
            faults.to_client().allow(usize::MAX);
            faults.to_client().set_capacity(usize::MAX);
            assert!(connection.close(CloseCode::NORMAL, ""));
            let seen = peer.all().await;
            let got = seen.iter().filter_map(|seen| match seen {
                Received::Text(text) => Some(text),
                _ => None,
            });
            let got: Vec<&String> = got.collect();
            assert_eq!(got.len() + connection.missed() as usize, 100, "seed {seed}");
            let mut rest = sent.iter();
            for text in got {
                assert!(rest.any(|sent| sent == text), "seed {seed}: out of order, or twice");
            }
        });
    }
}
