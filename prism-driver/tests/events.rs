//! The events of connections and handlers, for subscribers of `tracing`.

use std::sync::Arc;

use futures_lite::AsyncWriteExt;
use prism_driver::{
    Connection, Disconnect, Handler, Message, Options, Runtime, Server, Traced, shared,
};
use prism_test::{Peer, Received, Sim};

use crate::common::{
    events::Events,
    handed_out,
    handlers::{Echo, Fragile},
    http::read_head,
    ms,
    net::{Net, PEER},
    s,
    site::{request, start},
};

/// Runs a server with this handler on `/rooms/{room}`.
fn serve(sim: &Sim, handler: impl Handler) -> Net {
    start(sim, |server: Server<Net>| {
        server.websocket("/rooms/{room}", shared(handler).subprotocols(["chat"]))
    })
}

async fn open(net: &Net) -> Peer {
    let (mut io, _) = net.connect_raw().unwrap();
    let offer = "Sec-WebSocket-Protocol: chat\r\n\r\n";
    let request = request("/rooms/secret?token=1").replace("\r\n\r\n", &format!("\r\n{offer}"));
    io.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut io).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Peer::new(io)
}

#[test]
fn a_connection_reports_how_it_opened_and_ended_and_what_it_carried() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = serve(&sim, Echo);
        sim.run(async {
            let mut peer = open(&net).await;
            peer.send("hello").await;
            peer.send("you").await;
            sim.pass(ms(1500)).await;
            peer.close(4000, "bye\r\nINFO all is well").await;
            peer.all().await;
            drop(peer);
            sim.settle().await;
        });
    });
    let opened = events.only("opened");
    assert_eq!(opened.kind, "DEBUG prism::connection");
    assert_eq!(opened.get("peer"), PEER);
    assert_eq!((opened.get("route"), opened.get("protocol")), ("/rooms/{room}", r#""chat""#));
    let ended = events.only("ended");
    assert_eq!((&ended.kind, ended.get("id")), (&opened.kind, opened.get("id")));
    assert_eq!((ended.get("kind"), ended.get("code")), ("peer", "4000"));
    assert_eq!(ended.get("reason"), r#""bye\r\nINFO all is well""#);
    assert_eq!(ended.get("lived_ms"), "1500");
    assert_eq!((ended.get("received_messages"), ended.get("sent_messages")), ("2", "2"));
    let close_frame = 6 + 2 + "bye\r\nINFO all is well".len();
    assert_eq!(ended.get("received_bytes"), (8 + 2 * 6 + close_frame).to_string());
    assert_eq!(ended.get("missed"), "0");
    assert!(events.spans().is_empty(), "there is no span for a connection");
}

#[test]
fn neither_the_path_nor_the_query_nor_a_payload_is_reported() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = serve(&sim, Echo);
        sim.run(async {
            let mut peer = open(&net).await;
            peer.send("my password").await;
            peer.next().await;
            drop(peer);
            sim.settle().await;
        });
    });
    let all = format!("{:?}", events.all());
    assert!(all.contains("/rooms/{room}"));
    for private in ["secret", "token", "password"] {
        assert!(!all.contains(private), "{all}");
    }
}

#[test]
fn a_failure_is_named() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = serve(&sim, Echo);
        sim.run(async {
            drop(open(&net).await);
            open(&net).await.raw(&[0xff; 20]).await;
            sim.pass(s(20)).await;
        });
    });
    let kinds: Vec<_> = events
        .named("ended")
        .iter()
        .map(|it| format!("{} {}", it.get("kind"), it.get("code")))
        .collect();
    assert_eq!(kinds, ["gone 1006", "protocol 1006"]);
}

#[test]
fn a_panic_of_a_handler_is_a_warning_with_its_route() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = serve(&sim, Fragile);
        sim.run(async {
            let mut peer = open(&net).await;
            peer.send("panic").await;
            peer.all().await;
        });
    });
    let panicked = events.only("panicked");
    assert_eq!(panicked.kind, "WARN prism::handler");
    assert_eq!(panicked.get("route"), "/rooms/{room}");
    assert_eq!(panicked.get("id"), events.only("opened").get("id"));
}

#[test]
fn pings_late_pongs_and_back_pressure_are_traced() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let mut options = Options::default();
        options.protocol.ping_interval = Some(s(20));
        let (mut peer, faults, _ended, connection) = handed_out(&sim, options);
        sim.run(async {
            sim.pass(s(20)).await;
            assert_eq!(events.named("ping sent").len(), 1);
            sim.pass(ms(900)).await;
            assert_eq!(peer.next().await, Received::Ping);
            sim.settle().await;
            assert!(events.named("pong late").is_empty());
            sim.pass(ms(19_100 + 1500)).await;
            assert_eq!(peer.next().await, Received::Ping);
            sim.settle().await;
            assert_eq!(events.only("pong late").get("round_trip_ms"), "1500");

            faults.to_client().stall();
            connection.try_send("waits").unwrap();
            sim.settle().await;
            assert_eq!(events.only("back-pressure began").get("buffered"), "7");
            assert!(events.named("back-pressure ended").is_empty());
            faults.to_client().resume();
            sim.settle().await;
        });
    });
    for message in ["pong late", "back-pressure began", "back-pressure ended"] {
        let event = events.only(message);
        assert_eq!(event.kind, "TRACE prism::connection");
        assert_eq!(event.get("id"), events.only("opened").get("id"));
    }
}

/// Emits an event in each method, before and after it waits.
struct Logging(Net);

impl Logging {
    async fn log(&self, method: &str) {
        tracing::info!(target: "test", method, "before");
        self.0.sleep(ms(1)).await;
        tracing::info!(target: "test", method, "after");
    }
}

impl Handler for Logging {
    async fn on_connect(&self, connection: &Connection) {
        self.log("on_connect").await;
        connection.ping(b"now").unwrap();
    }

    fn on_message(&self, _: &Connection, message: Message<'_>) -> impl Future<Output = ()> + Send {
        assert_eq!(message, Message::Text("hello"));
        tracing::info!(target: "test", method = "on_message", "makes its future");
        self.log("on_message")
    }

    async fn on_pong(&self, _: &Connection, payload: &[u8]) {
        assert_eq!(payload, b"now");
        self.log("on_pong").await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        assert_eq!(reason.code(), 1000);
        self.log("on_disconnect").await;
    }
}

#[test]
fn a_traced_handler_runs_each_method_in_a_span_of_its_own() {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = Net::new(&sim);
        net.serve(|server| {
            server.websocket("/rooms/{room}", Traced(Arc::new(Logging(net.clone()))))
        });
        sim.run(async {
            let (mut io, _) = net.connect_raw().unwrap();
            io.write_all(request("/rooms/secret").as_bytes()).await.unwrap();
            read_head(&mut io).await;
            let mut peer = Peer::new(io);
            assert_eq!(peer.next().await, Received::Ping);
            peer.send("hello").await;
            sim.pass(ms(10)).await;
            peer.close(1000, "").await;
            peer.all().await;
            sim.pass(s(10)).await;
        });
    });
    let methods = ["on_connect", "on_pong", "on_message", "on_disconnect"];
    assert_eq!(events.spans().iter().map(|it| &*it.message).collect::<Vec<_>>(), methods);
    for span in events.spans() {
        assert_eq!(span.kind, "INFO prism::handler");
        assert_eq!(span.get("route"), "/rooms/{room}");
        assert_eq!(span.get("id"), events.only("opened").get("id"));
    }
    let logged: Vec<_> = events.all().into_iter().filter(|it| it.kind == "INFO test").collect();
    assert_eq!(logged.len(), 9);
    for event in logged {
        assert_eq!(event.span.as_deref(), Some(event.get("method")));
    }
    assert_eq!(events.only("ended").span, None);
}
