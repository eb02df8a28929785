//! A socket, or its sending half, as a `Sink`: order, room, flush and close.

use std::{
    io,
    pin::{Pin, pin},
};

use async_channel::unbounded;
use futures_lite::future::poll_once;
use futures_util::{Sink, SinkExt};
use prism_driver::{CloseCode, Connection, RecvHalf, Runtime, SendError, SendHalf};
use prism_test::{Faults, Sim};

use crate::common::{
    handlers::Log,
    s,
    sockets::{Ended, LONG, connected, line, lines, numbered, owned, spawn_send, stuck_client},
};

/// A client's message has a header of 2 bytes and a mask of 4.
const FRAME: usize = 6 + LONG;

/// A client whose server takes nothing yet: its two halves, and the log of what the server receives.
struct Stuck {
    sim: Sim,
    sending: SendHalf,
    receiving: RecvHalf,
    faults: Faults,
    log: Log,
    ended: Ended,
}

fn stuck() -> Stuck {
    let sim = Sim::default();
    let (socket, faults, log, ended) = stuck_client(&sim);
    let (sending, receiving) = socket.split();
    Stuck { sim, sending, receiving, faults, log, ended }
}

/// Makes the server take everything, in small pieces.
fn release(faults: &Faults) {
    faults.set_piece(50);
    faults.to_server().allow(usize::MAX);
}

// ---- order and room

#[test]
fn a_sink_keeps_order_when_the_outbox_is_full() {
    let mut it = stuck();
    let sim = it.sim.clone();
    release(&it.faults);
    sim.run(async {
        for n in 0..50 {
            it.sending.feed(numbered(n)).await.unwrap();
            // Sometimes it is flushed as well.
            if n % 7 == 0 {
                it.sending.flush().await.unwrap();
            }
        }
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    assert_eq!(it.log.lines(), lines(0..50));
}

#[test]
fn a_sink_waits_only_for_a_message_that_found_no_room() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        assert_eq!(poll_once(it.sending.feed(numbered(0))).await, Some(Ok(())), "there is room");
        assert_eq!(
            poll_once(it.sending.feed(numbered(1))).await,
            Some(Ok(())),
            "the sink itself holds it"
        );
        assert_eq!(it.sending.connection().buffered(), FRAME);
        let mut third = pin!(it.sending.feed(numbered(2)));
        assert_eq!(poll_once(&mut third).await, None, "the second one has to leave first");
        // Exactly enough room for the second one.
        it.faults.to_server().allow(FRAME - LONG + 1);
        sim.settle().await;
        assert_eq!(poll_once(&mut third).await, Some(Ok(())));
    });
}

#[test]
fn start_send_without_poll_ready_keeps_everything_in_order() {
    let mut it = stuck();
    let sim = it.sim.clone();
    for n in 0..5 {
        Pin::new(&mut it.sending).start_send(numbered(n)).unwrap();
    }
    assert_eq!(it.sending.connection().buffered(), FRAME, "there is room for one");
    sim.run(async {
        release(&it.faults);
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    assert_eq!(it.log.lines(), lines(0..5));
}

#[test]
fn sinks_and_senders_together_respect_the_mark() {
    let mut it = stuck();
    let sim = it.sim.clone();
    let others: Vec<_> = (100..120).map(|n| spawn_send(&sim, it.sending.connection(), n)).collect();
    let connection = it.sending.connection().clone();
    sim.run(async {
        sim.settle().await;
        release(&it.faults);
        for n in 0..20 {
            it.sending.feed(numbered(n)).await.unwrap();
            let buffered = connection.buffered();
            assert!(buffered < LONG + FRAME, "{buffered} bytes are waiting");
        }
        it.sending.flush().await.unwrap();
        for sent in others {
            sent.recv().await.unwrap().unwrap();
        }
        connection.flush().await.unwrap();
        sim.settle().await;
    });
    let mut received = it.log.lines();
    let ours: Vec<_> = received.iter().filter(|text| **text < line(100)).cloned().collect();
    assert_eq!(ours, lines(0..20), "in order");
    received.sort();
    assert_eq!(received, lines((0..20).chain(100..120)), "each once");
}

#[test]
fn an_unpolled_sink_does_not_block_other_senders() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        // It waits for room, and then its task does something else.
        assert_eq!(poll_once(it.sending.flush()).await, None);
        let others = [2, 3, 4].map(|n| spawn_send(&sim, it.sending.connection(), n));
        sim.settle().await;
        release(&it.faults);
        sim.pass(s(1)).await;
        for sent in others {
            assert_eq!(sent.try_recv(), Ok(Ok(())));
        }
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    let mut received = it.log.lines();
    received.sort();
    assert_eq!(received, lines(0..5));
}

#[test]
fn a_sink_waiting_for_room_is_woken() {
    let it = stuck();
    let (sim, mut sending) = (it.sim.clone(), it.sending);
    let (tell, told) = unbounded();
    sim.spawn(async move {
        for n in 0..10 {
            sending.feed(numbered(n)).await.unwrap();
        }
        SinkExt::close(&mut sending).await.unwrap();
        tell.send(()).await.unwrap();
    });
    sim.run(async {
        sim.settle().await;
        it.faults.to_server().allow(usize::MAX);
        told.recv().await.unwrap();
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_sink_waiting_for_room_is_woken_by_the_end() {
    let ends: [fn(&Connection, &Faults); 2] = [
        |connection, _| assert!(connection.close(CloseCode::NORMAL, "")),
        |_, faults| faults.to_server().fail(io::ErrorKind::ConnectionReset),
    ];
    for end in ends {
        let it = stuck();
        let (sim, mut sending) = (it.sim.clone(), it.sending);
        let (tell, told) = unbounded();
        sim.spawn(async move {
            sending.feed(numbered(0)).await.unwrap();
            sending.feed(numbered(1)).await.unwrap();
            tell.send(sending.flush().await).await.unwrap();
        });
        sim.run(async {
            sim.settle().await;
            end(it.receiving.connection(), &it.faults);
            assert_eq!(told.recv().await.unwrap(), Err(SendError::Closed));
            assert_eq!(sim.now(), s(0));
        });
    }
}

// ---- flush

#[test]
fn a_sink_flush_returns_once_all_it_took_is_written() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        let mut flushing = pin!(it.sending.flush());
        for _ in 0..2 * FRAME {
            assert_eq!(poll_once(&mut flushing).await, None);
            it.faults.to_server().allow(1);
            sim.settle().await;
        }
        assert_eq!(poll_once(&mut flushing).await, Some(Ok(())));
    });
}

#[test]
fn an_earlier_flush_does_not_cover_a_later_message() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(owned("short")).await.unwrap();
        assert_eq!(poll_once(it.sending.flush()).await, None);
        it.sending.feed(owned("later")).await.unwrap();
        // Room for the first message only.
        it.faults.to_server().allow(6 + 5);
        sim.settle().await;
        assert_eq!(poll_once(it.sending.flush()).await, None);
        release(&it.faults);
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    assert_eq!(it.log.lines(), ["short", "later"]);
}

// ---- close

#[test]
fn a_sink_close_writes_its_frame_after_all_messages() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        let mut closing = pin!(SinkExt::close(&mut it.sending));
        sim.settle().await;
        assert_eq!(poll_once(&mut closing).await, None, "nothing has left");
        release(&it.faults);
        closing.await.unwrap();
        assert_eq!(it.ended.recv().await.unwrap().unwrap().code(), 1000);
    });
    assert_eq!(it.log.lines(), [line(0), line(1), "closed by the peer with 1000".to_owned()]);
}

#[test]
fn a_sink_close_waits_for_another_callers_close_frame() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(owned("short")).await.unwrap();
        assert_eq!(poll_once(it.sending.flush()).await, None, "the message waits");
        assert!(it.sending.connection().close(CloseCode::GOING_AWAY, ""));
        it.faults.to_server().allow(6 + 5);
        sim.settle().await;
        let mut closing = pin!(SinkExt::close(&mut it.sending));
        assert_eq!(poll_once(&mut closing).await, None, "the close frame has not left");
        release(&it.faults);
        closing.await.unwrap();
        assert_eq!(it.ended.recv().await.unwrap().unwrap().code(), 1001);
    });
}

#[test]
fn a_sink_close_does_not_wait_for_a_receiver() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    let (mut sending, _receiving) = socket.split();
    sim.run(async {
        // More than the receiver's queue holds.
        for _ in 0..100 {
            connection.send("not received").await.unwrap();
        }
        sim.settle().await;
        SinkExt::close(&mut sending).await.unwrap();
        assert_eq!(ended.recv().await.unwrap().unwrap().code(), 1000);
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_sink_on_a_closed_connection_returns_closed() {
    let mut it = stuck();
    let sim = it.sim.clone();
    release(&it.faults);
    sim.run(async {
        SinkExt::send(&mut it.sending, owned("the last one")).await.unwrap();
        SinkExt::close(&mut it.sending).await.unwrap();
        for _ in 0..3 {
            assert_eq!(it.sending.feed(owned("late")).await, Err(SendError::Closed));
        }
        it.ended.recv().await.unwrap().unwrap();
        assert_eq!(SinkExt::send(&mut it.sending, owned("late")).await, Err(SendError::Closed));
        // Nothing was lost and the connection is closed, so these succeed.
        it.sending.flush().await.unwrap();
        SinkExt::close(&mut it.sending).await.unwrap();
    });
    assert_eq!(it.log.lines(), ["the last one", "closed by the peer with 1000"]);
}

#[test]
fn a_message_that_cannot_be_sent_is_reported_once() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        assert!(it.receiving.connection().close(CloseCode::NORMAL, ""));
        assert_eq!(it.sending.flush().await, Err(SendError::Closed), "the second one is not sent");
        release(&it.faults);
        it.sending.flush().await.unwrap();
        it.ended.recv().await.unwrap().unwrap();
    });
    assert_eq!(it.log.lines(), [line(0), "closed by the peer with 1000".to_owned()]);
}
