//! Sending from many tasks at once: every sender gets its turn, nothing is lost or sent twice, and a
//! waiting sender is told when it waits in vain.

use async_channel::{Receiver, unbounded};
use futures_lite::future::{or, poll_once};
use prism_driver::{
    CloseCode, Connection, Disconnect, Options, Runtime, SendError, TrySendError, serve_upgraded,
};
use prism_test::{Faults, Peer, Received, Sim, pipe};

use crate::common::{binary, close, handed_out, handlers::HandOut, s, text};

/// A connection with a small mark whose peer takes nothing yet.
fn stuck(sim: &Sim) -> (Peer, Faults, Receiver<Disconnect>, Connection) {
    crate::common::stuck(sim, 100)
}

/// A number, padded so that only a few of these messages fit below the mark.
fn numbered(n: usize) -> String {
    format!("{n:030}")
}

#[test]
fn an_outbox_is_full_exactly_at_its_mark() {
    for (payload, full) in [(97, false), (98, true)] {
        let sim = Sim::default();
        let (_peer, _script, _, connection) = stuck(&sim);
        sim.run(async {
            // The header has two bytes.
            connection.try_send("f".repeat(payload)).unwrap();
            assert_eq!(connection.try_send("") == Err(TrySendError::Full), full, "{payload}");
        });
    }
}

// ---- every sender gets its turn

#[test]
fn all_waiting_senders_get_their_turn() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        for n in 0..200 {
            let connection = connection.clone();
            sim.spawn(async move { connection.send(&numbered(n)).await.unwrap() });
        }
        sim.settle().await;
        faults.to_client().set_capacity(50);
        let mut seen = Vec::new();
        for _ in 0..200 {
            seen.push(peer.next().await);
        }
        for n in 0..200 {
            assert!(seen.contains(&text(&numbered(n))), "{n} was lost");
        }
    });
}

#[test]
fn each_senders_messages_keep_their_order() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        for sender in 0..10 {
            let connection = connection.clone();
            sim.spawn(async move {
                for n in 0..20 {
                    connection.send(&numbered(1000 * sender + n)).await.unwrap();
                }
            });
        }
        sim.settle().await;
        faults.to_client().set_capacity(50);
        let mut next = [0; 10];
        for _ in 0..200 {
            let Received::Text(number) = peer.next().await else { panic!("only texts were sent") };
            let number: usize = number.parse().unwrap();
            let (sender, n) = (number / 1000, number % 1000);
            assert_eq!(n, next[sender], "of sender {sender}");
            next[sender] += 1;
        }
        assert_eq!(next, [20; 10]);
    });
}

#[test]
fn a_dropped_sender_passes_its_turn_on() {
    // A waits in front of B. A is woken because there is room, and dropped before it is polled.
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        let filling = "f".repeat(100);
        connection.send(&filling).await.unwrap();
        for round in 0..20 {
            let mut impatient = Vec::new();
            for _ in 0..5 {
                let mut sending = Box::pin(connection.send("never sent"));
                assert_eq!(poll_once(&mut sending).await, None);
                impatient.push(sending);
            }
            let patient = connection.clone();
            let number = numbered(round);
            let (sent, was_sent) = unbounded();
            sim.spawn(async move {
                patient.send(&number).await.unwrap();
                sent.send(()).await.unwrap();
            });
            sim.settle().await;
            // Exactly one write: half of the outbox leaves, and one waiter is woken.
            faults.to_client().set_capacity(50);
            sim.settle().await;
            assert!(was_sent.is_empty(), "the impatient ones came first");
            drop(impatient);
            was_sent.recv().await.unwrap();
            faults.to_client().set_capacity(1_000);
            sim.settle().await;
            assert_eq!(peer.next().await, text(&filling));
            assert_eq!(peer.next().await, text(&numbered(round)));
            faults.to_client().set_capacity(0);
            connection.send(&filling).await.unwrap();
        }
    });
}

#[test]
fn a_sender_that_is_not_polled_does_not_block_others() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        connection.send(&[7; 100]).await.unwrap();
        // For example behind a `select!` whose other branch goes on to send.
        let mut set_aside = Box::pin(connection.send("set aside"));
        assert_eq!(poll_once(&mut set_aside).await, None);
        let waiting = async { connection.send("goes on").await.unwrap() };
        let reading = async {
            sim.settle().await;
            faults.to_client().set_capacity(1_000);
            assert_eq!(peer.next().await, binary([7; 100]));
            assert_eq!(peer.next().await, text("goes on"));
        };
        futures_lite::future::zip(waiting, reading).await;
        set_aside.await.unwrap();
        assert_eq!((peer.next().await, sim.now()), (text("set aside"), s(0)));
    });
}

#[test]
fn room_for_many_wakes_many_senders() {
    let sim = Sim::default();
    let (_peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        connection.send(&[7; 100]).await.unwrap();
        let (sent, was_sent) = unbounded();
        for _ in 0..10 {
            let (connection, sent) = (connection.clone(), sent.clone());
            sim.spawn(async move {
                connection.send("x").await.unwrap();
                sent.send(()).await.unwrap();
            });
        }
        sim.settle().await;
        assert!(was_sent.is_empty(), "there is no room");
        // The peer takes some bytes, once. That makes room for all senders.
        faults.to_client().set_capacity(60);
        sim.settle().await;
        assert_eq!(was_sent.len(), 10);
        assert_eq!(connection.buffered(), 102 - 60 + 10 * 3);
    });
}

// ---- try_send and ping

#[test]
fn try_send_reports_full_at_the_mark_and_refused_on_close() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        assert_eq!(connection.try_send([7; 97]), Ok(()));
        assert_eq!(connection.buffered(), 99, "one byte below the mark");
        assert_eq!(connection.try_send("one message above the mark"), Ok(()));
        assert_eq!(connection.try_send(""), Err(TrySendError::Full));
        assert_eq!(connection.ping(b""), Err(TrySendError::Full));
        // Closing needs no room.
        assert!(connection.close(CloseCode::NORMAL, ""));
        let refused = Err(TrySendError::Refused(SendError::Closed));
        assert_eq!(connection.try_send(""), refused);
        assert_eq!(connection.ping(b""), refused);
        faults.to_client().set_capacity(1_000);
        let last = text("one message above the mark");
        assert_eq!(
            peer.all().await,
            [binary([7; 97]), last, close(1000, ""), Received::End(Ok(()))]
        );
    });
}

#[test]
fn refused_messages_wake_no_task() {
    let sim = Sim::default();
    let (_peer, _script, _, connection) = stuck(&sim);
    sim.run(async {
        connection.send(&[7; 100]).await.unwrap();
        sim.settle().await;
        assert_eq!(connection.try_send("x"), Err(TrySendError::Full));
        assert_eq!(connection.ping(b""), Err(TrySendError::Full));
        assert!(!sim.tick(), "there is nothing more to write");
        assert!(connection.close(CloseCode::NORMAL, ""));
        assert!(sim.tick());
        sim.settle().await;
        assert!(!connection.close(CloseCode::NORMAL, ""));
        assert_eq!(connection.send("x").await, Err(SendError::Closed));
        assert!(!sim.tick());
    });
}

#[test]
fn a_mark_of_zero_lets_one_message_wait_at_a_time() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 0;
    let (mut peer, faults, _, connection) = handed_out(&sim, options);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send("first").await.unwrap();
        assert_eq!(connection.try_send("second"), Err(TrySendError::Full));
        faults.to_client().set_capacity(1_000);
        assert_eq!(peer.next().await, text("first"));
        connection.send("second").await.unwrap();
        assert_eq!(peer.next().await, text("second"));
    });
}

#[test]
fn a_ping_carries_at_most_125_bytes() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        let too_long = TrySendError::Refused(SendError::ControlTooLong(126));
        assert_eq!(connection.ping(&[7; 126]), Err(too_long));
        assert_eq!(connection.ping(&[7; 125]), Ok(()));
        assert_eq!(peer.next().await, Received::Ping);
        sim.settle().await;
        assert_eq!(connection.buffered(), 0);
    });
}

#[test]
fn an_overlong_close_reason_is_truncated() {
    for (code, reason, sent) in [
        (CloseCode::NORMAL, "x".repeat(124), "x".repeat(123)),
        (CloseCode::NORMAL, "é".repeat(100), "é".repeat(61)),
        (CloseCode::NO_STATUS, "why".to_owned(), String::new()),
    ] {
        let sim = Sim::default();
        let (mut peer, faults, ended, connection) = stuck(&sim);
        sim.run(async {
            faults.to_client().set_capacity(1_000);
            assert!(connection.close(code, &reason), "this call closed it");
            assert!(!connection.close(code, &reason), "the connection was closing already");
            assert!(!connection.is_open());
            assert_eq!(peer.next().await, close(code.into(), &sent));
            assert_eq!(peer.next().await, Received::End(Ok(())));
            drop(peer);
            let reason = ended.recv().await.unwrap();
            assert_eq!((reason.code(), reason.reason()), (code.into(), sent));
        });
    }
}

// ---- the end

#[test]
fn closing_wakes_senders_that_wait_for_room() {
    let sim = Sim::default();
    let (_peer, _script, _, connection) = stuck(&sim);
    sim.run(async {
        connection.send(&[7; 100]).await.unwrap();
        let (results, result) = unbounded();
        for _ in 0..10 {
            let (connection, results) = (connection.clone(), results.clone());
            sim.spawn(async move { results.send(connection.send("x").await).await.unwrap() });
        }
        sim.settle().await;
        assert!(result.is_empty(), "there is no room");
        assert!(connection.close(CloseCode::NORMAL, ""));
        sim.settle().await;
        assert_eq!(sim.now(), s(0));
        for _ in 0..10 {
            assert_eq!(result.try_recv(), Ok(Err(SendError::Closed)));
        }
    });
}

#[test]
fn only_the_first_close_counts() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = stuck(&sim);
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        assert!(connection.close(CloseCode::NORMAL, "first"));
        assert!(!connection.close(CloseCode::GOING_AWAY, "second"));
        assert_eq!(peer.all().await, [close(1000, "first"), Received::End(Ok(()))]);
        drop(peer);
        assert_eq!(ended.recv().await.unwrap().reason(), "first");
    });
}

#[test]
fn closed_resolves_exactly_when_the_connection_is_over() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = stuck(&sim);
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        let mut closed = Box::pin(connection.closed());
        assert!(connection.close(CloseCode::NORMAL, ""));
        sim.settle().await;
        assert_eq!(poll_once(&mut closed).await, None, "the peer has not answered");
        assert_eq!(peer.all().await, [close(1000, ""), Received::End(Ok(()))]);
        closed.await;
        // A later call returns at once.
        assert_eq!(poll_once(connection.closed()).await, Some(()));
    });
}

#[test]
fn after_the_end_sends_fail_and_nothing_is_kept() {
    let sim = Sim::default();
    let (peer, _, ended, connection) = stuck(&sim);
    sim.run(async {
        connection.send("never taken").await.unwrap();
        drop(peer);
        ended.recv().await.unwrap();
        assert!(!connection.is_open());
        assert_eq!(connection.send("x").await, Err(SendError::Closed));
        assert!(!connection.close(CloseCode::NORMAL, ""));
        assert_eq!(connection.buffered(), 0);
    });
}

#[test]
fn dropping_the_serving_future_fails_all_waiters() {
    let sim = Sim::default();
    let (server, _client, faults) = pipe();
    faults.to_client().set_capacity(0);
    let (handler, out) = HandOut::new();
    let mut options = Options::default();
    options.high_water_mark = 1;
    sim.run(async {
        let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, handler));
        assert!(poll_once(&mut serving).await.is_none());
        let connection = out.recv().await.unwrap();
        connection.send("in the outbox").await.unwrap();
        let mut waiting = Box::pin(connection.send("waits for room"));
        assert_eq!(poll_once(&mut waiting).await, None);
        drop(serving);
        let in_vain = async {
            sim.pass(s(60)).await;
            panic!("it waits forever");
        };
        assert_eq!(or(waiting, in_vain).await, Err(SendError::Closed));
        assert!(!connection.is_open());
        assert_eq!(poll_once(connection.closed()).await, Some(()));
    });
}
