//! Flushing a connection: it completes once all accepted messages have been written to the transport,
//! and fails when that cannot happen any more.

use std::{io, pin::pin};

use async_channel::{Receiver, unbounded};
use futures_lite::future::poll_once;
use prism_driver::{CloseCode, Connection, Runtime, SendError};
use prism_test::{Faults, Peer, Sim};

use crate::common::{s, text};

const MARK: usize = 1_000;

/// The length of a frame with one of the messages here.
const FRAME: usize = 2 + 10;

/// A connection whose peer takes nothing yet.
fn stuck(sim: &Sim) -> (Peer, Faults, Connection) {
    let (peer, faults, _, connection) = crate::common::stuck(sim, MARK);
    (peer, faults, connection)
}

/// Flushes in a separate task, which has to be woken, and returns the outcome.
fn flush(sim: &Sim, connection: &Connection) -> Receiver<Result<(), SendError>> {
    let (connection, (tell, told)) = (connection.clone(), unbounded());
    sim.spawn(async move { tell.send(connection.flush().await).await.unwrap() });
    sim.run(sim.settle());
    told
}

#[test]
fn a_flush_returns_once_the_last_byte_is_written() {
    let sim = Sim::default();
    let (_peer, faults, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let flushed = flush(&sim, &connection);
    sim.run(async {
        for capacity in 0..FRAME {
            faults.to_client().set_capacity(capacity);
            sim.settle().await;
            assert!(flushed.is_empty(), "{capacity} bytes were written");
        }
        faults.to_client().set_capacity(FRAME);
        flushed.recv().await.unwrap().unwrap();
        assert_eq!((connection.buffered(), sim.now()), (0, s(0)));
    });
}

#[test]
fn a_flush_of_nothing_returns_at_once() {
    let sim = Sim::default();
    let (_peer, _, connection) = stuck(&sim);
    assert_eq!(sim.run(poll_once(connection.flush())), Some(Ok(())));
}

#[test]
fn a_flush_ignores_what_is_sent_after_it_began() {
    let sim = Sim::default();
    let (_peer, faults, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let first = flush(&sim, &connection);
    sim.run(async { connection.send("abcdefghij").await.unwrap() });
    let second = flush(&sim, &connection);
    sim.run(async {
        faults.to_client().set_capacity(FRAME);
        first.recv().await.unwrap().unwrap();
        assert_eq!(connection.buffered(), FRAME, "the transport has taken only the first");
        faults.to_client().set_capacity(2 * FRAME - 1);
        sim.settle().await;
        assert!(second.is_empty());
        faults.to_client().set_capacity(2 * FRAME);
        second.recv().await.unwrap().unwrap();
    });
}

#[test]
fn a_flush_returns_while_others_keep_sending() {
    let sim = Sim::default();
    let (mut peer, faults, connection) = stuck(&sim);
    let others = connection.clone();
    sim.spawn(async move { while others.send("0123456789").await.is_ok() {} });
    // The outbox is full, and stays full.
    let flushed = flush(&sim, &connection);
    let accepted = connection.buffered();
    faults.to_client().set_capacity(100);
    sim.run(async {
        let mut taken = 0;
        while flushed.is_empty() {
            assert!(taken < accepted, "all that was accepted before has been taken");
            assert_eq!(peer.next().await, text("0123456789"));
            sim.settle().await;
            taken += FRAME;
        }
        assert!(connection.buffered() >= MARK, "the outbox is still full");
    });
}

#[test]
fn a_flush_fails_when_the_transport_fails() {
    let sim = Sim::default();
    let (_peer, faults, connection) = stuck(&sim);
    sim.run(async { connection.send("0123456789").await.unwrap() });
    let flushed = flush(&sim, &connection);
    sim.run(async {
        faults.to_client().set_capacity(FRAME - 1);
        faults.to_client().fail(io::ErrorKind::ConnectionReset);
        assert_eq!(flushed.recv().await.unwrap(), Err(SendError::Closed));
        // A later flush fails as well.
        assert_eq!(connection.flush().await, Err(SendError::Closed));
    });
}

#[test]
fn a_flush_fails_at_the_write_timeout() {
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
    let (mut peer, faults, connection) = stuck(&sim);
    sim.run(async {
        connection.send("0123456789").await.unwrap();
        assert!(connection.close(CloseCode::NORMAL, ""));
        let mut flushing = pin!(connection.flush());
        faults.to_client().set_capacity(FRAME + 3);
        sim.settle().await;
        assert_eq!(poll_once(&mut flushing).await, None);
        faults.to_client().set_capacity(FRAME + 4);
        sim.settle().await;
        assert_eq!(poll_once(&mut flushing).await, Some(Ok(())));
        // Everything was written, so it does not matter that the connection is over.
        peer.all().await;
        drop(peer);
        connection.closed().await;
        assert_eq!(connection.flush().await, Ok(()));
    });
}
