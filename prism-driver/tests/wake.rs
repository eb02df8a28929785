//! `Connection::wake` and `on_wake`: when it runs, and that it is neither lost nor runs too often.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::future::{poll_fn, poll_once};
use prism_driver::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Message, Options, Runtime, serve_upgraded,
};
use prism_test::{Peer, Received, Sim, pipe};

use crate::common::{
    close,
    handlers::{HandOut, Log},
    s, serve,
    sockets::{connected, owned},
};

/// Logs its calls, hands its connection out, and obeys some messages.
struct Woken {
    log: Log,
    hand: Sender<Connection>,
    gate: Receiver<()>,
    /// Waits for the gate in `on_connect`.
    connects_slowly: bool,
}

impl Woken {
    fn new() -> (Self, Log, Receiver<Connection>, Sender<()>) {
        let (log, (hand, out), (open, gate)) = (Log::default(), unbounded(), unbounded());
        (Self { log: log.clone(), hand, gate, connects_slowly: false }, log, out, open)
    }
}

impl ConnectionHandler for Woken {
    async fn on_connect(&mut self, connection: &Connection) {
        self.hand.send(connection.clone()).await.unwrap();
        if self.connects_slowly {
            self.gate.recv().await.unwrap();
        }
        self.log.add("connected");
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap();
        match text {
            "wait" => self.gate.recv().await.unwrap(),
            "wake" => (0..3).for_each(|_| connection.wake()),
            "wake and close" => {
                connection.wake();
                assert!(connection.close(CloseCode::NORMAL, "enough"));
            }
            _ => {}
        }
        self.log.add(text);
    }

    async fn on_wake(&mut self, _: &Connection) {
        self.log.add("woken");
    }

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        connection.wake();
        self.log.add("disconnected");
    }
}

#[test]
fn on_wake_runs_once_for_several_calls() {
    let sim = Sim::default();
    let (handler, log, out, _open) = Woken::new();
    let (_peer, _, _) = serve(&sim, handler, Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        (0..5).for_each(|_| connection.wake());
        sim.settle().await;
        assert_eq!(log.lines(), ["connected", "woken"]);
        connection.wake();
        sim.settle().await;
        assert_eq!(log.lines(), ["connected", "woken", "woken"]);
        sim.pass(s(15)).await;
        assert_eq!(log.lines().len(), 3);
    });
}

#[test]
fn on_wake_runs_between_two_messages() {
    let sim = Sim::default();
    let (handler, log, out, open) = Woken::new();
    let (mut peer, _, _) = serve(&sim, handler, Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        peer.send_together(&["wait", "next", "wake", "last"]).await;
        sim.settle().await;
        connection.wake();
        sim.settle().await;
        assert_eq!(log.lines(), ["connected"], "a message is being handled");
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(log.lines()[1..], ["wait", "woken", "next", "wake", "woken", "last"]);
    });
}

#[test]
fn a_wake_up_before_on_connect_returns_is_kept() {
    let sim = Sim::default();
    let (mut handler, log, out, open) = Woken::new();
    handler.connects_slowly = true;
    let (_peer, _, _) = serve(&sim, handler, Options::default());
    sim.run(async {
        out.recv().await.unwrap().wake();
        sim.settle().await;
        assert!(log.lines().is_empty());
        open.send(()).await.unwrap();
        sim.settle().await;
    });
    assert_eq!(log.lines(), ["connected", "woken"]);
}

#[test]
fn on_wake_does_not_run_after_a_close() {
    let sim = Sim::default();
    let (handler, log, out, _open) = Woken::new();
    let (mut peer, _, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        peer.send("wake and close").await;
        sim.settle().await;
        connection.wake();
        sim.settle().await;
        assert_eq!(peer.all().await, [close(1000, "enough"), Received::End(Ok(()))]);
        connection.wake();
        drop(peer);
        ended.recv().await.unwrap();
        connection.wake();
        sim.settle().await;
    });
    assert_eq!(log.lines(), ["connected", "wake and close", "disconnected"]);
}

#[test]
fn on_wake_does_not_run_after_a_failure() {
    let sim = Sim::default();
    let (handler, log, out, _open) = Woken::new();
    let (peer, faults, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        faults.to_server().fail(io::ErrorKind::ConnectionReset);
        connection.wake();
        ended.recv().await.unwrap();
        drop(peer);
    });
    assert_eq!(log.lines(), ["connected", "disconnected"]);
}

// ---- what it costs

/// Asserts that a wake-up costs one poll of the connection's task, and none once the connection is closing.
fn assert_polls(handler: impl ConnectionHandler, out: &Receiver<Connection>) {
    let sim = Sim::default();
    let (server, client, _) = pipe();
    let polls = Arc::<AtomicUsize>::default();
    let counted = polls.clone();
    let runtime = sim.clone();
    sim.spawn(async move {
        let options = Options::default();
        let mut serving = pin!(serve_upgraded(runtime, server, "/", &options, handler));
        poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(cx).map(|_| ())
        })
        .await;
    });
    let mut peer = Peer::new(client);
    sim.run(async {
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        let before = polls.load(Ordering::Relaxed);
        connection.wake();
        sim.settle().await;
        assert_eq!(polls.load(Ordering::Relaxed), before + 1, "one poll for a wake-up");
        sim.settle().await;
        peer.close(1000, "").await;
        sim.settle().await;
        let before = polls.load(Ordering::Relaxed);
        (0..3).for_each(|_| connection.wake());
        sim.settle().await;
        assert!(polls.load(Ordering::Relaxed) <= before + 1, "the connection is closing");
    });
}

#[test]
fn a_wake_up_costs_one_poll() {
    let (handler, log, out, _open) = Woken::new();
    assert_polls(handler, &out);
    assert_eq!(log.lines(), ["connected", "woken", "disconnected"]);
}

#[test]
fn a_shared_handler_ignores_it() {
    let (hand_out, out) = HandOut::new();
    assert_polls(hand_out, &out);
}

#[test]
fn a_socket_ignores_it() {
    let sim = Sim::default();
    let (socket, echo, _, _) = connected(&sim);
    sim.run(async {
        socket.connection().wake();
        echo.wake();
        sim.settle().await;
        assert!(poll_once(socket.recv()).await.is_none(), "there is nothing to receive");
        socket.send("hello").await.unwrap();
        socket.connection().wake();
        assert_eq!(socket.recv().await.unwrap(), owned("hello"));
        assert!(poll_once(socket.recv()).await.is_none());
    });
}

// ---- fairness

#[derive(Clone, Default)]
struct Counts {
    messages: Arc<AtomicUsize>,
    wakes: Arc<AtomicUsize>,
}

impl Counts {
    fn get(&self) -> (usize, usize) {
        (self.messages.load(Ordering::Relaxed), self.wakes.load(Ordering::Relaxed))
    }
}

/// Counts its calls, and wakes itself if it is told to.
struct Counting {
    counts: Counts,
    wakes_itself: bool,
    hand: Sender<Connection>,
}

impl ConnectionHandler for Counting {
    async fn on_connect(&mut self, connection: &Connection) {
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {
        self.counts.messages.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_wake(&mut self, connection: &Connection) {
        let woken = self.counts.wakes.fetch_add(1, Ordering::Relaxed);
        assert!(woken < 100_000, "nothing else runs");
        if self.wakes_itself {
            connection.wake();
        }
    }
}

#[test]
fn a_flood_of_messages_delays_a_wake_up_by_at_most_one_turn() {
    let sim = Sim::default();
    let (server, client, _) = pipe();
    let (counts, (hand, out)) = (Counts::default(), unbounded());
    let handler = Counting { counts: counts.clone(), wakes_itself: false, hand };
    let options = Options::default();
    sim.run(async {
        let mut peer = Peer::new(client);
        peer.send_together(&[""; 10_000]).await;
        let mut serving = pin!(serve_upgraded(sim.clone(), server, "/", &options, handler));
        for wakes in 1..10 {
            assert!(poll_once(&mut serving).await.is_none());
            if wakes == 1 {
                out.recv().await.unwrap().wake();
                continue;
            }
            let (messages, woken) = counts.get();
            assert_eq!(woken, 1, "after {messages} messages");
            assert!(messages < wakes * 256, "{messages} messages in {wakes} turns");
        }
    });
}

#[test]
fn a_handler_that_wakes_itself_lets_others_run() {
    let sim = Sim::default();
    let (counts, (hand, out)) = (Counts::default(), unbounded());
    let handler = Counting { counts: counts.clone(), wakes_itself: true, hand };
    let (mut peer, _, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        connection.wake();
        for _ in 0..100 {
            let before = counts.get().1;
            assert!(sim.tick(), "it has woken itself");
            assert!(counts.get().1 - before < 300, "{:?}", counts.get());
        }
        assert!(counts.get().1 >= 50, "{:?}", counts.get());
        // The peer is heard, too.
        peer.send("hello").await;
        peer.ping(b"?").await;
        assert_eq!(peer.next().await, Received::Pong(b"?".into()));
        assert_eq!(counts.get().0, 1);
        peer.close(1000, "bye").await;
        assert_eq!(peer.all().await, [close(1000, "bye"), Received::End(Ok(()))]);
        drop(peer);
        assert_eq!(ended.recv().await.unwrap().code(), 1000);
    });
}

// ---- the contract

/// Panics in `on_wake`, or sends there until that fails.
struct Sends {
    log: Log,
    panics: bool,
}

impl ConnectionHandler for Sends {
    async fn on_connect(&mut self, connection: &Connection) {
        connection.wake();
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_wake(&mut self, connection: &Connection) {
        assert!(!self.panics, "on purpose");
        while connection.send(&[7; 1000]).await.is_ok() {}
        self.log.add("failed");
    }

    async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
        self.log.add(reason.to_string());
    }
}

#[test]
fn contract_4_closing_fails_the_sends_of_on_wake_and_drops_nothing() {
    let (sim, log) = (Sim::default(), Log::default());
    let handler = Sends { log: log.clone(), panics: false };
    let (_peer, faults, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        faults.to_client().set_capacity(10_000);
        sim.settle().await;
        assert!(log.lines().is_empty(), "`on_wake` waits for room");
        faults.to_client().fail(io::ErrorKind::ConnectionReset);
        ended.recv().await.unwrap();
    });
    assert_eq!(log.lines()[0], "failed");
    assert_eq!(log.lines().len(), 2);
}

#[test]
fn contract_6_a_panic_of_on_wake_closes_with_1011() {
    let (sim, log) = (Sim::default(), Log::default());
    let handler = Sends { log: log.clone(), panics: true };
    let (mut peer, _, _) = serve(&sim, handler, Options::default());
    sim.run(async {
        assert_eq!(peer.all().await, [close(1011, "internal error"), Received::End(Ok(()))]);
    });
    assert_eq!(log.lines(), ["the handler panicked"]);
}
