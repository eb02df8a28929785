//! HTTP/1.1.

use axum::{
    Extension, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use prism_axum::{
    Client, CloseCode, ConnectError, Connection, ConnectionHandler, Disconnect, Message, Options,
    Origins, OwnedMessage, Socket, WebSocketUpgrade, WebSocketUpgradeRejection, WebSockets,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::Server;

fn client(server: &Server, target: &str) -> Client {
    Client::new(&format!("ws://{}{target}", server.address)).expect("a valid URL")
}

async fn open(server: &Server, target: &str) -> Socket {
    client(server, target).connect().await.expect("it is accepted")
}

async fn refused(client: Client) -> u16 {
    match client.connect().await {
        Err(ConnectError::Refused(refusal)) => refusal.status,
        other => panic!("{other:?}"),
    }
}

async fn receive(socket: &Socket) -> String {
    match socket.recv().await {
        Ok(OwnedMessage::Text(text)) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| async move {
        while let Ok(message) = socket.recv().await {
            socket.send(message).await.expect("it is open");
        }
    })
}

#[derive(Clone)]
struct User(&'static str);

/// Tells its peer what the connection knows, and counts messages.
struct Facts {
    received: usize,
}

impl ConnectionHandler for Facts {
    async fn on_connect(&mut self, connection: &Connection) {
        let facts = format!(
            "{} {:?} {:?} {:?} {:?} {:?} {}",
            connection.path(),
            connection.query(),
            connection.param("room"),
            connection.header("X-Token"),
            connection.subprotocol(),
            connection.data::<User>().map(|user| user.0),
            connection.peer_addr().is_some_and(|addr| addr.ip().is_loopback()),
        );
        connection.send(facts).await.expect("it is open");
    }

    async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
        self.received += 1;
        connection.send(self.received.to_string()).await.expect("it is open");
    }
}

#[tokio::test]
async fn a_connection_knows_its_request_and_has_its_own_state() {
    async fn facts(
        upgrade: WebSocketUpgrade,
        Extension(user): Extension<User>,
        Path(room): Path<String>,
    ) -> Response {
        assert_eq!(room, "caf\u{e9}");
        assert!(upgrade.requested_protocols().eq(["a", "chat"]));
        let upgrade = upgrade.subprotocols(["chat.v2", "chat"]);
        assert_eq!(upgrade.selected_protocol(), Some("chat"));
        upgrade.data(user).handler(Facts { received: 0 })
    }

    let rooms = Router::new().route("/rooms/{room}", any(facts)).layer(Extension(User("ada")));
    let routes = Router::new().nest("/api", rooms);
    let server = Server::start(WebSockets::default(), routes).await;
    let connect = async || {
        let client = client(&server, "/api/rooms/caf%C3%A9?x=1").header("X-Token", "secret");
        let client = client.unwrap().subprotocol("a").unwrap().subprotocol("chat").unwrap();
        client.connect().await.expect("it is accepted")
    };
    let sockets = [connect().await, connect().await];
    for socket in &sockets {
        let expected = r#"/api/rooms/caf%C3%A9 Some("x=1") Some("café") Some("secret") Some("chat") Some("ada") true"#;
        assert_eq!(receive(socket).await, expected);
        for number in ["1", "2"] {
            socket.send("count").await.unwrap();
            assert_eq!(receive(socket).await, number);
        }
    }
}

#[tokio::test]
async fn a_rejection_is_the_reply_of_the_core_unless_the_application_answers() {
    async fn own(upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>) -> Response {
        match upgrade {
            Ok(_dropped) => StatusCode::IM_A_TEAPOT.into_response(),
            Err(rejection) => (StatusCode::IM_A_TEAPOT, rejection.to_string()).into_response(),
        }
    }

    let websockets = WebSockets::builder().origins(Origins::same()).build();
    let routes = Router::new().route("/own", any(own)).route("/files/{name}", any(echo));
    let server = Server::start(websockets, routes.fallback(any(echo))).await;
    let evil = client(&server, "/").header("Origin", "https://evil.example").unwrap();
    assert_eq!(refused(evil).await, 403);
    assert_eq!(refused(client(&server, "/files/..%2Fetc")).await, 400);
    assert_eq!(refused(client(&server, "/files/%FF")).await, 400);
    assert_eq!(refused(client(&server, "/own")).await, 418);
    for (target, expected) in [
        ("/", &["HTTP/1.1 426 ", "upgrade: websocket", "sec-websocket-version: 13"][..]),
        ("/own", &["HTTP/1.1 418 ", "426 Upgrade Required: no websocket in Upgrade"]),
    ] {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(expected.iter().all(|part| answer.contains(part)), "{answer}");
    }
    let refused = server.websockets.stats().counts().refused;
    assert_eq!((refused.bad_request, refused.forbidden_origin, refused.unauthorized), (3, 1, 1));
}

#[tokio::test]
async fn a_frame_that_comes_with_the_request_is_received() {
    let server = Server::start(WebSockets::default(), Router::new().fallback(any(echo))).await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let frame = b"\x81\x81\0\0\0\0a"; // "a", masked with zeros
    stream.write_all(&[request.as_bytes(), frame].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n\x81\x01a") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{}", answer.escape_ascii());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn long_messages_and_limits_of_one_connection() {
    async fn small(upgrade: WebSocketUpgrade) -> Response {
        let limits = Options::default().max_message_size(10);
        upgrade.options(limits).on_upgrade(|socket| async move {
            let end = socket.recv().await.expect_err("it is too long");
            assert!(matches!(end, Disconnect::Failed(_)), "{end:?}");
        })
    }

    let routes = Router::new().route("/small", any(small)).fallback(any(echo));
    let server = Server::start(WebSockets::default(), routes).await;
    let long = "long ".repeat(100_000);
    let socket = open(&server, "/").await;
    socket.send(&*long).await.unwrap();
    assert!(receive(&socket).await == long);
    let socket = open(&server, "/small").await;
    socket.send("longer than ten").await.unwrap();
    let end = socket.recv().await.expect_err("it is too long");
    assert!(matches!(end, Disconnect::Peer { code: CloseCode::MESSAGE_TOO_BIG, .. }), "{end:?}");
}

#[tokio::test]
async fn a_graceful_shutdown_closes_each_websocket_and_lets_axum_end() {
    let server = Server::start(WebSockets::default(), Router::new().fallback(any(echo))).await;
    let mut sockets = Vec::new();
    // Each takes two descriptors, and a process often has only 1024.
    for _ in 0..300 {
        let socket = open(&server, "/").await;
        socket.send("hello").await.unwrap();
        assert_eq!(receive(&socket).await, "hello");
        sockets.push(socket);
    }
    let websockets = server.stop().await;
    for socket in sockets {
        let end = socket.recv().await.expect_err("the server is shutting down");
        assert!(matches!(end, Disconnect::Peer { code: CloseCode::GOING_AWAY, .. }), "{end:?}");
    }
    let outcome = websockets.shut_down().await;
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (300, 0, 0));
}

#[tokio::test]
async fn without_an_extension_the_process_has_its_own_websockets() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(any(echo));
    tokio::spawn(async { axum::serve(listener, routes).await });
    let socket = prism_axum::connect(&format!("ws://{address}/")).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(receive(&socket).await, "hello");
}

#[tokio::test]
async fn a_panic_of_the_function_closes_with_1011() {
    async fn panicking(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(|socket| async move {
            let _ = socket.recv().await;
            panic!("on purpose");
        })
    }

    let server = Server::start(WebSockets::default(), Router::new().fallback(any(panicking))).await;
    let socket = open(&server, "/").await;
    socket.send("go").await.unwrap();
    let end = socket.recv().await.expect_err("it panics");
    assert!(matches!(end, Disconnect::Peer { code: CloseCode::INTERNAL_ERROR, .. }), "{end:?}");
}

#[tokio::test]
async fn a_request_whose_stream_has_been_taken_gets_a_500() {
    async fn second(_first: WebSocketUpgrade, second: WebSocketUpgrade) -> Response {
        second.on_upgrade(async |_| ())
    }

    let server = Server::start(WebSockets::default(), Router::new().fallback(any(second))).await;
    assert_eq!(refused(client(&server, "/")).await, 500);
    let refused = server.websockets.stats().counts().refused;
    assert_eq!((refused.failed, refused.unauthorized), (1, 1));
}
