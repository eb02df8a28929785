//! `max_connections_per_ip`: how many connections one address may have.

use futures_lite::AsyncWriteExt;
use prism_driver::{
    Connection, ForwardedHeader, Handler, Message, Reply, Runtime, Server, ServerOptions,
    ServerStats,
};
use prism_test::{Peer, PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::{REQUEST, read_head, read_to_end, shake_hands},
    ms,
    net::{Net, PEER},
    s,
    site::start,
};

/// Ends its connection as the message says.
struct Ending;

impl Handler for Ending {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        match message {
            Message::Text("panic") => panic!("on purpose"),
            Message::Text("abort") => connection.abort(),
            _ => {}
        }
    }
}

/// Starts a server with this limit.
fn server(
    sim: &Sim,
    options: ServerOptions,
    set: impl FnOnce(Server<Net>) -> Server<Net>,
) -> (Net, ServerStats) {
    let mut stats = None;
    let net = start(sim, |server: Server<Net>| {
        stats = Some(server.stats());
        let server = server.options(options).websocket("/chat", Echo).websocket("/end", Ending);
        set(server.get("/", |_| Reply::text(200, "a page")))
    });
    (net, stats.expect("the server was set up"))
}

fn limit(count: usize) -> ServerOptions {
    ServerOptions::default().max_connections_per_ip(Some(count))
}

fn connect(net: &Net, peer: &str) -> PipeEnd {
    net.connect_from(peer).unwrap().0
}

async fn open(net: &Net, peer: &str) -> Peer {
    shake_hands(connect(net, peer)).await
}

/// Requests a connection from this address, with these bytes before the request. Returns the head of the answer.
async fn ask(net: &Net, peer: &str, before: &str, lines: &str) -> (String, PipeEnd) {
    let mut io = connect(net, peer);
    let request = REQUEST.replace("X-Token: abc\r\n", lines);
    io.write_all(format!("{before}{request}").as_bytes()).await.unwrap();
    (read_head(&mut io).await, io)
}

#[track_caller]
fn assert_status(head: &str, status: u16) {
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
}

#[test]
fn one_connection_too_many_gets_429_and_other_addresses_none() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(2), |server| server);
    sim.run(async {
        let first = open(&net, "192.0.2.1:1").await;
        let _second = open(&net, "192.0.2.1:2").await;
        let mut third = connect(&net, "192.0.2.1:3");
        third.write_all(REQUEST.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut third).await;
        assert_status(&answer, 429);
        assert!(answer.contains("too many connections from this address"), "{answer}");
        let _other = open(&net, "192.0.2.2:1").await;
        let counts = stats.counts();
        assert_eq!((counts.open, counts.refused.too_many_connections), (3, 1));
        assert_eq!(counts.refused.total(), 1);

        drop(first);
        sim.pass(s(6)).await;
        let _again = open(&net, "192.0.2.1:4").await;
        assert_eq!(stats.counts().open, 3);
    });
}

#[test]
fn there_is_no_limit_by_default() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, ServerOptions::default(), |server| server);
    sim.run(async {
        let mut all = Vec::new();
        for _ in 0..2000 {
            all.push(open(&net, PEER).await);
        }
        assert_eq!(stats.counts().open, 2000);
    });
}

#[test]
fn ipv6_addresses_with_the_same_64_bits_count_together() {
    let sim = Sim::default();
    let (net, _) = server(&sim, limit(1), |server| server);
    sim.run(async {
        let _first = open(&net, "[2001:db8:0:1::1]:1").await;
        assert_status(&ask(&net, "[2001:db8:0:1:ffff::2]:2", "", "").await.0, 429);
        let _next = open(&net, "[2001:db8:0:2::1]:3").await;
        // An IPv4-mapped address is an IPv4 address.
        let _mapped = open(&net, "[::ffff:192.0.2.1]:4").await;
        let _other = open(&net, "[::ffff:192.0.2.2]:5").await;
        assert_status(&ask(&net, "192.0.2.1:6", "", "").await.0, 429);
    });
}

#[test]
fn handshakes_and_pages_count_until_they_end() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(2), |server| server);
    sim.run(async {
        let silent = connect(&net, "192.0.2.1:1");
        let mut page = connect(&net, "192.0.2.1:2");
        page.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_status(&read_to_end(&mut page).await, 200);
        // The page is sent, but its peer has not left.
        assert_status(&ask(&net, "192.0.2.1:3", "", "").await.0, 429);
        drop((silent, page));
        sim.settle().await;
        let _both = (open(&net, "192.0.2.1:4").await, open(&net, "192.0.2.1:5").await);
        assert_eq!(stats.counts().refused.too_many_connections, 1);
    });
}

#[test]
fn while_as_many_are_refused_further_ones_get_no_answer() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(2).max_handshakes(5), |server| server);
    sim.run(async {
        let good = connect(&net, "192.0.2.9:1");
        let mut flood: Vec<_> = (1..=1000).map(|_| connect(&net, "192.0.2.1:1")).collect();
        sim.settle().await;
        let counts = stats.counts();
        assert_eq!((counts.accepted, counts.in_handshake), (1001, 3));
        assert_eq!(counts.refused.too_many_connections, 998);
        for refused in &mut flood[2..4] {
            assert_status(&read_head(refused).await, 429);
        }
        for dropped in &mut flood[4..] {
            assert_eq!(read_to_end(dropped).await, "");
        }
        // Others are not evicted for them.
        let _good = shake_hands(good).await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (s(0), 0));
        // The refused ones are dropped as any others, and then there is room for more.
        sim.pass(s(5)).await;
        assert_status(&ask(&net, "192.0.2.1:1", "", "").await.0, 429);
    });
}

#[test]
fn other_tasks_get_a_turn_after_each_connection_without_an_answer() {
    let sim = Sim::default();
    let (net, _) = server(&sim, limit(1), |server| server);
    let _first = [(); 2].map(|()| connect(&net, "192.0.2.1:1"));
    sim.run(sim.settle());
    let _flood: Vec<_> = (0..100).map(|_| connect(&net, "192.0.2.1:1")).collect();
    let mut accepted = net.accepted();
    while sim.tick() {
        assert!(net.accepted() <= accepted + 1, "{} at once", net.accepted() - accepted);
        accepted = net.accepted();
    }
    assert_eq!(accepted, 102);
}

#[test]
fn an_evicted_handshake_frees_its_place() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(1).max_handshakes(1), |server| server);
    sim.run(async {
        let _silent = connect(&net, "192.0.2.1:1");
        sim.settle().await;
        let _other = open(&net, "192.0.2.2:1").await;
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 1));
        let _again = open(&net, "192.0.2.1:2").await;
    });
}

#[test]
fn a_connection_frees_its_place_however_it_ends() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(1), |server| server);
    sim.run(async {
        for message in ["panic", "abort", "disconnect", "panic"] {
            let mut io = connect(&net, "192.0.2.1:1");
            io.write_all(REQUEST.replace("/chat?room=1", "/end").as_bytes()).await.unwrap();
            assert_status(&read_head(&mut io).await, 101);
            assert_status(&ask(&net, "192.0.2.1:2", "", "").await.0, 429);
            let mut peer = Peer::new(io);
            peer.send(message).await;
            drop(peer);
            sim.pass(s(6)).await;
            assert_eq!(stats.counts().open, 0, "{message}");
        }
        let _last = open(&net, "192.0.2.1:3").await;
    });
}

#[test]
fn behind_proxies_the_clients_address_counts() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, limit(1), |server| {
        let server = server.trust_proxies(ForwardedHeader::XForwardedFor, ["127.0.0.1"]).unwrap();
        server.proxy_protocol(["10.0.0.1"]).unwrap()
    });
    let from = |client: &str| format!("X-Forwarded-For: {client}\r\n");
    let v1 = |client: &str| format!("PROXY TCP4 {client} 127.0.0.1 1 80\r\n");
    sim.run(async {
        let (head, _first) = ask(&net, PEER, "", &from("192.0.2.1")).await;
        assert_status(&head, 101);
        let (head, _second) = ask(&net, "10.0.0.1:1", &v1("192.0.2.2"), "").await;
        assert_status(&head, 101);
        // From wherever it comes.
        for client in ["192.0.2.1", "192.0.2.2"] {
            assert_status(&ask(&net, PEER, "", &from(client)).await.0, 429);
            sim.settle().await;
            assert_status(&ask(&net, "10.0.0.1:1", &v1(client), "").await.0, 429);
            sim.settle().await;
            assert_status(&ask(&net, &format!("{client}:1"), "", "").await.0, 429);
            sim.settle().await;
        }
        // Through the PROXY protocol, the refusal does not wait for the request.
        let mut io = connect(&net, "10.0.0.1:1");
        io.write_all(v1("192.0.2.1").as_bytes()).await.unwrap();
        assert_status(&read_head(&mut io).await, 429);
        assert_eq!(stats.counts().refused.too_many_connections, 7);
        // A proxy that does not name its client is not limited.
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(open(&net, PEER).await);
        }
        drop((_first, _second, all));
        sim.pass(s(6)).await;
        assert_eq!(stats.counts().open, 0);
        let (head, _again) = ask(&net, "10.0.0.1:1", &v1("192.0.2.1"), "").await;
        assert_status(&head, 101);
        let (head, _again) = ask(&net, "192.0.2.2:1", "", "").await;
        assert_status(&head, 101);
    });
}
