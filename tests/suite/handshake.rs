//! The opening handshake: what a handler knows of the request, subprotocols, and refusals.

use std::{sync::mpsc::channel, thread, time::Duration};

use super::support::{
    TIMEOUT, block_on,
    handlers::{Echo, recorder},
    peer::{Peer, TEXT},
    server::{closed_port, listen, serve, serve_echo},
};
use crate::prism::{
    Client, ConnectError, Connection, Handler, HandshakeError, Message, Options, OwnedMessage,
    Refusal, Reply, Request,
};

/// Sends what it knows of the request, on connect and in answer to each message.
struct RequestEcho;

fn describe(connection: &Connection) -> String {
    format!(
        "path={} query={:?} room={:?} protocol={:?} x-ticket={:?}",
        connection.path(),
        connection.query(),
        connection.param("room"),
        connection.subprotocol(),
        connection.header("x-ticket"),
    )
}

impl Handler for RequestEcho {
    async fn on_connect(&self, connection: &Connection) {
        connection.send(&describe(connection)).await.expect("an open connection");
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.send(&describe(connection)).await.expect("an open connection");
    }
}

fn text(message: &OwnedMessage) -> &str {
    message.as_message().as_text().expect("a text")
}

#[test]
fn a_handler_sees_the_request_but_headers_only_on_connect() {
    let server = serve(|server| server.websocket("/rooms/{room}/chat", RequestEcho));
    block_on(async {
        let client = server.client("/rooms/blue%20one/chat?since=5&x=?");
        let socket = client.header("X-Ticket", "42").unwrap().connect().await.unwrap();
        let known = r#"path=/rooms/blue%20one/chat query=Some("since=5&x=?") room=Some("blue one") protocol=None"#;
        let description = socket.recv().await.unwrap();
        assert_eq!(text(&description), format!(r#"{known} x-ticket=Some("42")"#));
        socket.send("again").await.unwrap();
        let description = socket.recv().await.unwrap();
        assert_eq!(text(&description), format!("{known} x-ticket=None"));
    });
}

#[test]
fn each_route_has_its_handler_and_a_catch_all_takes_the_rest() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        let server = server.websocket("/echo", Echo).websocket("/rooms/{room}", recorder);
        server.websocket("/other/{*room}", RequestEcho)
    });
    let mut echo = server.open("/echo");
    echo.send(TEXT, b"to echo");
    echo.expect(TEXT, b"to echo");
    let _room = server.open("/rooms/7");
    assert_eq!(events.connected().param("room"), Some("7"));
    let mut other = server.open("/other/a/b");
    let description = other.next().expect("a description of the request").payload;
    assert!(String::from_utf8(description).unwrap().contains(r#"room=Some("a/b")"#));
}

#[test]
fn a_connection_knows_the_address_of_its_peer() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let peer = server.open("/");
    let connection = events.connected();
    assert_eq!(connection.peer_addr(), Some(peer.stream.local_addr().unwrap()));
}

#[test]
fn connection_ids_are_unique() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let _peers = [server.open("/"), server.open("/")];
    let (one, other) = (events.connected(), events.connected());
    assert_ne!(one.id(), other.id());
    assert_eq!(one.clone().id(), one.id());
    assert!(one.id().to_string().len() >= 8);
}

#[test]
fn the_server_chooses_its_preferred_subprotocol() {
    let server =
        serve(|server| server.subprotocols(["v2.chat", "v1.chat"]).websocket("/", RequestEcho));
    let offer = |names: &[&str]| {
        let client = server.client("/");
        let offered =
            names.iter().try_fold(client, |client, name| client.subprotocol(name)).unwrap();
        let socket = block_on(offered.connect()).expect("a connection");
        let description = block_on(socket.recv()).expect("a description of the request");
        let chosen = socket.connection().subprotocol().map(str::to_owned);
        assert!(text(&description).contains(&format!("protocol={chosen:?}")), "{description:?}");
        chosen
    };
    assert_eq!(offer(&["v1.chat", "v2.chat"]).as_deref(), Some("v2.chat"));
    assert_eq!(offer(&["soap", "v1.chat"]).as_deref(), Some("v1.chat"));
    assert_eq!(offer(&["soap"]), None);
    assert_eq!(offer(&[]), None);
}

#[test]
fn a_required_subprotocol_is_named_in_the_refusal() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        let server = server.require_subprotocols(["mqtt", "v2.chat"]);
        server.websocket("/", recorder)
    });
    for offer in ["", "Sec-WebSocket-Protocol:\r\n", "Sec-WebSocket-Protocol: soap, MQTT\r\n"] {
        let mut peer = server.dial();
        peer.write(Peer::request("/").replacen("\r\n", &format!("\r\n{offer}"), 1).as_bytes());
        let (head, body) = peer.response();
        assert_eq!(head.status, 400, "{offer}");
        assert!(body.contains("\"mqtt, v2.chat\" in Sec-WebSocket-Protocol"), "{body}");
    }
    assert_eq!(server.stats().counts().refused.bad_request, 3);
    events.nothing_yet();
    let client = server.client("/").subprotocol("v2.chat").expect("a token");
    let socket = block_on(client.connect()).expect("a connection");
    assert_eq!(socket.connection().subprotocol(), Some("v2.chat"));
    assert_eq!(events.connected().subprotocol(), Some("v2.chat"));
}

#[test]
fn an_empty_subprotocol_or_extension_list_is_ignored() {
    let server = serve(|server| server.subprotocols(["chat"]).websocket("/", Echo));
    for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
        for value in ["", " \t", ",", ", ,"] {
            let line = format!("\r\n{name}:{value}\r\n");
            let mut peer = server.dial();
            peer.write(Peer::request("/").replacen("\r\n", &line, 1).as_bytes());
            let head = peer.head();
            assert_eq!((head.status, head.field("Sec-WebSocket-Protocol")), (101, None), "{line}");
        }
    }
}

async fn require_token(request: Request) -> Result<(), Reply> {
    if request.path() == "/free" || request.header("Authorization").as_deref() == Some("Bearer 7") {
        return Ok(());
    }
    let reply = Reply::text(401, "who are you?").header("WWW-Authenticate", "Bearer");
    Err(reply.expect("a good header"))
}

fn refused(outcome: Result<impl Sized, ConnectError>) -> Refusal {
    match outcome {
        Err(ConnectError::Refused(refusal)) => refusal,
        Err(error) => panic!("expected a refusal, but {error}"),
        Ok(_) => panic!("expected a refusal, but got a connection"),
    }
}

#[test]
fn an_unauthorized_request_never_reaches_the_handler() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        server.authorize(require_token).websocket("/", recorder).websocket("/free", Echo)
    });
    let refusal = refused(block_on(server.client("/").connect()));
    assert_eq!(refusal.status, 401);
    assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(refusal.body, b"who are you?");

    let member = server.client("/").header("Authorization", "Bearer 7").unwrap();
    let _socket = block_on(member.connect()).expect("the request is authorized");
    block_on(server.connect("/free"));
    events.connected();
    server.stop();
    events.ended();
    events.nothing_more();
}

#[test]
fn an_unknown_path_is_refused_with_404() {
    let server = serve_echo(Options::default());
    assert_eq!(refused(block_on(server.client("/nowhere").connect())).status, 404);
}

#[test]
fn a_refusal_reaches_the_client_with_headers_and_body() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        assert_eq!(request.first_line(), "GET / HTTP/1.1");
        peer.write(
            b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\n\
              Content-Length: 5\r\n\r\nthere",
        );
        peer.expect_disconnect();
    });
    let refusal = refused(block_on(Client::new(&url).unwrap().connect()));
    assert_eq!(refusal.status, 302);
    assert_eq!(refusal.header("location").as_deref(), Some("ws://elsewhere.example/"));
    assert_eq!(refusal.body, b"there");
    server.join().expect("the client disconnects");
}

#[test]
fn a_wrong_sec_websocket_accept_is_rejected() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let answer = Peer::upgrade_response(&request);
        let (head, accept) = answer.split_once("Accept: ").expect("the header");
        let flipped: String = accept.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
        let accept = format!("{}=\r\n\r\n", &flipped[..27]);
        peer.write(format!("{head}Accept: {accept}").as_bytes());
        peer.expect_disconnect();
    });
    let error = block_on(Client::new(&url).unwrap().connect()).map(drop).expect_err("a wrong key");
    let wrong = HandshakeError::InvalidAccept;
    assert!(matches!(&error, ConnectError::Handshake(e) if *e == wrong), "{error}");
    server.join().expect("the client disconnects");
}

#[test]
fn an_unresponsive_server_fails_at_the_handshake_timeout() {
    let (listener, url) = listen();
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(200);
    let (sender, disconnected) = channel();
    let server = thread::spawn(move || {
        let (peer, _) = Peer::accept(&listener);
        peer.expect_disconnect();
        sender.send(()).expect("the scenario waits for it");
    });
    let outcome = block_on(Client::new(&url).unwrap().options(options).connect());
    assert!(matches!(outcome, Err(ConnectError::TimedOut)));
    disconnected.recv_timeout(TIMEOUT).expect("the client disconnects");
    server.join().expect("the client disconnects");
}

#[test]
fn a_closed_port_is_reported_as_unreachable() {
    let (address, _kept) = closed_port("127.0.0.1");
    let url = format!("ws://{address}");
    let outcome = block_on(Client::new(&url).unwrap().connect()).map(drop);
    assert!(matches!(outcome, Err(ConnectError::Unreachable(_))), "{outcome:?}");
}

#[test]
fn an_invalid_url_is_rejected() {
    for url in ["http://127.0.0.1/", "127.0.0.1", "ws://", "ws://me:secret@127.0.0.1/"] {
        let client = Client::new(url).map(drop);
        assert!(matches!(client, Err(ConnectError::InvalidUrl(_))), "{url}: {client:?}");
    }
}
