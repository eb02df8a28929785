//! Pages of other sites that open connections on behalf of a user (RFC 6455 §10.2).

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    peer::{Peer, TEXT},
    server::serve,
};
use crate::prism::{Origins, Reply, Request};

const OURS: &str = "https://app.example:8443";

const REFUSAL: &str = "pages of this origin may not connect here";

fn request_from(origins: &[&str]) -> String {
    let lines: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
    Peer::request("/").replacen("\r\n", &format!("\r\n{lines}"), 1)
}

#[test]
fn lookalike_origins_are_refused_before_the_101() {
    let (recorder, events) = recorder();
    let ours = Origins::these([OURS]).expect("an origin").required();
    let server = serve(|server| server.origins(ours).websocket("/", recorder));
    for origins in [
        &[][..],
        &[""],
        &["null"],
        &["https://evil.example"],
        &["https://app.example"],
        &["https://app.example:84430"],
        &["https://app.example:8443.evil.example"],
        &["https://app.example:8443/"],
        &["http://app.example:8443"],
        &["https://xapp.example:8443"],
        &["https://evil.example/https://app.example:8443"],
        &["https://evil.example", OURS],
        &[OURS, "https://evil.example"],
        &["https://evil.example https://app.example:8443"],
    ] {
        let mut peer = server.dial();
        peer.write(request_from(origins).as_bytes());
        let (head, body) = peer.response();
        assert_eq!((head.status, body.as_str()), (403, REFUSAL), "{origins:?}");
    }
    events.nothing_yet();

    let mut peer = server.dial();
    peer.write(request_from(&[OURS]).as_bytes());
    assert_eq!(peer.head().status, 101);
    events.connected();
    peer.send(TEXT, b"in");
}

#[test]
fn origins_apply_to_websockets_and_refusals_are_counted() {
    let ours = Origins::these([OURS]).expect("an origin");
    let server = serve(|server| {
        let page = |_: Request| Reply::text(200, "for everyone");
        server.origins(ours).websocket("/ws", Echo).get("/", page)
    });
    let from = |origin| {
        let client = server.client("/ws").header("Origin", origin).expect("a good header");
        block_on(client.connect())
    };
    assert!(from("https://evil.example").is_err() && from("null").is_err());
    let _sockets =
        [from("HTTPS://App.example:8443").expect("our page"), block_on(server.connect("/ws"))];

    let mut reader = server.dial();
    reader.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n");
    assert_eq!(reader.response().0.status, 200);
    let counts = server.stats().counts();
    assert_eq!((counts.refused.forbidden_origin, counts.open, counts.pages), (2, 2, 1));
}

#[test]
fn listed_subdomains_and_local_files_are_accepted() {
    let ours = Origins::these(["https://*.app.example", "file://"]).expect("origins");
    let server = serve(|server| server.origins(ours).websocket("/", Echo));
    for (origin, status) in [
        ("https://eu.app.example", 101),
        ("https://eu.app.example:443", 101),
        ("file://", 101),
        ("https://app.example", 403),
        ("https://a.eu.app.example", 403),
        ("https://evilapp.example", 403),
        ("https://eu.app.example.evil.example", 403),
        ("null", 403),
    ] {
        let mut peer = server.dial();
        peer.write(request_from(&[origin]).as_bytes());
        assert_eq!(peer.head().status, status, "{origin}");
    }
}
