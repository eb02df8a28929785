//! Pages of other sites that open connections in a visitor's name (RFC 6455 §10.2): the hook sees
//! each request whole before it becomes a connection, and can compare its origin.

use super::support::{
    handlers::recorder,
    peer::{Peer, TEXT},
    server::serve,
};
use crate::prism::{Reply, Request};

const OURS: &str = "https://app.example:8443";

/// As `SECURITY.md` advises: one header, compared whole.
fn ours_only(request: &Request<'_>) -> Result<(), Reply> {
    let mut origins = request.headers().all("Origin");
    match (origins.next(), origins.next()) {
        (Some(origin), None) if origin == OURS.as_bytes() => Ok(()),
        _ => Err(Reply::text(403, "not from here")),
    }
}

fn request_from(origins: &[&str]) -> String {
    let lines: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
    Peer::request("/").replacen("\r\n", &format!("\r\n{lines}"), 1)
}

#[test]
fn another_origin_is_refused_before_the_101_however_much_it_looks_like_ours() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.authorize(ours_only).web_socket("/", recorder));
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
        &["HTTPS://APP.EXAMPLE:8443"],
        &["https://evil.example", OURS],
        &[OURS, "https://evil.example"],
        &["https://evil.example https://app.example:8443"],
    ] {
        let mut peer = server.dial();
        peer.write(request_from(origins).as_bytes());
        let (head, body) = peer.answer();
        assert_eq!((head.status, body.as_str()), (403, "not from here"), "{origins:?}");
    }
    events.nothing_yet();

    let mut peer = server.dial();
    peer.write(request_from(&[OURS]).as_bytes());
    assert_eq!(peer.head().status, 101);
    events.connected();
    peer.send(TEXT, b"in");
}
