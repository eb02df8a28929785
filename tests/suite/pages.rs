//! Plain HTTP at a WebSocket server: pages, and requests that are no good.

use super::support::{
    handlers::Echo,
    head::Head,
    peer::{Peer, TEXT},
    server::{Running, serve},
};
use crate::prism::Reply;

fn site() -> Running {
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
fn ask(server: &Running, request: &str) -> (Head, String) {
    let mut peer = server.dial();
    peer.write(request.as_bytes());
    peer.answer()
}

#[track_caller]
fn ask_for(server: &Running, first_line: &str) -> (Head, String) {
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
fn a_head_request_gets_the_head_alone() {
    let (head, body) = ask_for(&site(), "HEAD /");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("10")));
    assert_eq!(body, "");
    let (head, body) = ask_for(&site(), "HEAD /nowhere");
    assert_eq!((head.status, body.as_str()), (404, ""));
}

#[test]
fn a_refusal_is_not_to_be_stored_and_a_page_is_what_it_says() {
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
fn a_page_that_panics_is_answered_with_500_and_the_server_lives() {
    let server = serve(|server| server.get("/", |_| panic!("on purpose")).websocket("/ws", Echo));
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
fn an_unknown_path_is_404() {
    let server = site();
    for path in ["/nowhere", "/ws/", "/hello/", "//"] {
        assert_eq!(ask_for(&server, &format!("GET {path}")).0.status, 404, "{path}");
    }
}

#[test]
fn a_method_that_a_page_does_not_have_is_405_and_says_which_it_has() {
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
fn a_plain_request_for_a_web_socket_is_426_and_says_what_to_upgrade_to() {
    let (head, _) = ask_for(&site(), "GET /ws");
    assert_eq!((head.status, head.field("Upgrade")), (426, Some("websocket")));
}

#[test]
fn another_version_is_426_and_is_told_ours() {
    let (head, _) = ask(&site(), &Peer::request("/ws").replace(": 13", ": 8"));
    assert_eq!((head.status, head.field("Sec-WebSocket-Version")), (426, Some("13")));
}

#[test]
fn a_path_can_be_a_page_and_a_web_socket() {
    let server = site();
    let (head, body) = ask_for(&server, "GET /both");
    assert_eq!((head.status, body.as_str()), (200, "a page"));
    let mut peer = server.open("/both");
    peer.send(TEXT, b"a socket");
    peer.expect(TEXT, b"a socket");
}

#[test]
fn what_is_no_good_request_is_told_so() {
    let server = site();
    let good = Peer::request("/ws");
    let bad = [
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\r\n\r\n".to_owned(), 400), // TLS, to a plain port
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
        assert!(!body.is_empty(), "{status} says why");
    }
    // And the server goes on.
    let mut peer = server.open("/ws");
    peer.send(TEXT, b"good");
    peer.expect(TEXT, b"good");
}

#[test]
fn a_request_with_a_large_body_gets_to_send_it_and_to_read_its_answer() {
    const PIECE: usize = 16 << 10;
    let server = site();
    let mut peer = server.dial();
    let head =
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 16 * PIECE);
    peer.write(head.as_bytes());
    assert_eq!(peer.head().status, 405);
    // The server has said all that it has to say. Left now, it would answer the rest with a reset.
    for _ in 0..16 {
        peer.write(&[b'x'; PIECE]);
    }
    peer.expect_gone();
}
