//! A socket, or its sending half, as a sink: the order, the room, the flush and the close.

mod common;

use std::{
    io,
    pin::{Pin, pin},
};

use async_channel::unbounded;
use common::{
    handlers::Log,
    pipe::Script,
    s,
    sim::Sim,
    sockets::{Ended, LONG, connected, line, lines, numbered, owned, spawn_send, stuck_client},
};
use futures_lite::future::poll_once;
use futures_util::{Sink, SinkExt};
use prism_driver::{CloseCode, Connection, RecvHalf, Runtime, SendError, SendHalf};

/// A message has a header of 2 bytes and, as a client's, a mask of 4.
const FRAME: usize = 6 + LONG;

/// A client whose server takes nothing yet, its two halves, and what the server hears.
struct Stuck {
    sim: Sim,
    sending: SendHalf,
    receiving: RecvHalf,
    script: Script,
    log: Log,
    ended: Ended,
}

fn stuck() -> Stuck {
    let sim = Sim::default();
    let (socket, script, log, ended) = stuck_client(&sim);
    let (sending, receiving) = socket.split();
    Stuck { sim, sending, receiving, script, log, ended }
}

/// From now on the server takes everything, in small pieces.
fn let_go(script: &Script) {
    script.set_piece(50);
    script.allow_to_server(usize::MAX);
}

// ---- order and room

#[test]
fn a_sink_keeps_the_order_when_the_outbox_is_full() {
    let mut it = stuck();
    let sim = it.sim.clone();
    let_go(&it.script);
    sim.run(async {
        for n in 0..50 {
            it.sending.feed(numbered(n)).await.unwrap();
            // Now and then it is flushed as well.
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
fn a_sink_waits_only_for_the_one_message_that_found_no_room() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        assert_eq!(poll_once(it.sending.feed(numbered(0))).await, Some(Ok(())), "there is room");
        assert_eq!(
            poll_once(it.sending.feed(numbered(1))).await,
            Some(Ok(())),
            "it is taken all the same"
        );
        assert_eq!(it.sending.connection().buffered(), FRAME);
        let mut third = pin!(it.sending.feed(numbered(2)));
        assert_eq!(poll_once(&mut third).await, None, "the second one has to leave first");
        // There is room for the second one, and no byte more.
        it.script.allow_to_server(FRAME - LONG + 1);
        sim.settle().await;
        assert_eq!(poll_once(&mut third).await, Some(Ok(())));
    });
}

#[test]
fn a_sink_that_is_not_asked_whether_it_is_ready_loses_nothing_and_keeps_the_order() {
    let mut it = stuck();
    let sim = it.sim.clone();
    for n in 0..5 {
        Pin::new(&mut it.sending).start_send(numbered(n)).unwrap();
    }
    assert_eq!(it.sending.connection().buffered(), FRAME, "there is room for one");
    sim.run(async {
        let_go(&it.script);
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    assert_eq!(it.log.lines(), lines(0..5));
}

#[test]
fn the_outbox_is_never_larger_than_its_mark_plus_one_message_with_sinks_and_senders() {
    let mut it = stuck();
    let sim = it.sim.clone();
    let others: Vec<_> = (100..120).map(|n| spawn_send(&sim, it.sending.connection(), n)).collect();
    let connection = it.sending.connection().clone();
    sim.run(async {
        sim.settle().await;
        let_go(&it.script);
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
    let mut heard = it.log.lines();
    let ours: Vec<_> = heard.iter().filter(|heard| **heard < line(100)).cloned().collect();
    assert_eq!(ours, lines(0..20), "in order");
    heard.sort();
    assert_eq!(heard, lines((0..20).chain(100..120)), "each once");
}

#[test]
fn a_sink_that_is_left_alone_with_a_message_keeps_nobody_from_sending() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        // It has begun to wait for room, and its task turns to something else.
        assert_eq!(poll_once(it.sending.flush()).await, None);
        let others = [2, 3, 4].map(|n| spawn_send(&sim, it.sending.connection(), n));
        sim.settle().await;
        let_go(&it.script);
        sim.pass(s(1)).await;
        for sent in others {
            assert_eq!(sent.try_recv(), Ok(Ok(())));
        }
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    let mut heard = it.log.lines();
    heard.sort();
    assert_eq!(heard, lines(0..5));
}

#[test]
fn a_sink_that_waits_for_room_is_woken() {
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
        it.script.allow_to_server(usize::MAX);
        told.recv().await.unwrap();
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_sink_that_waits_for_room_is_woken_when_there_will_never_be_any() {
    let ends: [fn(&Connection, &Script); 2] = [
        |connection, _| assert!(connection.close(CloseCode::NORMAL, "")),
        |_, script| script.break_to_server(io::ErrorKind::ConnectionReset),
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
            end(it.receiving.connection(), &it.script);
            assert_eq!(told.recv().await.unwrap(), Err(SendError::Closed));
            assert_eq!(sim.now(), s(0));
        });
    }
}

// ---- flush

#[test]
fn the_flush_of_a_sink_is_done_when_all_that_it_has_taken_was_written() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        let mut flushing = pin!(it.sending.flush());
        for _ in 0..2 * FRAME {
            assert_eq!(poll_once(&mut flushing).await, None);
            it.script.allow_to_server(1);
            sim.settle().await;
        }
        assert_eq!(poll_once(&mut flushing).await, Some(Ok(())));
    });
}

#[test]
fn a_flush_that_was_begun_before_a_message_does_not_count_for_it() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(owned("short")).await.unwrap();
        assert_eq!(poll_once(it.sending.flush()).await, None);
        it.sending.feed(owned("later")).await.unwrap();
        // Room for the first one only.
        it.script.allow_to_server(6 + 5);
        sim.settle().await;
        assert_eq!(poll_once(it.sending.flush()).await, None);
        let_go(&it.script);
        it.sending.flush().await.unwrap();
        sim.settle().await;
    });
    assert_eq!(it.log.lines(), ["short", "later"]);
}

// ---- close

#[test]
fn closing_a_sink_writes_the_close_frame_behind_everything_it_has_taken() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        let mut closing = pin!(SinkExt::close(&mut it.sending));
        sim.settle().await;
        assert_eq!(poll_once(&mut closing).await, None, "nothing has left");
        let_go(&it.script);
        closing.await.unwrap();
        assert_eq!(it.ended.recv().await.unwrap().unwrap().code(), 1000);
    });
    assert_eq!(it.log.lines(), [line(0), line(1), "closed by the peer with 1000".to_owned()]);
}

#[test]
fn closing_a_sink_waits_for_a_close_frame_that_somebody_else_has_begun() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(owned("short")).await.unwrap();
        assert_eq!(poll_once(it.sending.flush()).await, None, "it is flushed, up to here");
        assert!(it.sending.connection().close(CloseCode::GOING_AWAY, ""));
        it.script.allow_to_server(6 + 5);
        sim.settle().await;
        let mut closing = pin!(SinkExt::close(&mut it.sending));
        assert_eq!(poll_once(&mut closing).await, None, "the close frame has not left");
        let_go(&it.script);
        closing.await.unwrap();
        assert_eq!(it.ended.recv().await.unwrap().unwrap().code(), 1001);
    });
}

#[test]
fn closing_a_sink_does_not_wait_for_somebody_to_receive() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    let (mut sending, _receiving) = socket.split();
    sim.run(async {
        // More than wait for a receiver.
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
fn a_sink_whose_connection_is_closed_says_so() {
    let mut it = stuck();
    let sim = it.sim.clone();
    let_go(&it.script);
    sim.run(async {
        SinkExt::send(&mut it.sending, owned("the last one")).await.unwrap();
        SinkExt::close(&mut it.sending).await.unwrap();
        for _ in 0..3 {
            assert_eq!(it.sending.feed(owned("late")).await, Err(SendError::Closed));
        }
        it.ended.recv().await.unwrap().unwrap();
        assert_eq!(SinkExt::send(&mut it.sending, owned("late")).await, Err(SendError::Closed));
        // Nothing was lost, and it is closed: there is nothing to complain of.
        it.sending.flush().await.unwrap();
        SinkExt::close(&mut it.sending).await.unwrap();
    });
    assert_eq!(it.log.lines(), ["the last one", "closed by the peer with 1000"]);
}

#[test]
fn a_message_that_the_connection_takes_no_more_is_reported_once() {
    let mut it = stuck();
    let sim = it.sim.clone();
    sim.run(async {
        it.sending.feed(numbered(0)).await.unwrap();
        it.sending.feed(numbered(1)).await.unwrap();
        assert!(it.receiving.connection().close(CloseCode::NORMAL, ""));
        assert_eq!(it.sending.flush().await, Err(SendError::Closed), "the second one is not sent");
        let_go(&it.script);
        it.sending.flush().await.unwrap();
        it.ended.recv().await.unwrap().unwrap();
    });
    assert_eq!(it.log.lines(), [line(0), "closed by the peer with 1000".to_owned()]);
}
