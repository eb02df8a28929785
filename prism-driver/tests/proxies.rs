//! `trust_proxies`: the client that a trusted proxy names is the peer, everywhere. Nobody else can name one.

use futures_lite::AsyncWriteExt;
use prism_driver::{
    Connection, ForwardedHeader, Handler, Message, Reply, Request, Server, ServerStats,
};
use prism_test::{Peer, Sim};

use crate::common::{
    http::{read_head, read_to_end},
    net::{Net, PEER},
    site::{request, start},
    text,
};

/// Sends the address of its peer.
struct Greeter;

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        connection.send(format!("{:?}", connection.peer_addr())).await.unwrap();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Starts a server that trusts these proxies. Its page has the address of its peer, and `/chat` tells it in a header
/// and in a message.
fn server(sim: &Sim, header: ForwardedHeader, proxies: &[&str]) -> (Net, ServerStats) {
    let mut stats = None;
    let net = start(sim, |server: Server<Net>| {
        stats = Some(server.stats());
        server
            .trust_proxies(header, proxies)
            .unwrap()
            .authorize(async |request: Request| {
                let seen = prism_driver::Authorized::default();
                Ok(seen.header("X-Seen", &request.peer_addr().to_string()).unwrap())
            })
            .get("/", |request| Reply::text(200, request.peer_addr().to_string()))
            .websocket("/chat", Greeter)
    });
    (net, stats.expect("the server was set up"))
}

/// Requests the page from this address, with these header lines. Returns the whole answer.
async fn page(net: &Net, peer: &str, lines: &str) -> String {
    let (mut io, _) = net.connect_from(peer).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut io).await
}

#[track_caller]
fn seen(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    body
}

const XFF: ForwardedHeader = ForwardedHeader::XForwardedFor;

#[test]
fn the_rightmost_untrusted_address_is_the_client() {
    let sim = Sim::default();
    let (net, _) = server(&sim, XFF, &["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
    for (lines, client) in [
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"),
        ("x-forwarded-for: 192.0.2.1:4711\r\n", "192.0.2.1:4711"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.2.3, fd00::9\r\n", "192.0.2.1:0"),
        // Lines are in the order in which the proxies have added them.
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n", "192.0.2.1:0"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "[2001:db8::1]:0"),
        // An IPv4-mapped address is an IPv4 address, as a client and as a proxy.
        ("X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.1\r\n", "192.0.2.1:0"),
        // All are proxies: the first one is the client.
        ("X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1:0"),
        // No client is named, for example in a health check.
        ("", PEER),
        ("X-Forwarded-For:\r\n", PEER),
        // The proxy does not tell.
        ("X-Forwarded-For: 192.0.2.1, unknown\r\n", PEER),
        ("X-Forwarded-For: 192.0.2.1, _secret, 10.0.0.2\r\n", "10.0.0.2:0"),
        // What a client has forged need not be well-formed.
        ("X-Forwarded-For: <faults>, ,\"\u{e9}, 192.0.2.1\r\n", "192.0.2.1:0"),
        // The header that was not chosen.
        ("Forwarded: for=6.6.6.6\r\n", PEER),
        (
            "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 6.6.6.6\r\n",
            "192.0.2.1:0",
        ),
    ] {
        let answer = sim.run(page(&net, PEER, lines));
        assert_eq!(seen(&answer), client, "{lines}");
    }
}

#[test]
fn the_standard_header_is_read_if_it_is_chosen() {
    let sim = Sim::default();
    let (net, _) = server(&sim, ForwardedHeader::Forwarded, &["127.0.0.1", "10.0.0.0/8"]);
    for (lines, client) in [
        (
            "Forwarded: for=6.6.6.6, For=\"[2001:db8::1]:4711\";proto=https\r\n",
            "[2001:db8::1]:4711",
        ),
        ("Forwarded: for=192.0.2.1\r\nforwarded: by=_x;for=10.0.0.1\r\n", "192.0.2.1:0"),
        ("Forwarded: for=\"6.6.6.6\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1:0"),
        ("Forwarded: for=192.0.2.1, for=unknown\r\n", PEER),
        ("Forwarded: for=192.0.2.1, proto=https\r\n", PEER),
        ("X-Forwarded-For: 6.6.6.6\r\n", PEER),
    ] {
        let answer = sim.run(page(&net, PEER, lines));
        assert_eq!(seen(&answer), client, "{lines}");
    }
}

#[test]
fn a_header_of_an_untrusted_peer_changes_nothing() {
    for header in [XFF, ForwardedHeader::Forwarded] {
        let sim = Sim::default();
        let (net, stats) = server(&sim, header, &["10.0.0.0/8"]);
        for lines in [
            "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n",
            "X-Forwarded-For: 6.6.6.6, 10.0.0.1\r\nForwarded: for=6.6.6.6, for=10.0.0.1\r\n",
            "X-Forwarded-For: nonsense\r\nForwarded: \"\r\n",
        ] {
            for peer in ["192.0.2.7:1234", "[2001:db8::7]:1234", PEER] {
                let answer = sim.run(page(&net, peer, lines));
                assert_eq!(seen(&answer), peer, "{lines}");
            }
        }
        assert_eq!(stats.counts().refused.total(), 0);
    }
}

#[test]
fn a_malformed_header_of_a_trusted_proxy_is_refused_and_counted() {
    for (header, lines, expected) in [
        (XFF, "X-Forwarded-For: 192.0.2.1, nonsense\r\n", "a list of IP addresses"),
        (XFF, "X-Forwarded-For: nonsense, 10.0.0.1\r\n", "a list of IP addresses"),
        (ForwardedHeader::Forwarded, "Forwarded: 192.0.2.1\r\n", "for=192.0.2.1"),
        (
            ForwardedHeader::Forwarded,
            "Forwarded: for=\"6.6.6.6, for=192.0.2.1\r\n",
            "for=192.0.2.1",
        ),
    ] {
        let sim = Sim::default();
        let (net, stats) = server(&sim, header, &["127.0.0.1", "10.0.0.0/8"]);
        let answer = sim.run(page(&net, PEER, lines));
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(expected), "{answer}");
        assert!(!answer.contains("nonsense"), "{answer}");
        let refused = stats.counts().refused;
        assert_eq!((refused.bad_proxy_header, refused.bad_request, refused.total()), (1, 0, 1));
    }
}

#[test]
fn authorization_and_connections_see_the_client() {
    let sim = Sim::default();
    let (net, _) = server(&sim, XFF, &["127.0.0.1"]);
    sim.run(async {
        for (peer, client) in [(PEER, "192.0.2.1:0"), ("192.0.2.9:7", "192.0.2.9:7")] {
            let (mut io, _) = net.connect_from(peer).unwrap();
            let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n";
            let request = request("/chat").replace("X-Token: abc\r\n", lines);
            io.write_all(request.as_bytes()).await.unwrap();
            let head = read_head(&mut io).await;
            assert!(head.contains(&format!("\r\nX-Seen: {client}\r\n")), "{head}");
            assert_eq!(Peer::new(io).next().await, text(&format!("Some({client})")));
        }
    });
}

#[test]
fn a_peer_of_a_dual_stack_listener_is_known_by_its_ipv4_address() {
    let sim = Sim::default();
    let (net, _) = server(&sim, XFF, &["10.0.0.0/8"]);
    let lines = "X-Forwarded-For: 192.0.2.1\r\n";
    let answer = sim.run(page(&net, "[::ffff:10.0.0.1]:80", lines));
    assert_eq!(seen(&answer), "192.0.2.1:0");
    let answer = sim.run(page(&net, "[::ffff:11.0.0.1]:80", lines));
    assert_eq!(seen(&answer), "11.0.0.1:80");
}

#[test]
fn a_network_that_is_none_is_an_error() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let server = || sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let error = server().trust_proxies(XFF, ["10.0.0.0/8", "example.org"]).map(drop).unwrap_err();
    assert!(error.to_string().contains("\"example.org\" is not a network"), "{error}");
    let error = server().proxy_protocol(["10.0.0.1/8"]).map(drop).unwrap_err();
    assert!(error.to_string().contains("\"10.0.0.1/8\" is not a network"), "{error}");
}
