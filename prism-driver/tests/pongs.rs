//! Pongs: those that `on_pong` gets, and what the keepalive measures.

use std::{io, time::Duration};

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{
    CloseCode, Connection, Disconnect, Handler, Latency, Message, Options, Runtime, TrySendError,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    close,
    handlers::{Echo, HandOut, Log},
    kinds::{Kind, on_both_kinds},
    ms, s, serve_handshake,
    sockets::client,
};

/// Logs all calls, and hands its connection out. Obeys the payload `wait`, and panics at `panic`.
struct PongLog {
    log: Log,
    hand: Sender<Connection>,
    gate: Receiver<()>,
}

impl Handler for PongLog {
    async fn on_connect(&self, connection: &Connection) {
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.log.add(message.as_text().unwrap());
    }

    async fn on_pong(&self, connection: &Connection, payload: &[u8]) {
        let payload = String::from_utf8(payload.to_vec()).unwrap();
        self.log.add(format!("pong {payload}"));
        match payload.as_str() {
            "wait" => self.gate.recv().await.unwrap(),
            "panic" => panic!("on purpose"),
            "flood" => while connection.send(&[7; 1000]).await.is_ok() {},
            _ => return,
        }
        self.log.add(format!("end {payload}"));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.log.add(reason.to_string());
    }
}

struct Fixture {
    sim: Sim,
    peer: Peer,
    faults: Faults,
    connection: Connection,
    ended: Receiver<Disconnect>,
    log: Log,
    open: Sender<()>,
}

/// Serves a handler that logs pongs, without the keepalive's pings.
fn fixture(kind: Kind) -> Fixture {
    with_ping_interval(kind, None)
}

fn with_ping_interval(kind: Kind, interval: Option<Duration>) -> Fixture {
    let sim = Sim::default();
    let (log, (hand, out), (open, gate)) = (Log::default(), unbounded(), unbounded());
    let handler = PongLog { log: log.clone(), hand, gate };
    let options = Options::default().ping_interval(interval);
    let (peer, faults, ended) = kind.serve(&sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    Fixture { sim, peer, faults, connection, ended, log, open }
}

/// Returns an unmasked frame's masked form: a pong with this payload, from the client.
fn pong(payload: &[u8]) -> Vec<u8> {
    [&[0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[test]
fn a_pong_is_reported_with_the_payload_of_its_ping() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, log, .. } = fixture(kind);
        sim.run(async {
            connection.ping(b"one").unwrap();
            assert_eq!(peer.next().await, Received::Ping); // and it is answered
            sim.settle().await;
            assert_eq!(log.lines(), ["pong one"]);
            for payload in ["two", "", "three"] {
                connection.ping(payload.as_bytes()).unwrap();
            }
            for _ in 0..3 {
                assert_eq!(peer.next().await, Received::Ping);
            }
            sim.settle().await;
            assert_eq!(log.lines()[1..], ["pong two", "pong ", "pong three"]);
        });
    });
}

#[test]
fn only_the_first_pong_to_a_ping_of_the_application_is_reported() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, log, .. } = fixture(kind);
        sim.run(async {
            peer.raw(&pong(b"unsolicited")).await;
            for payload in [b"one", b"two", b"six"] {
                connection.ping(payload).unwrap();
            }
            peer.raw(&pong(b"unsolicited")).await;
            // RFC 6455 §5.5.3: a peer may answer only the most recent of several pings.
            peer.raw(&pong(b"two")).await;
            for late in [b"one", b"two"] {
                peer.raw(&pong(late)).await;
            }
            peer.raw(&pong(b"six")).await;
            peer.raw(&pong(b"six")).await;
            sim.settle().await;
            assert_eq!(log.lines(), ["pong two", "pong six"]);
        });
    });
}

#[test]
fn the_pongs_of_the_keepalive_are_not_reported() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, log, .. } = with_ping_interval(kind, Some(s(20)));
        sim.run(async {
            for _ in 0..10 {
                assert_eq!(peer.next().await, Received::Ping);
            }
            sim.settle().await;
            assert_eq!((sim.now(), log.lines().len()), (s(200), 0));
            assert!(connection.latency().is_some(), "but they are measured");
        });
    });
}

#[test]
fn a_ping_that_was_refused_is_not_waited_for() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, faults, connection, log, .. } = fixture(kind);
        sim.run(async {
            faults.to_client().set_capacity(0);
            while connection.try_send([7; 1000]).is_ok() {}
            assert_eq!(connection.ping(b"refused"), Err(TrySendError::Full));
            peer.raw(&pong(b"refused")).await;
            sim.settle().await;
            assert!(log.lines().is_empty(), "{:?}", log.lines());
        });
    });
}

// ---- the contract

#[test]
fn contract_2_pongs_and_messages_are_handled_one_at_a_time_in_wire_order() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, log, open, .. } = fixture(kind);
        sim.run(async {
            connection.ping(b"wait").unwrap();
            connection.ping(b"later").unwrap();
            let text = |text: &[u8]| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat();
            let bytes = [text(b"first"), pong(b"wait"), text(b"second"), pong(b"later")].concat();
            peer.raw(&bytes).await;
            sim.settle().await;
            assert_eq!(log.lines(), ["first", "pong wait"], "the rest has to wait");
            open.send(()).await.unwrap();
            sim.settle().await;
            assert_eq!(log.lines()[2..], ["end wait", "second", "pong later"]);
        });
    });
}

#[test]
fn contract_4_closing_fails_the_sends_of_on_pong_and_drops_nothing() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, faults, connection, ended, log, .. } = fixture(kind);
        sim.run(async {
            faults.to_client().set_capacity(10_000);
            connection.ping(b"flood").unwrap();
            peer.raw(&pong(b"flood")).await;
            sim.settle().await;
            assert_eq!(log.lines(), ["pong flood"], "it waits for room");
            faults.to_client().fail(io::ErrorKind::ConnectionReset);
            ended.recv().await.unwrap();
            assert_eq!(log.lines()[1], "end flood");
        });
    });
}

#[test]
fn contract_5_after_our_close_on_pong_is_not_called() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, ended, log, .. } = fixture(kind);
        sim.run(async {
            connection.ping(b"late").unwrap();
            assert!(connection.close(CloseCode::NORMAL, "enough"));
            peer.raw(&pong(b"late")).await;
            sim.settle().await;
            assert!(log.lines().is_empty(), "{:?}", log.lines());
            assert_eq!(peer.all().await, [close(1000, "enough"), Received::End(Ok(()))]);
            drop(peer);
            ended.recv().await.unwrap();
        });
        assert_eq!(log.lines(), ["closed by us with 1000 (enough)"]);
    });
}

#[test]
fn contract_6_a_panic_of_on_pong_closes_with_1011() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, log, .. } = fixture(kind);
        sim.run(async {
            connection.ping(b"panic").unwrap();
            let expected = [close(1011, "internal error"), Received::End(Ok(()))];
            assert_eq!(peer.all().await, expected);
        });
        assert_eq!(log.lines(), ["pong panic", "the handler panicked"]);
    });
}

#[test]
fn by_default_on_pong_does_nothing() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (handler, out) = HandOut::new();
        let (mut peer, _, _) = kind.serve(&sim, handler, Options::default());
        sim.run(async {
            out.recv().await.unwrap().ping(b"hello").unwrap();
            assert_eq!(peer.next().await, Received::Ping);
            peer.send("still here").await;
            assert_eq!(peer.next().await, Received::Text("still here".to_owned()));
        });
    });
}

// ---- latency

fn measured(last: u64, smoothed: u64) -> Option<(Duration, Duration)> {
    Some((ms(last), ms(smoothed)))
}

fn latency(connection: &Connection) -> Option<(Duration, Duration)> {
    connection.latency().map(|Latency { last, smoothed, .. }| (last, smoothed))
}

#[test]
fn the_latency_of_a_servers_connection_is_the_time_until_the_pong() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, .. } = with_ping_interval(kind, Some(s(20)));
        sim.run(async {
            sim.pass(s(20) + ms(160)).await;
            assert_eq!(latency(&connection), None);
            assert_eq!(peer.next().await, Received::Ping); // and it is answered
            sim.settle().await;
            assert_eq!(latency(&connection), measured(160, 160));
            // Another ping measures nothing, nor does a message.
            connection.ping(b"mine").unwrap();
            sim.pass(ms(5)).await;
            assert_eq!(peer.next().await, Received::Ping);
            peer.send("hello").await;
            sim.settle().await;
            assert_eq!(latency(&connection), measured(160, 160));
            sim.pass(s(20) - ms(165) + ms(80)).await;
            assert_eq!(peer.next().await, Received::Ping);
            sim.settle().await;
            assert_eq!(sim.now(), s(40) + ms(80));
            assert_eq!(latency(&connection), measured(80, 150), "seven eighths and an eighth");
        });
    });
}

#[test]
fn the_latency_of_a_clients_connection_is_the_time_until_the_pong() {
    let sim = Sim::default();
    let options = Options::default();
    let (io, faults, _) = serve_handshake(&sim, Echo, options.clone().ping_interval(None));
    sim.run(async {
        let client = client(&sim).options(options);
        let socket = client.connect_stream(io).await.unwrap();
        faults.to_client().set_capacity(0);
        sim.pass(s(20) + ms(160)).await;
        assert_eq!(latency(socket.connection()), None, "the pong is on its way");
        faults.to_client().set_capacity(1000);
        sim.settle().await;
        assert_eq!(latency(socket.connection()), measured(160, 160));
        sim.pass(s(20)).await;
        let expected = Some((Duration::from_micros(1), Duration::from_micros(140_000)));
        assert_eq!(latency(socket.connection()), expected, "at once counts as a microsecond");
    });
}

#[test]
fn without_a_keepalive_there_is_no_latency() {
    on_both_kinds(|kind| {
        let Fixture { sim, mut peer, connection, .. } = fixture(kind);
        sim.run(async {
            connection.ping(b"mine").unwrap();
            assert_eq!(peer.next().await, Received::Ping);
            sim.pass(s(600)).await;
            assert_eq!(latency(&connection), None);
        });
    });
}
