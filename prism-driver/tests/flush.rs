//! Flushing a connection: it is done when what was accepted has been written to the transport,
//! neither before nor much later, and fails when that can not happen any more.

mod common;

use std::{io, pin::pin};

use async_channel::{Receiver, unbounded};
use common::{peer::Peer, pipe::Script, s, sim::Sim, text};
use futures_lite::future::poll_once;
use prism_driver::{CloseCode, Connection, Runtime, SendError};

const MARK: usize = 1_000;

/// So long is a frame with one of the messages here.
const FRAME: usize = 2 + 10;

/// A connection whose peer takes nothing yet.
fn stuck(sim: &Sim) -> (Peer, Script, Connection) {
    let (peer, script, _, connection) = common::stuck(sim, MARK);
    (peer, script, connection)
}

/// Flushes in a task of its own, so that it has to be woken; the outcome.
fn flush(sim: &Sim, connection: &Connection) -> Receiver<Result<(), SendError>> {
    let (connection, (tell, told)) = (connection.clone(), unbounded());
    sim.spawn(async move { tell.send(connection.flush().await).await.unwrap() });
    sim.run(sim.settle());
    told
}

#[test]
fn a_flush_is_done_when_the_last_byte_has_been_written() {
    let sim = Sim::default();
    let (_peer, script, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let flushed = flush(&sim, &connection);
    sim.run(async {
        for capacity in 0..FRAME {
            script.set_capacity_to_client(capacity);
            sim.settle().await;
            assert!(flushed.is_empty(), "{capacity} bytes were written");
        }
        script.set_capacity_to_client(FRAME);
        flushed.recv().await.unwrap().unwrap();
        assert_eq!((connection.buffered(), sim.now()), (0, s(0)));
    });
}

#[test]
fn a_flush_of_nothing_is_done_at_once() {
    let sim = Sim::default();
    let (_peer, _, connection) = stuck(&sim);
    assert_eq!(sim.run(poll_once(connection.flush())), Some(Ok(())));
}

#[test]
fn a_flush_does_not_wait_for_what_is_sent_after_it_began() {
    let sim = Sim::default();
    let (_peer, script, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let first = flush(&sim, &connection);
    sim.run(async { connection.send("abcdefghij").await.unwrap() });
    let second = flush(&sim, &connection);
    sim.run(async {
        script.set_capacity_to_client(FRAME);
        first.recv().await.unwrap().unwrap();
        assert_eq!(connection.buffered(), FRAME, "and the transport has taken no more");
        script.set_capacity_to_client(2 * FRAME - 1);
        sim.settle().await;
        assert!(second.is_empty());
        script.set_capacity_to_client(2 * FRAME);
        second.recv().await.unwrap().unwrap();
    });
}

#[test]
fn a_flush_while_others_never_stop_sending_is_done() {
    let sim = Sim::default();
    let (mut peer, script, connection) = stuck(&sim);
    let others = connection.clone();
    sim.spawn(async move { while others.send("0123456789").await.is_ok() {} });
    // The outbox is full, and remains so.
    let flushed = flush(&sim, &connection);
    let accepted = connection.buffered();
    script.set_capacity_to_client(100);
    sim.run(async {
        let mut taken = 0;
        while flushed.is_empty() {
            assert!(taken < accepted, "all that was accepted has been taken");
            assert_eq!(peer.next().await, text("0123456789"));
            sim.settle().await;
            taken += FRAME;
        }
        assert!(connection.buffered() >= MARK, "there is more to write than ever");
    });
}

#[test]
fn a_flush_fails_when_what_was_accepted_is_lost_with_the_transport() {
    let sim = Sim::default();
    let (_peer, script, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let flushed = flush(&sim, &connection);
    sim.run(async {
        script.set_capacity_to_client(FRAME - 1);
        script.break_to_client(io::ErrorKind::ConnectionReset);
        assert_eq!(flushed.recv().await.unwrap(), Err(SendError::Closed));
        // Whoever asks later is told so, too.
        assert_eq!(connection.flush().await, Err(SendError::Closed));
    });
}

#[test]
fn a_flush_fails_when_the_peer_never_takes_the_rest() {
    let sim = Sim::default();
    let (_peer, _script, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let flushed = flush(&sim, &connection);
    sim.run(async {
        assert_eq!(flushed.recv().await.unwrap(), Err(SendError::Closed));
        assert_eq!(sim.now(), s(30), "the write timeout");
    });
}

#[test]
fn a_flush_after_a_close_waits_for_the_close_frame() {
    let sim = Sim::default();
    let (mut peer, script, connection) = stuck(&sim);
    sim.run(async {
        connection.send("0123456789").await.unwrap();
        assert!(connection.close(CloseCode::NORMAL, ""));
        let mut flushing = pin!(connection.flush());
        script.set_capacity_to_client(FRAME + 3);
        sim.settle().await;
        assert_eq!(poll_once(&mut flushing).await, None);
        script.set_capacity_to_client(FRAME + 4);
        sim.settle().await;
        assert_eq!(poll_once(&mut flushing).await, Some(Ok(())));
        // All was written: that the connection is over by then does not matter.
        peer.all().await;
        drop(peer);
        connection.closed().await;
        assert_eq!(connection.flush().await, Ok(()));
    });
}
