//! Authorization: what it sees, and what it grants.

use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use super::support::{
    TIMEOUT,
    handlers::Echo,
    head::Head,
    peer::{Peer, TEXT},
    server::{TestServer, serve},
};
use crate::{
    prism::{
        Authorized, Connection, ConnectionHandler, Disconnect, Handler, Message, Reply, Request,
        Runtime as _, Server, per_connection, socket,
    },
    runtime::Network,
};

#[derive(Clone, Debug, PartialEq)]
struct User {
    name: String,
}

/// Authorizes the bearer of a token that begins with `t-`, which the user's name follows.
async fn log_in(request: Request) -> Result<Authorized, Reply> {
    let token = request.bearer_token().ok_or_else(|| Reply::text(401, "a token is required"))?;
    let name =
        token.strip_prefix("t-").ok_or_else(|| Reply::text(403, "the token is not valid"))?;
    Ok(Authorized::new(User { name: name.to_owned() }))
}

/// Returns a request with additional header lines, each with its CR LF.
fn request(path: &str, lines: &str) -> String {
    Peer::request(path).replacen("\r\n", &format!("\r\n{lines}"), 1)
}

/// Sends a request, and returns the peer with the head of the answer.
#[track_caller]
fn ask(server: &TestServer, path: &str, lines: &str) -> (Peer, Head) {
    let mut peer = server.dial();
    peer.write(request(path, lines).as_bytes());
    let head = peer.head();
    (peer, head)
}

#[track_caller]
fn status(server: &TestServer, path: &str, lines: &str) -> u16 {
    ask(server, path, lines).1.status
}

/// Says what the connection carries.
fn describe(connection: &Connection) -> String {
    let user = connection.data::<User>().map(|user| user.name.as_str());
    let other = connection.data::<String>();
    format!("{user:?} {other:?} {:?}", connection.subprotocol())
}

/// Tells the peer what the connection carries, and after that the test.
struct Shared(Sender<String>);

impl Handler for Shared {
    async fn on_connect(&self, connection: &Connection) {
        connection.send(&describe(connection)).await.expect("an open connection");
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.send(&describe(connection)).await.expect("an open connection");
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        let _ = self.0.send(describe(connection)); // fails if the scenario is over
    }
}

/// Knows its user from the beginning.
struct OfOne {
    user: Option<User>,
}

impl ConnectionHandler for OfOne {
    async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
        let text = format!("{:?}, and {}", self.user, describe(connection));
        connection.send(&text).await.expect("an open connection");
    }
}

/// Adds a route for each kind of handler.
fn routes(server: Server, ended: Sender<String>) -> Server {
    let of_one = |connection: &Connection| OfOne { user: connection.data().cloned() };
    server
        .websocket("/shared", Shared(ended))
        .websocket("/of_one", per_connection(of_one))
        .websocket(
            "/socket",
            socket(|socket| async move {
                while socket.recv().await.is_ok() {
                    let text = describe(socket.connection());
                    socket.send(&text).await.expect("an open connection");
                }
            }),
        )
}

#[test]
fn every_kind_of_handler_sees_the_data_of_its_connection() {
    let (ended, end) = channel();
    let server = serve(|server| routes(server, ended).authorize(log_in));
    for (path, expected) in [
        ("/shared", r#"Some("ada") None None"#),
        ("/of_one", r#"Some(User { name: "ada" }), and Some("ada") None None"#),
        ("/socket", r#"Some("ada") None None"#),
    ] {
        let (mut peer, head) = ask(&server, path, "Authorization: Bearer t-ada\r\n");
        assert_eq!(head.status, 101, "{path}");
        if path == "/shared" {
            peer.expect(TEXT, expected.as_bytes());
        }
        for _ in 0..2 {
            peer.send(TEXT, b"who am I?");
            peer.expect(TEXT, expected.as_bytes());
        }
        peer.close_and_expect_disconnect();
    }
    let at_the_end = end.recv_timeout(TIMEOUT).expect("on_disconnect runs");
    assert_eq!(at_the_end, r#"Some("ada") None None"#);
}

#[test]
fn without_authorization_or_with_only_a_check_there_is_no_data() {
    let (ended, _end) = channel();
    let open = serve(|server| routes(server, ended));
    let (ended, _end) = channel();
    let checked = serve(|server| routes(server, ended).authorize(async |_| Ok(())));
    for server in [open, checked] {
        let mut peer = server.open("/shared");
        peer.expect(TEXT, b"None None None");
        let mut peer = server.open("/of_one");
        peer.send(TEXT, b"who am I?");
        peer.expect(TEXT, b"None, and None None None");
    }
}

#[test]
fn a_refusal_has_the_status_headers_and_body_of_its_reply() {
    let server = serve(|server| {
        let server = server.authorize(async |request| {
            let status = request.query_param("status").and_then(|it| it.parse().ok());
            let reply = Reply::text(status.expect("a number"), "no, because")
                .header("Location", "/login")
                .and_then(|reply| reply.header("Set-Cookie", "a=1"))
                .and_then(|reply| reply.header("Set-Cookie", "b=2"));
            Err::<(), _>(reply.expect("valid headers"))
        });
        server.header("X-Server", "1").expect("a valid header").websocket("/", Echo)
    });
    let all = [200, 204, 302, 400, 401, 403, 404, 426, 429, 500, 503, 599];
    for status in all {
        let mut peer = server.dial();
        peer.write(request(&format!("/?status={status}"), "").as_bytes());
        let (head, body) = peer.response();
        assert_eq!((head.status, head.field("Location")), (status, Some("/login")));
        assert_eq!(head.field("X-Server"), Some("1"), "{status}");
        assert_eq!(body, if status == 204 { "" } else { "no, because" }, "{status}");
    }
    let counts = server.stats().counts();
    assert_eq!((counts.refused.unauthorized, counts.pages), (all.len() as u64, 0));
}

#[test]
fn an_authorization_sees_the_request_and_may_wait() {
    let (seen, sees) = channel();
    let server = serve(|server| {
        let server = server.authorize(move |request: Request| {
            let seen = seen.clone();
            async move {
                Network::default().sleep(Duration::from_millis(1)).await;
                let all = format!(
                    "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {}",
                    request.method(),
                    request.path(),
                    request.param("room"),
                    request.query(),
                    request.query_param("token"),
                    request.cookie("sid"),
                    request.bearer_token(),
                    request.header_all("X-Two").collect::<Vec<_>>(),
                    request.host(),
                );
                seen.send((all, request.peer_addr())).expect("the scenario waits");
                Ok::<_, Reply>(())
            }
        });
        server.websocket("/rooms/{room}", Echo)
    });
    let lines = "Cookie: a=b; sid=%41%20b\r\nAuthorization: bearer abc\r\nX-Two: 1\r\nX-Two: 2\r\n";
    let (peer, head) = ask(&server, "/x/../rooms/caf%c3%a9?a=1&token=a+b%21", lines);
    assert_eq!(head.status, 101);
    let (all, peer_addr) = sees.recv_timeout(TIMEOUT).expect("the request is authorized");
    let expected = r#"GET /rooms/caf%C3%A9 Some("café") Some("a=1&token=a+b%21") Some("a b!") Some("A b") Some("abc") ["1", "2"] localhost"#;
    assert_eq!(all, expected);
    assert_eq!(peer_addr, peer.stream.local_addr().expect("a socket"));
}

#[test]
fn a_subprotocol_chosen_by_the_authorization_replaces_the_servers_if_it_is_offered() {
    let server = serve(|server| {
        let choose = async |request: Request| match request.query() {
            Some(name) => Ok(Authorized::default().subprotocol(name)),
            None => Ok::<_, Reply>(Authorized::default()),
        };
        let (ended, _end) = channel();
        routes(server, ended).subprotocols(["v2", "v1"]).authorize(choose)
    });
    let offer = "Sec-WebSocket-Protocol: v1, v2, v3\r\n";
    for (query, offer, selected) in [
        ("", offer, Some("v2")),
        ("?v1", offer, Some("v1")),
        ("?v3", offer, Some("v3")),
        ("?v4", offer, Some("v2")),
        ("?V1", offer, Some("v2")),
        ("", "", None),
        ("?v1", "", None),
    ] {
        let (mut peer, head) = ask(&server, &format!("/shared{query}"), offer);
        assert_eq!(head.status, 101, "{query}");
        assert_eq!(head.field("Sec-WebSocket-Protocol"), selected, "{query}");
        peer.expect(TEXT, format!("None None {selected:?}").as_bytes());
    }
}

#[test]
fn headers_of_the_authorization_are_added_to_those_of_the_route() {
    let server = serve(|server| {
        let authorize = async |_| {
            let authorized = Authorized::new(7).header("X-Seen", "yes");
            Ok::<_, Reply>(authorized.and_then(|it| it.header("X-More", "é")).expect("valid"))
        };
        let server = server.authorize(authorize).websocket("/", Echo);
        server.header("X-Server", "1").expect("a valid header")
    });
    let (mut peer, head) = ask(&server, "/", "");
    assert_eq!((head.status, head.field("X-Server")), (101, Some("1")));
    assert_eq!((head.field("X-Seen"), head.field("X-More")), (Some("yes"), Some("é")));
    peer.send(TEXT, b"in");
    peer.expect(TEXT, b"in");
    for (name, value) in [("Upgrade", "h2c"), ("X A", "1"), ("X-A", "1\r\nX-B: 2")] {
        assert!(Authorized::default().header(name, value).is_err(), "{name}");
    }
}

#[test]
fn a_panic_in_an_authorization_or_its_future_gets_500() {
    let server = serve(|server| {
        let authorize = |request: Request| {
            assert_ne!(request.query(), Some("call"), "on purpose");
            async move {
                Network::default().sleep(Duration::from_millis(1)).await;
                assert_ne!(request.query(), Some("poll"), "on purpose");
                Ok::<_, Reply>(())
            }
        };
        server.authorize(authorize).websocket("/", Echo)
    });
    assert_eq!([status(&server, "/?call", ""), status(&server, "/?poll", "")], [500, 500]);
    assert_eq!(server.stats().counts().refused.failed, 2);
    let mut peer = server.open("/");
    peer.send(TEXT, b"still here");
    peer.expect(TEXT, b"still here");
}
