//! Path normalization: routes, pages, authorization and handlers all see one spelling of a path
//! (RFC 3986 §6.2.2).

use std::sync::Arc;

use super::support::{
    handlers::{Events, recorder},
    head::Head,
    peer::Peer,
    server::{TestServer, serve},
};
use crate::prism::{Reply, Request, Server};

/// Refuses every path that begins with `/admin`.
async fn refuse_admin(request: Request) -> Result<(), Reply> {
    if request.path().starts_with("/admin") { Err(Reply::new(403)) } else { Ok(()) }
}

fn site() -> (TestServer, Events) {
    const ROUTES: [&str; 6] =
        ["/ws", "/caf\u{e9}", "/admin/ws", "/{any}", "/rooms/{room}", "/files/{*rest}"];
    let (recorder, events) = recorder();
    let recorder = Arc::new(recorder);
    let server = serve(|server| {
        let give = |server: Server, route: &&str| server.websocket(route, recorder.clone());
        let server = ROUTES.iter().fold(server.authorize(refuse_admin), give);
        server.get("/p\u{e4}ge/{name}", |request| Reply::text(200, request.path().to_owned()))
    });
    (server, events)
}

fn ask(server: &TestServer, request: &str) -> (Peer, Head) {
    let mut peer = server.dial();
    peer.write(request.as_bytes());
    let head = peer.head();
    (peer, head)
}

#[test]
fn every_spelling_of_a_path_is_routed_in_its_normal_form() {
    let (server, events) = site();
    for (path, seen) in [
        ("/ws", "/ws"),
        ("/%77s", "/ws"),
        ("/./rooms/../ws", "/ws"),
        ("/rooms/%2e%2E/ws", "/ws"),
        ("/../../ws", "/ws"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/c%61f%c3%a9", "/caf%C3%A9"),
        ("http://localhost/%77s?%77", "/ws"),
        ("/w%2fs", "/w%2Fs"),
    ] {
        let (peer, head) = ask(&server, &Peer::request(path));
        assert_eq!(head.status, 101, "{path}");
        let connection = events.connected();
        assert_eq!(connection.path(), seen, "{path}");
        assert_eq!(connection.param("any").is_some(), seen.contains("%2F"), "{path}");
        drop(peer);
        events.ended();
    }
}

#[test]
fn no_spelling_of_a_path_bypasses_authorization() {
    let (server, events) = site();
    for path in [
        "/admin/ws",
        "/%61dmin/ws",
        "/adm%69n/%77s",
        "/ws/../admin/ws",
        "/ws/%2e%2e/admin/ws",
        "/./admin/ws",
        "/admin/./ws",
        "/../admin/x/..%2f/../../ws",
    ] {
        assert_eq!(ask(&server, &Peer::request(path)).1.status, 403, "{path}");
    }
    // These are different paths, without a route.
    for path in ["//admin/ws", "/admin%2Fws/", "/ADMIN/ws"] {
        assert_eq!(ask(&server, &Peer::request(path)).1.status, 404, "{path}");
    }
    events.nothing_yet();
}

#[test]
fn parameters_are_decoded() {
    let (server, events) = site();
    for (path, name, value) in [
        ("/rooms/caf%C3%A9", "room", "caf\u{e9}"),
        ("/rooms/a%20b%2Fc", "room", "a b/c"),
        ("/rooms/100%25", "room", "100%"),
        ("/rooms/a/../%e2%98%83", "room", "\u{2603}"),
        ("/files/a/b%20c//d", "rest", "a/b c//d"),
    ] {
        let (peer, head) = ask(&server, &Peer::request(path));
        assert_eq!(head.status, 101, "{path}");
        assert_eq!(events.connected().param(name), Some(value), "{path}");
        drop(peer);
        events.ended();
    }
}

#[test]
fn a_malformed_path_gets_400_before_any_handler() {
    let (server, events) = site();
    for path in [
        "/ws%",
        "/%zz",
        "/rooms/%4",
        "/nowhere/at/all/%",
        "/rooms/%FF",
        "/rooms/%C3",
        "/rooms/a%00",
        "/rooms/%0a",
        "/rooms/..%2Fb",
        "/rooms/..%5Cb",
        "/rooms/%2Fetc",
        "/files/..%2F..%2Fetc%2Fpasswd",
        "/files/a%2Fb",
        "/files/..%5C..%5Cc",
        "/files//etc/passwd",
        "/files/%ff",
    ] {
        let (mut peer, head) = ask(&server, &Peer::request(path));
        assert_eq!(head.status, 400, "{path}");
        assert!(!peer.rest().is_empty(), "{path}: no explanation");
    }
    let page = |path| ask(&server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(page("/p%C3%A4ge/%FF").1.status, 400);
    assert_eq!(page("/p%e4ge/a").1.status, 404);
    let (mut peer, head) = page("/p%c3%a4ge/x/../%61");
    assert_eq!((head.status, peer.rest().as_str()), (200, "/p%C3%A4ge/a"));
    events.nothing_yet();
}
