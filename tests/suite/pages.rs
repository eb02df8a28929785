//! Plain HTTP at a WebSocket server: pages, and malformed requests.

use super::support::{
    handlers::Echo,
    head::Head,
    peer::{Peer, TEXT},
    server::{TestServer, serve},
};
use crate::prism::Reply;

fn site() -> TestServer {
    serve(|server| {
        let server = server.get("/", |_| Reply::html("<p>welcome"));
        let greeting = |name: &str| format!("hello, {name}");
        let server = server.get("/hello", move |request| {
            Reply::text(200, greeting(request.query().unwrap_or("?")))
        });
        server
            .get("/cached", |_| {
                Reply::text(404, "for a minute")
                    .header("Cache-Control", "max-age=60")
                    .expect("a header")
            })
            .get("/both", |_| Reply::text(200, "a page"))
            .websocket("/both", Echo)
            .websocket("/ws", Echo)
    })
}

#[track_caller]
fn ask(server: &TestServer, request: &str) -> (Head, String) {
    let mut peer = server.dial();
    peer.write(request.as_bytes());
    peer.response()
}

#[track_caller]
fn ask_for(server: &TestServer, first_line: &str) -> (Head, String) {
    ask(server, &format!("{first_line} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn a_page_is_served_with_its_length_and_type() {
    let (head, body) = ask_for(&site(), "GET /");
    assert_eq!(head.status, 200);
    assert_eq!(head.field("Content-Length"), Some("10"));
    assert_eq!(head.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(head.field("Connection"), Some("close"));
    assert_eq!(body, "<p>welcome");
}

#[test]
fn a_head_request_gets_only_the_head() {
    let (head, body) = ask_for(&site(), "HEAD /");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("10")));
    assert_eq!(body, "");
    let (head, body) = ask_for(&site(), "HEAD /nowhere");
    assert_eq!((head.status, body.as_str()), (404, ""));
}

#[test]
fn only_refusals_get_no_store_by_default() {
    let server = site();
    for (line, value) in [
        ("GET /nowhere", Some("no-store")),
        ("POST /", Some("no-store")),
        ("GET /ws", Some("no-store")),
        ("GET / HTTP/1.0", Some("no-store")),
        ("GET /", None),
        ("GET /cached", Some("max-age=60")),
    ] {
        assert_eq!(ask_for(&server, line).0.field("Cache-Control"), value, "{line}");
    }
}

#[test]
fn a_panicking_page_gets_500_and_the_server_survives() {
    let server = serve(|server| {
        server.get("/", |_| -> Reply { panic!("on purpose") }).websocket("/ws", Echo)
    });
    assert_eq!(ask_for(&server, "GET /").0.status, 500);
    let mut peer = server.open("/ws");
    peer.send(TEXT, b"still here");
    peer.expect(TEXT, b"still here");
}

#[test]
fn a_page_sees_its_request() {
    let (_, body) = ask_for(&site(), "GET /hello?ada");
    assert_eq!(body, "hello, ada");
}

#[test]
fn an_unknown_path_gets_404() {
    let server = site();
    for path in ["/nowhere", "/ws/", "/hello/", "//"] {
        assert_eq!(ask_for(&server, &format!("GET {path}")).0.status, 404, "{path}");
    }
}

#[test]
fn an_unsupported_method_gets_405_with_allow() {
    let server = site();
    for method in ["POST", "PUT", "DELETE", "get"] {
        let (head, _) = ask_for(&server, &format!("{method} /"));
        let allowed = Some("GET, HEAD, OPTIONS");
        assert_eq!((head.status, head.field("Allow")), (405, allowed), "{method}");
    }
    let request = Peer::request("/ws").replacen("GET", "POST", 1);
    let (head, _) = ask(&server, &request);
    assert_eq!((head.status, head.field("Allow")), (405, Some("GET, OPTIONS")));
}

#[test]
fn a_plain_request_to_a_websocket_gets_426_with_upgrade() {
    let (head, _) = ask_for(&site(), "GET /ws");
    assert_eq!((head.status, head.field("Upgrade")), (426, Some("websocket")));
}

#[test]
fn an_unsupported_version_gets_426_with_the_supported_one() {
    let (head, _) = ask(&site(), &Peer::request("/ws").replace(": 13", ": 8"));
    assert_eq!((head.status, head.field("Sec-WebSocket-Version")), (426, Some("13")));
}

#[test]
fn a_path_can_be_both_a_page_and_a_websocket() {
    let server = site();
    let (head, body) = ask_for(&server, "GET /both");
    assert_eq!((head.status, body.as_str()), (200, "a page"));
    let mut peer = server.open("/both");
    peer.send(TEXT, b"a socket");
    peer.expect(TEXT, b"a socket");
}

#[test]
fn malformed_requests_get_the_right_status() {
    let server = site();
    let good = Peer::request("/ws");
    let bad = [
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\r\n\r\n".to_owned(), 400), // TLS to a plain port
        (good.replace("HTTP/1.1", "HTTP/2.0"), 505),
        (good.replace("Host: localhost\r\n", ""), 400),
        (good.replace("bXBsZSBub25jZQ==", ""), 400),
        (
            good.replace("Host", "X-Big: ".to_owned().as_str())
                .replace("localhost", &"x".repeat(17 << 10)),
            431,
        ),
        (good.replacen("\r\n", &("\r\n".to_owned() + &"X-Many: 1\r\n".repeat(100)), 1), 431),
    ];
    for (request, status) in bad {
        let (head, body) = ask(&server, &request);
        assert_eq!(head.status, status, "{:.60}: {body}", request);
        assert!(!body.is_empty(), "{status} without an explanation");
    }
    // The server still works.
    let mut peer = server.open("/ws");
    peer.send(TEXT, b"good");
    peer.expect(TEXT, b"good");
}

#[test]
fn a_request_with_a_large_body_still_gets_its_answer() {
    const PIECE: usize = 16 << 10;
    let server = site();
    let mut peer = server.dial();
    let head =
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 16 * PIECE);
    peer.write(head.as_bytes());
    assert_eq!(peer.head().status, 405);
    // The response is complete. If the server closed its socket now, the rest of the body would be
    // answered with a reset, and the client could lose the response.
    for _ in 0..16 {
        peer.write(&[b'x'; PIECE]);
    }
    peer.expect_disconnect();
}
