//! Proxies between a server and its clients: they speak HTTP/1.0, check the server's health, and
//! add header lines of their own.

use std::thread;

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    head::Head,
    peer::{Peer, TEXT},
    server::{TestServer, listen, serve, serve_at},
};
use crate::prism::{self, ConnectError, Connection, Handler, Message, Reply, Request};

fn site() -> TestServer {
    serve(|server| {
        let server = server.get("/", |_| Reply::html("<p>welcome")).websocket("/ws", Echo);
        server.get("/both", |_| Reply::text(200, "a page")).websocket("/both", Echo)
    })
}

#[track_caller]
fn ask(server: &TestServer, request: &str) -> (Head, String) {
    let mut peer = server.dial();
    peer.write(request.as_bytes());
    peer.response()
}

#[test]
fn a_page_is_served_to_http_1_0_without_a_host() {
    let server = site();
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let (head, body) = ask(&server, request);
        assert_eq!((head.status, body.as_str()), (200, "<p>welcome"), "{request}");
        assert_eq!(head.field("Content-Length"), Some("10"), "{request}");
        assert_eq!(head.field("Connection"), Some("close"), "{request}");
    }
    let (head, body) = ask(&server, "HEAD / HTTP/1.0\r\n\r\n");
    assert_eq!((head.status, body.as_str()), (200, ""));
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
    ] {
        assert_eq!(ask(&server, request).0.status, 400, "{request}");
    }
    assert_eq!(ask(&server, "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n").0.status, 505);
}

#[test]
fn an_http_1_0_upgrade_gets_426_with_the_required_version() {
    let server = site();
    let old = |path| Peer::request(path).replace("HTTP/1.1", "HTTP/1.0");
    for request in [old("/ws"), "GET /ws HTTP/1.0\r\n\r\n".to_owned()] {
        let (head, body) = ask(&server, &request);
        assert_eq!((head.status, head.field("Upgrade")), (426, Some("websocket")), "{request}");
        assert!(body.contains("expected HTTP/1.1"), "{body}");
    }
    let (head, body) = ask(&server, &old("/both"));
    assert_eq!((head.status, body.as_str()), (200, "a page"));
}

#[test]
fn options_lists_the_allowed_methods() {
    let server = site();
    for (target, methods) in [
        ("/", "GET, HEAD, OPTIONS"),
        ("/ws", "GET, OPTIONS"),
        ("/both", "GET, HEAD, OPTIONS"),
        ("*", "GET, HEAD, OPTIONS"),
    ] {
        for request in [
            format!("OPTIONS {target} HTTP/1.0\r\n\r\n"),
            format!("OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ] {
            let (head, body) = ask(&server, &request);
            assert_eq!((head.status, body.as_str()), (204, ""), "{request}");
            assert_eq!(head.field("Allow"), Some(methods), "{request}");
        }
        if target != "*" {
            let request = format!("DELETE {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let (head, _) = ask(&server, &request);
            assert_eq!((head.status, head.field("Allow")), (405, Some(methods)), "{target}");
        }
    }
    assert_eq!(ask(&server, "OPTIONS /nowhere HTTP/1.0\r\n\r\n").0.status, 404);
    assert_eq!(ask(&server, "GET * HTTP/1.0\r\n\r\n").0.status, 400);
    let counts = server.stats().counts();
    assert_eq!((counts.pages, counts.refused.bad_request, counts.refused.not_found), (8, 4, 1));
}

/// Headers of a client that forges the line of its proxy, and sends its cookies in two lines.
const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\n";
const ADDED: &str = "X-Forwarded-For: 203.0.113.9\r\ncookie: session=c\r\n";

/// Sends the relevant headers of its request in its first message.
struct HeaderEcho;

impl Handler for HeaderEcho {
    async fn on_connect(&self, connection: &Connection) {
        let header = |name| connection.header(name).unwrap_or_default();
        let lines = connection.header_all("X-Forwarded-For").join(" | ");
        let (address, cookies) = (header("X-Forwarded-For"), header("Cookie"));
        let _ = connection.send(&format!("{address}; {lines}; {cookies}")).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

async fn require_session(request: Request) -> Result<(), Reply> {
    let cookies = request.header("cookie");
    if cookies.as_deref() == Some("a=b; session=c") { Ok(()) } else { Err(Reply::new(401)) }
}

#[test]
fn handlers_pages_and_authorization_see_all_header_lines() {
    let server = serve(|server| {
        server.authorize(require_session).websocket("/ws", HeaderEcho).get("/", |request| {
            let header = request.header("X-FORWARDED-FOR").unwrap_or_default();
            Reply::text(200, header.into_owned())
        })
    });
    let mut peer = server.dial();
    let request = Peer::request("/ws").replacen("\r\n", &format!("\r\n{FORGED}{ADDED}"), 1);
    peer.write(request.as_bytes());
    assert_eq!(peer.head().status, 101);
    let addresses = "6.6.6.6, 203.0.113.9; 6.6.6.6 | 203.0.113.9";
    peer.expect(TEXT, format!("{addresses}; a=b; session=c").as_bytes());

    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{FORGED}{ADDED}\r\n");
    assert_eq!(ask(&server, &request).1, "6.6.6.6, 203.0.113.9");
}

#[test]
fn a_client_sees_all_header_lines() {
    let lines = "Set-Cookie: a=b; Expires=Thu, 01 Jan 2037 00:00:00 GMT\r\nX: 1\r\n\
                 set-cookie: c=d\r\nX: 2\r\n\r\n";
    let cookies = ["a=b; Expires=Thu, 01 Jan 2037 00:00:00 GMT", "c=d"];
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let answer = Peer::upgrade_response(&request);
        peer.write(format!("{}{lines}", answer.strip_suffix("\r\n").expect("a head")).as_bytes());
        peer.close_and_expect_disconnect();
        let (mut peer, _) = Peer::accept(&listener);
        peer.write(format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n{lines}").as_bytes());
        peer.expect_disconnect();
    });
    let socket = block_on(prism::connect(&url)).expect("a connection");
    assert_eq!(socket.header("x").as_deref(), Some("1, 2"));
    assert!(socket.header_all("Set-Cookie").eq(cookies));
    drop(socket);
    let outcome = block_on(prism::connect(&url)).map(drop);
    let Err(ConnectError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.header("x").as_deref(), Some("1, 2"));
    assert!(refusal.header_all("Set-Cookie").eq(cookies));
    assert_eq!((refusal.header("y"), refusal.header_all("y").count()), (None, 0));
    server.join().expect("the client disconnects");
}

/// Listens on an IPv6 socket that accepts IPv4, like a listener on `[::]`.
#[test]
fn an_ipv4_peer_of_an_ipv6_listener_has_an_ipv4_address() {
    let (recorder, events) = recorder();
    let server = serve_at("[::ffff:127.0.0.1]:0", |server| server.websocket("/", recorder));
    let peer = server.open("/");
    let port = peer.stream.local_addr().expect("a connected socket").port();
    let connection = events.connected();
    assert_eq!(connection.peer_addr(), Some(([127, 0, 0, 1], port).into()));
    assert!(format!("{connection:?}").contains("127.0.0.1"), "{connection:?}");
    assert!(!format!("{connection:?}").contains("ffff"), "{connection:?}");
}
