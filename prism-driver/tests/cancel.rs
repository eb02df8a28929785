//! Futures of connections and sockets, dropped at every point: nothing is lost or sent twice, and no
//! other task is kept waiting.

use std::cell::{Cell, RefCell};

use async_channel::bounded;
use futures_util::{Sink, SinkExt, StreamExt};
use prism_driver::{CloseCode, Disconnect, OwnedMessage, Runtime, SendError, SendHalf, Socket};
use prism_test::{Faults, Sim};

use crate::common::{
    cancellation::at_each_step,
    handlers::Log,
    ms, s,
    sockets::{connected, line, lines, numbered, owned, spawn_send, stuck_client},
};

/// Returns a client whose server takes nothing for a second, and then less than a frame at a time, and
/// the log of what the server receives.
fn stuck(sim: &Sim) -> (Socket, Log) {
    let (socket, faults, log, _) = stuck_client(sim);
    sim.spawn(release_later(sim.clone(), faults));
    (socket, log)
}

async fn release_later(sim: Sim, faults: Faults) {
    sim.sleep(s(1)).await;
    for _ in 0..20 {
        faults.to_server().allow(50);
        sim.sleep(ms(1)).await;
    }
    faults.to_server().allow(usize::MAX);
}

// ---- sending

/// Sends three messages among those of other senders, until the future is dropped. What was reported as
/// sent has arrived, once and in order, and so has what the others sent. The message that was being sent
/// has not arrived; with `maybe`, it may have.
fn sending<S: Sink<OwnedMessage, Error = SendError> + Unpin>(
    sender: impl Fn(Socket) -> S,
    send: impl AsyncFn(&mut S, OwnedMessage) -> Result<(), SendError>,
    maybe: bool,
) {
    at_each_step(|sim, cancel_point| {
        let (socket, log) = stuck(sim);
        let connection = socket.connection().clone();
        let mut sender = sender(socket);
        let sent = Cell::new(0);
        spawn_send(sim, &connection, 100);
        spawn_send(sim, &connection, 101);
        sim.run(sim.settle());
        cancel_point.run(sim, async {
            for n in 0..3 {
                send(&mut sender, numbered(n)).await.unwrap();
                sent.set(n + 1);
                spawn_send(sim, &connection, 102 + n);
            }
        });
        spawn_send(sim, &connection, 200);
        // A sink is not polled during this time.
        sim.run(sim.pass(s(2)));
        let (others, _) = others_and_ours(&log);
        assert_eq!(
            others,
            lines((100..102 + sent.get()).chain([200])),
            "no other sender has to wait for us"
        );

        sim.run(async { sender.flush().await.unwrap() });
        sim.run(sim.settle());
        let (_, ours) = others_and_ours(&log);
        let more = usize::from(maybe && ours.len() > sent.get());
        assert_eq!(ours, lines(0..sent.get() + more));
    });
}

/// Splits what the server has received: messages of the others, sorted, and ours, in order of arrival.
fn others_and_ours(log: &Log) -> (Vec<String>, Vec<String>) {
    let (mut others, ours): (Vec<_>, Vec<_>) =
        log.lines().into_iter().partition(|received| *received >= line(100));
    others.sort();
    (others, ours)
}

#[test]
fn a_dropped_send_has_sent_nothing() {
    sending(|socket| socket, async |socket, message| Socket::send(socket, &message).await, false);
    let on_the_handle =
        async |socket: &mut Socket, message| socket.connection().send(&message).await;
    sending(|socket| socket, on_the_handle, false);
}

#[test]
fn a_dropped_send_on_a_half_has_sent_nothing() {
    sending(
        |socket| socket.split().0,
        async |half, message| SendHalf::send(half, &message).await,
        false,
    );
}

#[test]
fn a_dropped_feed_has_sent_nothing() {
    sending(|socket| socket.split().0, async |half, message| half.feed(message).await, false);
    sending(|socket| socket, async |socket, message| socket.feed(message).await, false);
}

#[test]
fn a_dropped_sink_send_has_sent_once_or_not_at_all() {
    sending(
        |socket| socket.split().0,
        async |half, message| SinkExt::send(half, message).await,
        true,
    );
    sending(|socket| socket, async |socket, message| SinkExt::send(socket, message).await, true);
}

// ---- flushing

/// Flushes until the future is dropped. Other flushes are not affected, and everything arrives once.
fn flushing(flush: impl AsyncFn(&mut Socket) -> Result<(), SendError>) {
    at_each_step(|sim, cancel_point| {
        let (mut socket, log) = stuck(sim);
        let connection = socket.connection().clone();
        sim.run(async { socket.feed(numbered(0)).await.unwrap() });
        let (tell, told) = bounded(1);
        sim.spawn(async move { tell.send(connection.flush().await).await.unwrap() });
        sim.run(async { socket.feed(numbered(1)).await.unwrap() });
        if let Some(flushed) = cancel_point.run(sim, flush(&mut socket)) {
            assert_eq!(flushed, Ok(()));
        }
        sim.run(async {
            told.recv().await.unwrap().unwrap();
            socket.flush().await.unwrap();
            sim.settle().await;
        });
        assert_eq!(log.lines(), lines(0..2));
    });
}

#[test]
fn a_dropped_flush_changes_nothing() {
    flushing(async |socket| socket.connection().flush().await);
    flushing(async |socket| socket.flush().await);
}

// ---- receiving

/// Enough messages for several bursts, the first one larger than the queue.
const MESSAGES: usize = 40;

/// Receives until the future is dropped, and then the rest. Each message is received once, in order.
fn receiving<S>(receiver: impl Fn(Socket) -> S, receive: impl AsyncFn(&mut S) -> OwnedMessage) {
    at_each_step(|sim, cancel_point| {
        let (socket, connection, _, _) = connected(sim);
        let mut receiver = receiver(socket);
        let runtime = sim.clone();
        sim.spawn(async move {
            for n in 0..MESSAGES {
                if n >= 20 && n % 3 == 0 {
                    runtime.sleep(ms(10)).await;
                }
                connection.send(&n.to_string()).await.unwrap();
            }
        });
        let received = RefCell::new(Vec::new());
        let all = async |receiver: &mut S| {
            while received.borrow().len() < MESSAGES {
                let message = receive(receiver).await;
                received.borrow_mut().push(message);
            }
        };
        cancel_point.run(sim, all(&mut receiver));
        sim.run(all(&mut receiver));
        let expected: Vec<_> = (0..MESSAGES).map(|n| owned(&n.to_string())).collect();
        assert_eq!(received.into_inner(), expected);
    });
}

#[test]
fn a_dropped_recv_has_taken_nothing() {
    receiving(|socket| socket, async |socket| socket.recv().await.unwrap());
    receiving(|socket| socket.split(), async |(_, half)| half.recv().await.unwrap());
}

#[test]
fn a_dropped_stream_next_has_taken_nothing() {
    receiving(|socket| socket, async |socket| socket.next().await.unwrap().unwrap());
    receiving(|socket| socket.split(), async |(_, half)| half.next().await.unwrap().unwrap());
}

// ---- closing

#[test]
fn a_dropped_close_still_closes() {
    at_each_step(|sim, cancel_point| {
        let (socket, log) = stuck(sim);
        sim.run(async { socket.send("before").await.unwrap() });
        let code = CloseCode::new(4000).unwrap();
        if let Some(ending) = cancel_point.run(sim, socket.close(code, "done")) {
            assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
        }
        if !cancel_point.has_begun() {
            assert!(socket.connection().is_open(), "a future does nothing before it is polled");
            return;
        }
        sim.run(async {
            assert_eq!(socket.send("late").await, Err(SendError::Closed));
            let ending = socket.recv().await.unwrap_err();
            assert!(matches!(&ending, Disconnect::Local { .. }), "{ending}");
            assert_eq!((ending.code(), ending.reason().as_str()), (4000, "done"));
            sim.settle().await;
        });
        assert_eq!(log.lines(), ["before", "closed by the peer with 4000 (done)"]);
    });
}

#[test]
fn a_dropped_sink_close_can_be_repeated() {
    at_each_step(|sim, cancel_point| {
        let (socket, log) = stuck(sim);
        let (mut sending, receiving) = socket.split();
        sim.run(async {
            sending.feed(numbered(0)).await.unwrap();
            sending.feed(numbered(1)).await.unwrap();
        });
        if let Some(closed) = cancel_point.run(sim, SinkExt::close(&mut sending)) {
            assert_eq!(closed, Ok(()));
        }
        sim.run(async {
            SinkExt::close(&mut sending).await.unwrap();
            let ending = receiving.recv().await.unwrap_err();
            assert!(matches!(&ending, Disconnect::Local { .. }), "{ending}");
            sim.settle().await;
        });
        assert_eq!(log.lines(), [line(0), line(1), "closed by the peer with 1000".to_owned()]);
    });
}

#[test]
fn dropping_one_closed_future_does_not_affect_the_others() {
    at_each_step(|sim, cancel_point| {
        let (socket, connection, _, _) = connected(sim);
        let (tell, told) = bounded(1);
        let waiting = connection.clone();
        sim.spawn(async move {
            waiting.closed().await;
            tell.send(()).await.unwrap();
        });
        let runtime = sim.clone();
        sim.spawn(async move {
            runtime.sleep(s(1)).await;
            drop(socket);
        });
        if cancel_point.run(sim, connection.closed()).is_some() {
            assert!(sim.now() == s(1) && !connection.is_open());
        }
        sim.run(async {
            told.recv().await.unwrap();
            connection.closed().await;
        });
    });
}
