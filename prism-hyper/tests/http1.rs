//! HTTP/1.1, on each runtime.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::Response;
use http_body_util::Full;
use prism_async_std::AsyncStd;
use prism_driver::{
    Client, CloseCode, ConnectError, Deflate, Disconnect, Network, Options, Origins, OwnedMessage,
    Reply, Socket, WebSockets,
};
use prism_smol::Smol;
use prism_tokio::Tokio;

use crate::common::{Answer, Echo, TestRuntime, answer};

fn client<N: Network + Default>(address: SocketAddr, target: &str) -> Client<N> {
    Client::new(&format!("ws://{address}{target}")).expect("a valid URL")
}

/// Answers with a WebSocket that is opened like this.
fn with_upgrade<N: TestRuntime>(
    websockets: &WebSockets<N>,
    open: impl Fn(prism_hyper::Upgrade<N>) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> Answer {
    let websockets = websockets.clone();
    answer(move |mut request| {
        let (websockets, open) = (websockets.clone(), open.clone());
        async move {
            match prism_hyper::upgrade(&mut request, &websockets).await {
                Ok(upgrade) => open(upgrade),
                Err(refusal) => refusal,
            }
        }
    })
}

async fn exchange(socket: &Socket, text: &str) {
    socket.send(text).await.expect("it is open");
    let received = socket.recv().await.expect("it is open");
    assert_eq!(received, OwnedMessage::Text(text.into()));
}

/// A connection has what its request says, and messages go both ways, compressed.
async fn echo<N: TestRuntime>() {
    let options = Options::default().compression(Deflate::default());
    let websockets = WebSockets::<N>::new(options.clone());
    let address = N::serve(with_upgrade(&websockets, |upgrade| {
        assert_eq!(upgrade.request().path(), "/chat");
        let upgrade = upgrade.subprotocols(["b"]).data(7_u8).header("X-A", "1").expect("valid");
        upgrade.serve_socket(|socket| async move {
            let connection = socket.connection();
            let facts = format!(
                "{:?} {:?} {:?} {}",
                connection.query(),
                connection.subprotocol(),
                connection.data::<u8>(),
                connection.peer_addr().is_some_and(|addr| addr.ip().is_loopback()),
            );
            socket.send(facts).await.expect("it is open");
            while let Ok(message) = socket.recv().await {
                socket.send(message).await.expect("it is open");
            }
        })
    }));
    let client = client::<N>(address, "/chat?x=1").subprotocol("a").unwrap().subprotocol("b");
    let socket = client.unwrap().options(options).connect().await.expect("it is accepted");
    assert_eq!(socket.header("X-A").as_deref(), Some("1"));
    assert!(socket.connection().compression().is_some());
    let facts = socket.recv().await.expect("it is open");
    assert_eq!(facts, OwnedMessage::Text("Some(\"x=1\") Some(\"b\") Some(7) true".into()));
    exchange(&socket, &"long ".repeat(50_000)).await;
}

/// A refusal is that of the core, and HTTP goes on after it.
async fn refusals<N: TestRuntime>() {
    let websockets = WebSockets::<N>::builder().origins(Origins::same()).build();
    let service = prism_hyper::service(&websockets, Echo);
    let address = N::serve(answer(move |request| {
        let answering = hyper::service::Service::call(&service, request);
        async { answering.await.unwrap_or_else(|never| match never {}) }
    }));
    let evil = client::<N>(address, "/").header("Origin", "https://evil.example").unwrap();
    let refused = evil.connect().await.expect_err("another origin");
    assert!(matches!(refused, ConnectError::Refused(refusal) if refusal.status == 403));

    let mut stream = N::default().connect(address).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = read_until(&mut stream, "expected \"Upgrade: websocket\"\n").await;
    for line in ["HTTP/1.1 426 ", "upgrade: websocket", "sec-websocket-version: 13"] {
        assert!(head.contains(line), "{head}");
    }
    // The first frame comes with the request: "a", masked with zeros.
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let request = [upgrade.as_bytes(), b"\x81\x81\0\0\0\0a"].concat();
    stream.write_all(&request).await.unwrap();
    let answer = read_until(&mut stream, "\u{1}a").await;
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    let counts = websockets.stats().counts();
    assert_eq!((counts.refused.bad_request, counts.refused.forbidden_origin), (1, 1));
    assert_eq!(counts.open, 1);
}

/// Reads until the received text ends like this.
async fn read_until(stream: &mut (impl futures_lite::AsyncRead + Unpin), end: &str) -> String {
    let mut received = String::new();
    while !received.ends_with(end) {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).await.expect("it is open");
        assert_ne!(count, 0, "{received}");
        received.push_str(&String::from_utf8_lossy(&chunk[..count]).replace('\u{fffd}', ""));
    }
    received
}

/// A shutdown closes each connection with 1001.
async fn shutdown<N: TestRuntime>() {
    let websockets = WebSockets::<N>::new(Options::default());
    let address = N::serve(with_upgrade(&websockets, |upgrade| upgrade.serve(Echo)));
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let socket = client::<N>(address, "/").connect().await.expect("it is accepted");
        exchange(&socket, "hello").await;
        sockets.push(socket);
    }
    websockets.closing(std::future::ready(())).await;
    for socket in sockets {
        let end = socket.recv().await.expect_err("the server is shutting down");
        assert!(matches!(end, Disconnect::Peer { code: CloseCode::GOING_AWAY, .. }), "{end:?}");
    }
    let outcome = websockets.shut_down().await;
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (20, 0, 0));
    let refused = client::<N>(address, "/").connect().await.expect_err("it is shutting down");
    assert!(matches!(refused, ConnectError::Refused(refusal) if refusal.status == 503));
}

#[test]
fn a_connection_knows_its_request_and_messages_go_both_ways() {
    Tokio::run(echo::<Tokio>());
    Smol::run(echo::<Smol>());
    AsyncStd::run(echo::<AsyncStd>());
}

#[test]
fn a_refusal_is_that_of_the_core_and_http_goes_on() {
    Tokio::run(refusals::<Tokio>());
    Smol::run(refusals::<Smol>());
    AsyncStd::run(refusals::<AsyncStd>());
}

#[test]
fn a_shutdown_closes_each_connection() {
    Tokio::run(shutdown::<Tokio>());
    Smol::run(shutdown::<Smol>());
    AsyncStd::run(shutdown::<AsyncStd>());
}

#[test]
fn a_request_without_a_stream_gets_a_500() {
    Tokio::run(async {
        let authorize = async |_| -> Result<(), Reply> { panic!("it is refused before") };
        let websockets = WebSockets::<Tokio>::builder().authorize(authorize).build();
        let request = http::Request::get("/")
            .header("host", "a")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13");
        let mut request = request.body(()).unwrap();
        let refusal = prism_hyper::upgrade(&mut request, &websockets).await.expect_err("no stream");
        assert_eq!(refusal.status(), 500);
        let counts = websockets.stats().counts();
        assert_eq!((counts.refused.failed, counts.open), (1, 0));
    });
}
