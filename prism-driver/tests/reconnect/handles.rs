//! The handle: sending over whichever connection there is, and closing for good.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_channel::{Receiver, bounded};
use futures_lite::future::poll_once;
use prism_driver::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Ended, Message, ReconnectHandle, Runtime,
    SendError,
};
use prism_test::Sim;

use super::{Counting, SERVER, accept, accept_and_drop, network, refuse, run};
use crate::common::{
    net::Reach::{After, Never, RefusedAfter},
    s,
};

/// Sends in a task of its own. Returns the outcome.
fn send(
    sim: &Sim,
    handle: &ReconnectHandle,
    text: &'static str,
) -> Receiver<Result<(), SendError>> {
    let (handle, (tell, told)) = (handle.clone(), bounded(1));
    sim.spawn(async move {
        // Not every test needs it.
        let _ = tell.send(handle.send(text).await).await;
    });
    told
}

#[test]
fn a_message_waits_for_a_connection() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let sent = send(&sim, &handle, "waited");
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        for _ in 0..3 {
            refuse(&net, 503, "").await;
        }
        assert!(sent.is_empty());
        let server = accept(&sim, &net).await;
        sim.settle().await;
        assert_eq!(sent.recv().await.unwrap(), Ok(()));
        assert_eq!(server.received.lines(), ["hello 1", "waited"]);
    });
}

/// Waits in `on_connect`, and then sends a login.
struct LogsIn(Receiver<()>);

impl ConnectionHandler for LogsIn {
    async fn on_connect(&mut self, connection: &Connection) {
        self.0.recv().await.unwrap();
        let _ = connection.send("login").await;
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn what_on_connect_sends_comes_first() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let (open, gate) = bounded(1);
    run(&sim, reconnect, LogsIn(gate));
    send(&sim, &handle, "order");
    sim.run(async {
        let server = accept(&sim, &net).await;
        sim.pass(s(10)).await;
        assert!(server.received.lines().is_empty() && handle.current().is_none());
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(server.received.lines(), ["login", "order"]);
        assert!(handle.current().is_some());
    });
}

#[test]
fn a_message_does_not_go_to_a_connection_that_is_closing() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect.retry_if(|_| true), Counting::new().0);
    sim.run(async {
        let first = accept(&sim, &net).await;
        let ours = handle.connected().await.unwrap();
        assert_eq!(handle.current().unwrap().id(), ours.id());
        assert!(ours.close(CloseCode::NORMAL, ""));
        assert!(handle.current().is_none(), "no message can be sent on it");
        send(&sim, &handle, "to the next one");
        let second = accept(&sim, &net).await;
        sim.settle().await;
        assert_eq!(first.received.lines()[..1], ["hello 1"]);
        assert_eq!(second.received.lines(), ["hello 2", "to the next one"]);
        assert_ne!(handle.current().unwrap().id(), ours.id());
    });
}

#[test]
fn a_message_that_found_no_room_goes_to_the_next_connection_once() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        let first = accept(&sim, &net).await;
        sim.settle().await;
        first.faults.to_server().set_capacity(0);
        let filler = vec![b'x'; 1 << 16];
        handle.send(&filler).await.unwrap();
        let sent = send(&sim, &handle, "found no room");
        sim.settle().await;
        assert!(sent.is_empty());
        first.connection.abort();
        let second = accept(&sim, &net).await;
        sim.settle().await;
        assert_eq!(sent.recv().await.unwrap(), Ok(()));
        // What the first connection had accepted is lost: it is not repeated.
        assert_eq!(second.received.lines(), ["hello 2", "found no room"]);
    });
}

#[test]
fn a_message_that_was_accepted_is_not_sent_again() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        let first = accept(&sim, &net).await;
        sim.settle().await;
        first.faults.to_server().set_capacity(0);
        assert_eq!(handle.send("lost").await, Ok(()));
        first.connection.abort();
        let second = accept(&sim, &net).await;
        sim.pass(s(10)).await;
        assert_eq!(first.received.lines()[..1], ["hello 1"]);
        assert!(!first.received.contains("lost"));
        assert_eq!(second.received.lines(), ["hello 2"]);
    });
}

#[test]
fn a_send_that_is_dropped_has_sent_nothing() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    sim.run(async {
        assert!(poll_once(handle.send("dropped")).await.is_none());
        run(&sim, reconnect, Counting::new().0);
        let server = accept(&sim, &net).await;
        sim.pass(s(1)).await;
        assert_eq!(server.received.lines(), ["hello 1"]);
    });
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakeups(AtomicUsize);

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_send_that_waits_is_woken_only_when_something_changes() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect.retry_if(|_| true), Counting::new().0);
    let wakeups = Arc::new(Wakeups::default());
    let waker = Waker::from(wakeups.clone());
    sim.run(async {
        let first = accept(&sim, &net).await;
        let ours = handle.connected().await.unwrap();
        // The server does not answer the close, so that the connection stays for a while.
        first.faults.to_server().set_capacity(0);
        assert!(ours.close(CloseCode::NORMAL, ""));
        let mut sending = pin!(handle.send("to the next one"));
        net.address(SERVER, RefusedAfter(Duration::ZERO));
        for _ in 0..600 {
            let polled = sending.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            sim.pass(s(1)).await;
        }
        assert!(net.attempts().len() > 5, "an outage of ten minutes");
        assert!(wakeups.0.load(Relaxed) <= 2, "{}", wakeups.0.load(Relaxed));
        net.address(SERVER, After(Duration::ZERO));
        let second = accept(&sim, &net).await;
        sim.settle().await;
        let polled = sending.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Ready(Ok(())));
        sim.settle().await;
        assert_eq!(second.received.lines(), ["hello 2", "to the next one"]);
    });
}

// ---- closing

/// What is closed with the handle at some time ends in this way.
fn assert_closed(ended: &Ended) {
    assert!(matches!(ended, Ended::Closed(None)), "{ended:?}");
    assert_eq!(ended.to_string(), "closed by us while there was no connection");
}

#[test]
fn a_close_before_the_first_attempt_prevents_it() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    reconnect.handle().close(CloseCode::NORMAL, "");
    let ended = sim.run(reconnect.run(Counting::new().0));
    assert_closed(&ended);
    assert!(net.attempts().is_empty());
}

#[test]
fn a_close_cancels_an_attempt() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    net.address(SERVER, Never);
    let handle = reconnect.handle();
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        sim.pass(s(1)).await;
        assert_eq!(net.in_progress(), 1);
        handle.close(CloseCode::NORMAL, "");
        assert_closed(&ended.recv().await.unwrap());
        assert_eq!((net.in_progress(), sim.now()), (0, s(1)));
    });
}

#[test]
fn a_close_cancels_a_delay() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        refuse(&net, 503, "Retry-After: 50\r\n").await;
        sim.pass(s(1)).await;
        handle.close(CloseCode::NORMAL, "");
        assert_closed(&ended.recv().await.unwrap());
        assert_eq!((net.attempts().len(), sim.now()), (1, s(1)));
    });
}

#[test]
fn a_close_closes_the_connection_whether_or_not_on_connect_has_returned() {
    for returns in [true, false] {
        let sim = Sim::default();
        let (net, reconnect) = network(&sim);
        let handle = reconnect.handle();
        let (open, gate) = bounded(1);
        let ended = run(&sim, reconnect, LogsIn(gate));
        sim.run(async {
            accept(&sim, &net).await;
            if returns {
                open.send(()).await.unwrap();
            }
            sim.settle().await;
            assert_eq!(handle.current().is_some(), returns);
            handle.close(CloseCode::GOING_AWAY, "bye");
            let waiting = handle.send("too late").await;
            assert_eq!(waiting, Err(SendError::Closed));
            sim.settle().await;
            let _ = open.try_send(()); // nobody waits if `on_connect` has returned
            match ended.recv().await.unwrap() {
                Ended::Closed(Some(Disconnect::Local { code, reason })) => {
                    assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "bye"));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(net.attempts().len(), 1);
        });
    }
}

/// Waits in `on_disconnect`.
struct Lingers(Receiver<()>);

impl ConnectionHandler for Lingers {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
        self.0.recv().await.unwrap();
    }
}

#[test]
fn a_close_counts_as_a_close_although_the_connection_has_just_failed() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let (open, gate) = bounded(1);
    let ended = run(&sim, reconnect, Lingers(gate));
    sim.run(async {
        accept_and_drop(&sim, &net).await;
        sim.settle().await;
        handle.close(CloseCode::NORMAL, "");
        open.send(()).await.unwrap();
        let ended = ended.recv().await.unwrap();
        assert!(matches!(ended, Ended::Closed(Some(Disconnect::Failed(_)))), "{ended:?}");
    });
}

#[test]
fn when_it_gives_up_those_who_wait_learn_it() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let sent = send(&sim, &handle, "never");
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        refuse(&net, 401, "").await;
        assert_eq!(sent.recv().await.unwrap(), Err(SendError::Closed));
        assert!(handle.connected().await.is_none() && handle.current().is_none());
        assert_eq!(handle.send("never").await, Err(SendError::Closed));
        handle.close(CloseCode::NORMAL, "");
    });
}

#[test]
fn when_the_future_of_run_is_dropped_those_who_wait_learn_it() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    net.address(SERVER, Never);
    let handle = reconnect.handle();
    let sent = send(&sim, &handle, "never");
    sim.run(async {
        assert!(poll_once(reconnect.run(Counting::new().0)).await.is_none());
        assert_eq!(sent.recv().await.unwrap(), Err(SendError::Closed));
        assert_eq!(net.in_progress(), 0);
    });
}

#[test]
fn a_connection_that_ends_is_no_longer_the_current_one() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        assert!(handle.current().is_none());
        accept_and_drop(&sim, &net).await;
        sim.settle().await;
        assert!(handle.current().is_none());
    });
}
