//! The options of a route replace the server's, whatever the order of the calls.

use async_channel::Receiver;
use futures_lite::future::poll_once;
use prism_driver::{
    Connection, Handler, Message, Options, Rate, Reply, Request, Route, Runtime, ServerOptions,
    WhenSlow, shared,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    binary,
    handlers::{Echo, Log, MessageLog},
    ms,
    net::Net,
    s,
    site::{ask, start, status},
    text,
};

async fn open(net: &Net, path: &str) -> (Peer, Faults) {
    let (head, io, faults) = ask(net, path, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (Peer::new(io), faults)
}

#[test]
fn a_route_for_uploads_may_be_beside_one_for_chat() {
    let sim = Sim::default();
    let (large, small) = (1 << 20, 1000);
    let net = start(&sim, |server| {
        server
            .websocket("/upload", shared(Echo).options(Options::default().max_message_size(large)))
            .websocket("/chat", Echo)
            .options(Options::default().max_message_size(small))
            .websocket("/chat2", Echo)
    });
    sim.run(async {
        for (path, limit) in [("/upload", large), ("/chat", small), ("/chat2", small)] {
            let (mut peer, _) = open(&net, path).await;
            peer.send(&vec![7; limit]).await;
            assert_eq!(peer.next().await, binary(vec![7; limit]), "{path}");
            peer.send(&vec![7; limit + 1]).await;
            let refusal = peer.next().await;
            assert!(matches!(refusal, Received::Close(1009, _)), "{path}: {refusal:?}");
        }
    });
}

#[test]
fn a_routes_options_replace_the_servers_as_a_whole() {
    let sim = Sim::default();
    let net = start(&sim, |server| {
        server
            .options(Options::default().max_message_size(1000))
            .websocket("/default", shared(Echo).options(Options::default()))
    });
    sim.run(async {
        let (mut peer, _) = open(&net, "/default").await;
        peer.send(&[7; 1001]).await;
        assert_eq!(peer.next().await, binary([7; 1001]));
    });
}

/// A route whose connections are handed out.
fn handing_out(options: Options) -> (Route<Net>, Receiver<Connection>) {
    let (handler, _, out) = MessageLog::new();
    (shared(handler).options(options), out)
}

#[test]
fn the_write_timeout_of_a_route_applies() {
    let quiet = || Options::default().ping_interval(None);
    for (options, after) in [(quiet(), s(30)), (quiet().write_timeout(s(3)), s(3))] {
        let sim = Sim::default();
        let (route, out) = handing_out(options);
        let fast = quiet().write_timeout(s(1)).min_write_rate(0);
        let net = start(&sim, |server| server.options(fast).websocket("/slow", route));
        sim.run(async {
            let (_peer, faults) = open(&net, "/slow").await;
            let connection = out.recv().await.unwrap();
            faults.to_client().set_capacity(0);
            connection.send(&vec![7; 10_000]).await.unwrap();
            while !faults.dropped_by_server() {
                sim.pass(ms(500)).await;
            }
            assert_eq!(sim.now(), after);
        });
    }
}

#[test]
fn the_minimum_write_rate_of_a_route_applies() {
    for (rate, ends) in [(0, false), (100, true)] {
        let sim = Sim::default();
        let options = Options::default().ping_interval(None).write_timeout(s(3));
        let (route, out) = handing_out(options.clone().min_write_rate(rate));
        let net = start(&sim, |server| {
            server.options(options.min_write_rate(100 - rate)).websocket("/slow", route)
        });
        sim.run(async {
            let (_peer, faults) = open(&net, "/slow").await;
            let connection = out.recv().await.unwrap();
            faults.to_client().allow(0);
            connection.send(&vec![7; 10_000]).await.unwrap();
            for _ in 0..10 {
                sim.pass(s(1)).await;
                faults.to_client().allow(1);
            }
            assert_eq!(faults.dropped_by_server(), ends, "{rate} bytes per second");
        });
    }
}

/// Logs when each message was handled.
struct Times(Sim, Log);

impl Handler for Times {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.1.add(self.0.now().as_millis().to_string());
    }
}

#[test]
fn the_message_rate_of_a_route_applies() {
    let limited = Options::default().message_rate(Some(Rate { per_second: 10, burst: 1 }));
    let every_100_ms = ["0", "100", "200"];
    for (route, server, times) in [
        (Some(limited.clone()), Options::default(), every_100_ms),
        (None, limited.clone(), every_100_ms),
        (Some(Options::default()), limited, ["0", "0", "0"]),
    ] {
        let (sim, log) = (Sim::default(), Log::default());
        let timed = shared(Times(sim.clone(), log.clone()));
        let timed = match route {
            Some(options) => timed.options(options),
            None => timed,
        };
        let net = start(&sim, |it| it.options(server).websocket("/", timed));
        sim.run(async {
            let (mut peer, _) = open(&net, "/").await;
            peer.send_together(&["a", "b", "c"]).await;
            sim.pass(s(1)).await;
        });
        assert_eq!(log.lines(), times);
    }
}

#[test]
fn the_policy_for_slow_peers_and_the_mark_are_the_routes() {
    let sim = Sim::default();
    let options = || Options::default().ping_interval(None);
    let (strict, strict_out) =
        handing_out(options().high_water_mark(10).when_slow(WhenSlow::DropNewest));
    let (patient, patient_out) = handing_out(options());
    let close = options().high_water_mark(1).when_slow(WhenSlow::Close);
    let net = start(&sim, |server| {
        server.options(close).websocket("/strict", strict).websocket("/patient", patient)
    });
    sim.run(async {
        for (path, out, missed) in [("/strict", strict_out, 2), ("/patient", patient_out, 0)] {
            let (mut peer, faults) = open(&net, path).await;
            let connection = out.recv().await.unwrap();
            faults.to_client().set_capacity(0);
            for number in 0..3 {
                let sent = poll_once(connection.send(&format!("message {number}"))).await;
                assert_eq!(sent, Some(Ok(())), "{path}");
            }
            assert_eq!((connection.missed(), connection.is_full()), (missed, missed > 0), "{path}");
            faults.to_client().set_capacity(1000);
            assert_eq!(peer.next().await, text("message 0"));
        }
    });
}

#[test]
fn handshakes_have_the_limits_of_the_server() {
    let sim = Sim::default();
    let route = Options::default().handshake_timeout(s(1)).max_head_size(100).max_headers(1);
    let net = start(&sim, |server| {
        let server = server.options(Options::default().handshake_timeout(s(5)).max_head_size(500));
        let clock = sim.clone();
        let authorize = move |_: Request| {
            let wait = clock.sleep(s(9));
            async {
                wait.await;
                Ok::<_, Reply>(())
            }
        };
        let slow = shared(Echo).options(route.clone()).authorize(authorize);
        server.websocket("/chat", shared(Echo).options(route)).websocket("/slow", slow)
    });
    status(&sim, &net, "/chat", "", 101);
    status(&sim, &net, "/chat", &format!("X-A: {}\r\n", "x".repeat(500)), 431);
    status(&sim, &net, "/slow", "", 503);
    assert_eq!(sim.now(), s(5));
}

#[test]
fn the_mark_of_any_route_fits_into_the_budget() {
    let sim = Sim::default();
    let (route, out) = handing_out(Options::default().ping_interval(None).high_water_mark(1 << 20));
    let net = start(&sim, |server| {
        let options = ServerOptions::default().max_buffered(100_000);
        server.options(options).websocket("/deep", route)
    });
    sim.run(async {
        let mut all = Vec::new();
        for _ in 0..2 {
            let (peer, faults) = open(&net, "/deep").await;
            let connection = out.recv().await.unwrap();
            faults.to_client().set_capacity(0);
            connection.send(&vec![7; 400_000]).await.unwrap();
            sim.settle().await;
            all.push((peer, faults));
        }
        assert!(!all.iter().any(|(_, faults)| faults.dropped_by_server()));
    });
}
