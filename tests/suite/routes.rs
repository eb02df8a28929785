//! Routes with settings of their own, in place of the server's, and pages that take their time.

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    numbered::{MANY, message},
    peer::Peer,
    server::{TestServer, serve},
};
use crate::prism::{Options, Origins, Reply, Request, WhenSlow, shared};

/// Returns the status and a header of the answer to an upgrade request with these header lines.
fn ask(server: &TestServer, path: &str, lines: &str, name: &str) -> (u16, Option<String>) {
    let mut peer = server.dial();
    peer.write(Peer::request(path).replacen("\r\n", &format!("\r\n{lines}"), 1).as_bytes());
    let head = peer.head();
    (head.status, head.field(name).map(str::to_owned))
}

#[test]
fn a_route_has_its_own_origins_subprotocols_and_headers() {
    let server = serve(|server| {
        let own = shared(Echo)
            .origins(Origins::any())
            .subprotocols(["v2"])
            .header("X-Route", "own")
            .expect("a valid header");
        server
            .origins(Origins::these(["https://example.org"]).expect("an origin"))
            .subprotocols(["v1"])
            .header("X-Route", "the server's")
            .expect("a valid header")
            .websocket("/own", own)
            .websocket("/", Echo)
    });
    let lines = "Origin: https://other.example\r\nSec-WebSocket-Protocol: v1, v2\r\n";
    let answer = |path, name| ask(&server, path, lines, name);
    assert_eq!(answer("/", "X-Route"), (403, Some("the server's".to_owned())));
    assert_eq!(answer("/own", "X-Route"), (101, Some("own".to_owned())));
    assert_eq!(answer("/own", "Sec-WebSocket-Protocol"), (101, Some("v2".to_owned())));
    let protocol =
        ask(&server, "/", "Sec-WebSocket-Protocol: v1, v2\r\n", "Sec-WebSocket-Protocol");
    assert_eq!(protocol, (101, Some("v1".to_owned())));
}

#[test]
fn a_route_has_its_own_authorization() {
    let accept = async |_: Request| Ok(());
    let refuse = |status| move |_: Request| async move { Err::<(), _>(Reply::new(status)) };
    let server = serve(|server| {
        server
            .authorize(refuse(401))
            .websocket("/", Echo)
            .websocket("/open", shared(Echo).authorize(accept))
            .websocket("/own", shared(Echo).authorize(refuse(403)))
    });
    let status = |path| ask(&server, path, "", "").0;
    assert_eq!([status("/"), status("/open"), status("/own")], [401, 101, 403]);
    let server = serve(|server| {
        server.websocket("/", Echo).websocket("/own", shared(Echo).authorize(refuse(403)))
    });
    let status = |path| ask(&server, path, "", "").0;
    assert_eq!([status("/"), status("/own")], [101, 403]);
}

#[test]
fn a_route_may_require_subprotocols_of_its_own() {
    let server = serve(|server| {
        server
            .require_subprotocols(["v1"])
            .websocket("/", Echo)
            .websocket("/own", shared(Echo).require_subprotocols(["v2"]))
            .websocket("/any", shared(Echo).subprotocols(["v2"]))
    });
    let answer = |path, offer: &str| {
        let line = if offer.is_empty() { "" } else { "Sec-WebSocket-Protocol: " };
        let end = if offer.is_empty() { "" } else { "\r\n" };
        ask(&server, path, &format!("{line}{offer}{end}"), "Sec-WebSocket-Protocol")
    };
    for (path, offer, status, selected) in [
        ("/", "v1", 101, Some("v1")),
        ("/", "v2", 400, None),
        ("/own", "v1", 400, None),
        ("/own", "v1, v2", 101, Some("v2")),
        ("/own", "", 400, None),
        ("/any", "v1", 101, None),
        ("/any", "", 101, None),
    ] {
        let expected = (status, selected.map(str::to_owned));
        assert_eq!(answer(path, offer), expected, "{path} {offer}");
    }
}

#[test]
fn a_route_has_its_own_policy_for_slow_peers() {
    let (recorder, events) = recorder();
    let dropping = Options::default().when_slow(WhenSlow::DropNewest);
    let server = serve(|server| server.websocket("/", shared(recorder).options(dropping)));
    let _silent = server.open("/");
    let connection = events.connected();
    let sent = (0..MANY).take_while(|number| {
        block_on(connection.send(message(*number))).expect("an open connection");
        connection.missed() == 0
    });
    assert!(sent.count() < MANY as usize, "no message was dropped, and no `send` waited");
}

#[test]
fn a_page_may_take_its_time() {
    let (open, gate) = async_channel::bounded(1);
    let server = serve(|server| {
        server.get("/slow/{name}", move |request: Request| {
            let gate = gate.clone();
            async move {
                gate.recv().await.expect("the scenario opens it");
                Reply::text(200, format!("hello, {}", request.param("name").expect("a name")))
            }
        })
    });
    let mut peer = server.dial();
    peer.write(b"GET /slow/ada HTTP/1.1\r\nHost: a\r\n\r\n");
    block_on(open.send(())).expect("the page waits");
    let (head, body) = peer.response();
    assert_eq!((head.status, &*body), (200, "hello, ada"));
}
