//! Handlers that close and then wait for the end, or never return: the close timeout still applies, and
//! the transport is dropped.

use async_channel::{Receiver, Sender, bounded};
use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
    Server,
};
use prism_test::{Received, Sim};

use crate::common::{close, handlers::Log, http::shake_hands, ms, net::Net, s, serve, text};

/// Closes and waits for the end in the callback, or at the message, that `when` names.
struct Closing {
    when: &'static str,
    log: Log,
}

impl Closing {
    async fn close_and_wait(&self, connection: &Connection, when: &str) {
        self.log.add(when);
        if when == self.when {
            assert!(connection.close(CloseCode::GOING_AWAY, "enough"));
            connection.closed().await;
            self.log.add("closed");
        }
    }
}

impl Handler for Closing {
    async fn on_connect(&self, connection: &Connection) {
        self.close_and_wait(connection, "connect").await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.close_and_wait(connection, message.as_text().unwrap()).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        connection.closed().await;
        self.log.add(reason.to_string());
    }
}

#[test]
fn closed_returns_to_a_waiting_handler_at_the_close_timeout() {
    for when in ["connect", "now"] {
        let (sim, log) = (Sim::default(), Log::default());
        let (mut peer, faults, ended) =
            serve(&sim, Closing { when, log: log.clone() }, Options::default());
        sim.run(async {
            sim.settle().await;
            peer.mute(); // no answer to the close frame
            peer.send_together(&["now", "later"]).await;
            assert_eq!(peer.next().await, close(1001, "enough"));
            sim.pass(ms(4_999)).await;
            assert!(!faults.dropped_by_server() && !log.contains("closed"));
            let reason = ended.recv().await.unwrap();
            let late = ProtocolError::CloseTimeout;
            assert!(matches!(reason, Disconnect::Failed(Failure::Protocol(it)) if it == late));
            assert!(faults.dropped_by_server());
            assert_eq!(sim.now(), s(5));
        });
        let lines = log.lines();
        assert_eq!(lines[lines.len() - 2], "closed");
        assert!(!lines.contains(&"later".to_owned()), "{lines:?}");
    }
}

#[test]
fn an_answer_that_arrived_by_then_decides_the_reason() {
    for delays_readiness in [false, true] {
        let (sim, log) = (Sim::default(), Log::default());
        let (mut peer, faults, ended) =
            serve(&sim, Closing { when: "now", log: log.clone() }, Options::default());
        if delays_readiness {
            faults.to_server().delay_readiness();
        }
        sim.run(async {
            peer.send("now").await;
            assert_eq!(peer.next().await, close(1001, "enough"), "the peer answers this");
            let reason = ended.recv().await.unwrap();
            assert!(matches!(&reason, Disconnect::Local { reason, .. } if reason == "enough"));
            assert_eq!((reason.code(), sim.now()), (1001, s(5)));
            assert!(faults.dropped_by_server());
        });
    }
}

#[test]
fn a_peer_that_still_reads_is_waited_for() {
    let sim = Sim::default();
    struct Flood(Log);
    impl Handler for Flood {
        async fn on_message(&self, connection: &Connection, _: Message<'_>) {
            connection.send(&"x".repeat(10_000)).await.unwrap();
            connection.close(CloseCode::NORMAL, "");
            connection.closed().await;
            self.0.add("closed");
        }
    }
    let log = Log::default();
    let (mut peer, faults, _ended) = serve(&sim, Flood(log.clone()), Options::default());
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        peer.send("go").await;
        for thousand in 1..10 {
            sim.pass(s(3)).await;
            faults.to_client().set_capacity(1_000 * (thousand + 1));
        }
        assert!(log.lines().is_empty(), "27 s later");
        assert!(peer.next().await == text(&"x".repeat(10_000)));
        assert_eq!(peer.next().await, close(1000, ""));
    });
}

/// Closes or aborts, and returns only when the gate opens.
struct Hanging {
    gate: Receiver<()>,
    log: Log,
}

impl Hanging {
    fn new() -> (Self, Log, Sender<()>) {
        let (log, (open, gate)) = (Log::default(), bounded(1));
        (Self { gate, log: log.clone() }, log, open)
    }
}

impl Handler for Hanging {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        match message.as_text().unwrap() {
            "close" => assert!(connection.close(CloseCode::NORMAL, "")),
            _ => connection.abort(),
        }
        let _ = self.gate.recv().await;
        self.log.add("returned");
    }

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.log.add("disconnect");
    }
}

#[test]
fn a_hanging_handler_keeps_its_place_and_is_counted_as_stuck() {
    for order in ["close", "abort"] {
        let sim = Sim::default();
        let net = Net::new(&sim);
        let (handler, log, open) = Hanging::new();
        let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
        let server = bound.websocket("/chat", handler);
        let stats = server.stats();
        sim.spawn(server.serve());
        sim.run(async {
            let (io, faults) = net.connect_raw().unwrap();
            let mut peer = shake_hands(io).await;
            peer.mute();
            peer.send(order).await;
            sim.settle().await;
            let stuck_at_once = u64::from(order == "abort");
            assert_eq!((stats.counts().open, stats.counts().stuck), (1, stuck_at_once));
            sim.pass(ms(5_025)).await;
            assert!(faults.dropped_by_server());
            assert_eq!((stats.counts().open, stats.counts().stuck), (1, 1));
            sim.pass(s(3600)).await;
            assert!(log.lines().is_empty(), "the handler's future is neither dropped nor done");
            open.send(()).await.unwrap();
            sim.settle().await;
            assert_eq!(log.lines(), ["returned", "disconnect"]);
            let counts = stats.counts();
            assert_eq!((counts.open, counts.stuck, counts.closed), (0, 0, 1));
        });
    }
}

/// Spends a hundred seconds in `on_disconnect`.
struct SlowDisconnect(Sim);

impl Handler for SlowDisconnect {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.0.sleep(s(100)).await;
    }
}

#[test]
fn a_slow_on_disconnect_delays_neither_close_nor_transport() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, SlowDisconnect(sim.clone()), Options::default());
    sim.run(async {
        peer.close(1000, "bye").await;
        assert_eq!(peer.next().await, close(1000, "bye"));
        assert_eq!((peer.next().await, sim.now()), (Received::End(Ok(())), s(0)));
        // The peer does not end its side.
        sim.pass(s(5)).await;
        assert!(faults.dropped_by_server());
        assert_eq!((ended.recv().await.unwrap().reason(), sim.now()), ("bye".to_owned(), s(100)));
    });
}

#[test]
fn the_transport_is_dropped_once_the_peer_has_ended_its_side() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, SlowDisconnect(sim.clone()), Options::default());
    sim.run(async {
        peer.end().await;
        assert!(matches!((peer.next().await, sim.now()), (Received::End(_), now) if now == s(0)));
        sim.settle().await;
        assert!(faults.dropped_by_server());
        assert_eq!((ended.recv().await.unwrap().code(), sim.now()), (1006, s(100)));
    });
}
