//! The opening handshake: what a handler knows of the request, sub-protocols, and refusals.

use std::{sync::mpsc::channel, thread, time::Duration};

use super::support::{
    PATIENCE, block_on,
    handlers::{Echo, recorder},
    peer::{Peer, TEXT},
    server::{closed, listen, serve, serve_echo},
};
use crate::prism::{
    Client, ConnectError, Connection, Handler, HandshakeError, Message, Options, OwnedMessage,
    Refusal, Reply, Request,
};

/// Tells on connect, and in answer to a message, what it knows of the request.
struct Curious;

fn tell(connection: &Connection) -> String {
    format!(
        "path={} query={:?} room={:?} protocol={:?} x-ticket={:?}",
        connection.path(),
        connection.query(),
        connection.param("room"),
        connection.subprotocol(),
        connection.header("x-ticket"),
    )
}

impl Handler for Curious {
    async fn on_connect(&self, connection: &Connection) {
        connection.send(&tell(connection)).await.expect("an open connection");
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.send(&tell(connection)).await.expect("an open connection");
    }
}

fn text(message: &OwnedMessage) -> &str {
    message.as_message().as_text().expect("a text")
}

#[test]
fn a_handler_knows_path_query_parameters_and_until_connected_the_headers() {
    let server = serve(|server| server.websocket("/rooms/{room}/chat", Curious));
    block_on(async {
        let client = server.client("/rooms/blue%20one/chat?since=5&x=?");
        let socket = client.header("X-Ticket", "42").unwrap().connect().await.unwrap();
        let known = r#"path=/rooms/blue%20one/chat query=Some("since=5&x=?") room=Some("blue one") protocol=None"#;
        let told = socket.recv().await.unwrap();
        assert_eq!(text(&told), format!(r#"{known} x-ticket=Some("42")"#));
        socket.send("again").await.unwrap();
        let told = socket.recv().await.unwrap();
        assert_eq!(text(&told), format!("{known} x-ticket=None"));
    });
}

#[test]
fn each_route_has_its_handler_and_a_catch_all_takes_the_rest() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        let server = server.websocket("/echo", Echo).websocket("/rooms/{room}", recorder);
        server.websocket("/other/{*room}", Curious)
    });
    let mut echo = server.open("/echo");
    echo.send(TEXT, b"to echo");
    echo.expect(TEXT, b"to echo");
    let _room = server.open("/rooms/7");
    assert_eq!(events.connected().param("room"), Some("7"));
    let mut other = server.open("/other/a/b");
    let told = other.next().expect("what it knows").payload;
    assert!(String::from_utf8(told).unwrap().contains(r#"room=Some("a/b")"#));
}

#[test]
fn both_sides_know_each_others_address() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let peer = server.open("/");
    let connection = events.connected();
    assert_eq!(connection.peer_addr(), Some(peer.stream.local_addr().unwrap()));
}

#[test]
fn connections_have_names_of_their_own() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let _peers = [server.open("/"), server.open("/")];
    let (one, other) = (events.connected(), events.connected());
    assert_ne!(one.id(), other.id());
    assert_eq!(one.clone().id(), one.id());
    assert!(one.id().to_string().len() >= 8);
}

#[test]
fn the_server_chooses_the_sub_protocol_that_it_prefers() {
    let server =
        serve(|server| server.subprotocols(["v2.chat", "v1.chat"]).websocket("/", Curious));
    let offer = |names: &[&str]| {
        let client = server.client("/");
        let offered =
            names.iter().try_fold(client, |client, name| client.subprotocol(name)).unwrap();
        let socket = block_on(offered.connect()).expect("a connection");
        let told = block_on(socket.recv()).expect("what the server knows");
        let chosen = socket.connection().subprotocol().map(str::to_owned);
        assert!(text(&told).contains(&format!("protocol={chosen:?}")), "{told:?}");
        chosen
    };
    assert_eq!(offer(&["v1.chat", "v2.chat"]).as_deref(), Some("v2.chat"));
    assert_eq!(offer(&["soap", "v1.chat"]).as_deref(), Some("v1.chat"));
    assert_eq!(offer(&["soap"]), None);
    assert_eq!(offer(&[]), None);
}

#[test]
fn where_a_subprotocol_is_required_who_speaks_none_of_them_is_told_which_there_are() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        let server = server.subprotocols(["mqtt", "v2.chat"]).require_subprotocol();
        server.websocket("/", recorder)
    });
    for offer in ["", "Sec-WebSocket-Protocol:\r\n", "Sec-WebSocket-Protocol: soap, MQTT\r\n"] {
        let mut peer = server.dial();
        peer.write(Peer::request("/").replacen("\r\n", &format!("\r\n{offer}"), 1).as_bytes());
        let (head, body) = peer.answer();
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
fn an_empty_list_of_subprotocols_or_extensions_counts_as_none() {
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

fn members_only(request: &Request<'_>) -> Result<(), Reply> {
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
fn who_is_not_authorised_gets_the_refusal_and_the_handler_never_hears_of_it() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        server.authorize(members_only).websocket("/", recorder).websocket("/free", Echo)
    });
    let refusal = refused(block_on(server.client("/").connect()));
    assert_eq!(refusal.status, 401);
    assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(refusal.body, b"who are you?");

    let member = server.client("/").header("Authorization", "Bearer 7").unwrap();
    let _socket = block_on(member.connect()).expect("a member gets in");
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
fn any_other_servers_refusal_reaches_the_client_with_its_headers_and_body() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        assert_eq!(request.first_line(), "GET / HTTP/1.1");
        peer.write(
            b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\n\
              Content-Length: 5\r\n\r\nthere",
        );
        peer.expect_gone();
    });
    let refusal = refused(block_on(Client::new(&url).unwrap().connect()));
    assert_eq!(refusal.status, 302);
    assert_eq!(refusal.header("location").as_deref(), Some("ws://elsewhere.example/"));
    assert_eq!(refusal.body, b"there");
    server.join().expect("the client has left");
}

#[test]
fn a_server_that_can_not_do_the_arithmetic_is_not_believed() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let answer = Peer::acceptance(&request);
        let (head, accept) = answer.split_once("Accept: ").expect("the header");
        let flipped: String = accept.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
        let accept = format!("{}=\r\n\r\n", &flipped[..27]);
        peer.write(format!("{head}Accept: {accept}").as_bytes());
        peer.expect_gone();
    });
    let error = block_on(Client::new(&url).unwrap().connect()).map(drop).expect_err("a wrong key");
    let wrong = HandshakeError::InvalidAccept;
    assert!(matches!(&error, ConnectError::Handshake(e) if *e == wrong), "{error}");
    server.join().expect("the client has left");
}

#[test]
fn a_server_that_never_answers_is_given_up_after_the_handshake_timeout() {
    let (listener, url) = listen();
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(200);
    let (gone, left) = channel();
    let server = thread::spawn(move || {
        let (peer, _) = Peer::accept(&listener);
        peer.expect_gone();
        gone.send(()).expect("the scenario waits");
    });
    let outcome = block_on(Client::new(&url).unwrap().options(options).connect());
    assert!(matches!(outcome, Err(ConnectError::TimedOut)));
    left.recv_timeout(PATIENCE).expect("the client has left");
    server.join().expect("the client has left");
}

#[test]
fn a_port_where_nobody_listens_is_an_error_of_the_transport() {
    let (address, _kept) = closed("127.0.0.1");
    let url = format!("ws://{address}");
    let outcome = block_on(Client::new(&url).unwrap().connect()).map(drop);
    assert!(matches!(outcome, Err(ConnectError::Unreachable(_))), "{outcome:?}");
}

#[test]
fn what_is_no_address_is_not_tried() {
    for url in ["http://127.0.0.1/", "127.0.0.1", "ws://", "ws://me:secret@127.0.0.1/"] {
        let client = Client::new(url).map(drop);
        assert!(matches!(client, Err(ConnectError::InvalidUrl(_))), "{url}: {client:?}");
    }
    // TLS is not done here, and not silently left out either.
    let outcome = block_on(Client::new("wss://127.0.0.1:9/").unwrap().connect()).map(drop);
    assert!(matches!(outcome, Err(ConnectError::InvalidUrl(_))), "{outcome:?}");
}
