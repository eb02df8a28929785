//! HTTP/2 (RFC 8441).

use std::{net::SocketAddr, time::Duration};

use axum::{Router, response::Response, routing::any};
use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use prism_axum::{
    Connection, Handler, Message, Options, ServerOptions, WebSocketUpgrade, WebSockets,
};
use tokio::{net::TcpStream, time::timeout};

use crate::common::Server;

struct Echo;

impl Handler for Echo {
    async fn on_connect(&self, connection: &Connection) {
        let room = connection.param("room").expect("the route has it");
        connection.send(room).await.expect("it is open");
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.send(message).await.expect("it is open");
    }
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.handler(Echo)
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut requests = requests.ready().await.unwrap();
    // With the first answer, the settings of the server have arrived.
    let request = axum::http::Request::get(format!("http://{address}/rooms/a")).body(()).unwrap();
    let response = requests.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"CONNECT".parse().unwrap())
    );
    assert!(requests.is_extended_connect_protocol_enabled());
    requests
}

async fn open(
    requests: &SendRequest<Bytes>,
    address: SocketAddr,
    room: u8,
) -> (SendStream<Bytes>, RecvStream) {
    let request = axum::http::Request::builder()
        .method("CONNECT")
        .uri(format!("http://{address}/rooms/{room}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(())
        .unwrap();
    let mut requests = requests.clone().ready().await.unwrap();
    let (response, send) = requests.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    (send, response.into_body())
}

/// Receives exactly these bytes.
async fn expect(recv: &mut RecvStream, expected: &[u8]) {
    let mut received = Vec::new();
    while received.len() < expected.len() {
        let data = recv.data().await.expect("it is open").unwrap();
        recv.flow_control().release_capacity(data.len()).unwrap();
        received.extend_from_slice(&data);
    }
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_graceful_shutdown_closes_each_websocket_of_a_connection_and_lets_axum_end() {
    let routes = Router::new().route("/rooms/{room}", any(echo));
    let server = Server::start(WebSockets::default(), routes).await;
    let mut streams = Vec::new();
    // hyper allows 200 streams on a connection.
    for room in 0..5 {
        let requests = connect(server.address).await;
        for _ in 0..200 {
            let (mut send, mut recv) = open(&requests, server.address, room).await;
            expect(&mut recv, &[0x81, 1, b'0' + room]).await;
            send.send_data(b"\x81\x81\0\0\0\0a"[..].into(), false).unwrap();
            expect(&mut recv, b"\x81\x01a").await;
            streams.push((send, recv));
        }
    }
    // Each reads by itself: h2 ends a connection on which too many short frames wait to be read.
    let ends = streams.into_iter().map(|(mut send, mut recv)| {
        tokio::spawn(async move {
            expect(&mut recv, b"\x88\x1d\x03\xe9the server is shutting down").await;
            send.send_data(b"\x88\x82\0\0\0\0\x03\xe9"[..].into(), true).unwrap();
            while let Some(data) = recv.data().await {
                assert!(data.unwrap().is_empty(), "nothing follows a close frame");
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    let outcome = server.stop().await.shut_down().await;
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (1000, 0, 0));
    for end in ends {
        end.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_but_keeps_axum_from_ending() {
    async fn flood(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(|socket| async move { while socket.send(&[7; 10_000]).await.is_ok() {} })
    }

    let limits = ServerOptions::from(Options::default()).shutdown_grace(Duration::from_millis(100));
    let routes = Router::new().route("/rooms/{room}", any(flood));
    let mut server = Server::start(WebSockets::new(limits), routes).await;
    let requests = connect(server.address).await;
    let stream = open(&requests, server.address, 1).await;
    server.begin_stop();
    let outcome = server.websockets.shut_down().await;
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (0, 0, 1));
    // This is why a server has a timeout, as the example `axum_echo` has.
    let ended = timeout(Duration::from_millis(100), server.ended()).await;
    assert!(ended.is_err(), "hyper does not wait for the stream");
    drop((requests, stream)); // the connection ends
    server.ended().await;
}
