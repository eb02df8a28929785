//! Compressed messages between Prism and the other Rust libraries that compress, in both directions:
//! `cargo test --release --test round_trips`.
#![cfg(all(feature = "peers", feature = "servers"))]

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use futures_util::SinkExt;
use prism_bench::servers::{self, Mode};
use prism_tokio::{Client, Deflate, Options, OwnedMessage};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use yawc::{Frame, OpCode, WebSocket};

const MESSAGES: usize = 200;

/// Returns texts of many lengths, whose words occur in earlier texts as well.
fn texts() -> impl Iterator<Item = String> {
    let mut state = 1_u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    (0..MESSAGES).map(move |nth| {
        let words = if nth % 50 == 49 { 10_000 } else { random(400) };
        (0..words).map(|_| format!("{{\"word {}\":{}}} ", random(500), random(100_000))).collect()
    })
}

/// Starts a server, which runs until the process ends, and returns its address when it accepts connections.
async fn start(name: &'static str, mode: Mode) -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    thread::spawn(move || servers::run(name, &address.to_string(), 1, mode).expect("it serves"));
    let accepts = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), accepts).await.expect("it listens");
    address
}

/// Sends texts by Prism's client to another library's server.
async fn to(name: &'static str, mode: Mode, deflate: Deflate) {
    let address = start(name, mode).await;
    let options = Options::default().compression(deflate);
    let client = Client::new(&format!("ws://{address}/")).unwrap().options(options);
    let socket = client.connect().await.unwrap();
    let agreed = socket.connection().compression().expect("compression is agreed");
    assert_eq!(agreed.server_no_context_takeover, mode == Mode::Deflate, "{agreed:?}");
    for text in texts() {
        socket.send(&text).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), OwnedMessage::Text(text), "{name}");
    }
}

/// Sends texts by yawc's client to Prism's server.
async fn from_yawc(mode: Mode) {
    let address = start("prism-tokio", mode).await;
    let options = yawc::Options::default().with_utf8().with_balanced_compression();
    let options = match mode {
        Mode::Takeover => options,
        _ => options.server_no_context_takeover().client_no_context_takeover(),
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/").parse().unwrap();
    let mut socket = WebSocket::handshake(url, stream, options).await.unwrap();
    for text in texts() {
        socket.send(Frame::text(text.clone())).await.unwrap();
        let reply = socket.next_frame().await.unwrap();
        assert_eq!(reply.opcode(), OpCode::Text);
        assert_eq!(reply.payload().as_ref(), text.as_bytes());
    }
}

/// Its servers do not compress for a client with several offers (RFC 7692 §5.1), so this client has only one.
#[tokio::test]
async fn prism_to_yawc() {
    let deflate = Deflate::default().server_no_context_takeover(false);
    assert!(!deflate.offer().contains(','));
    to("yawc", Mode::Takeover, deflate).await;
}

#[tokio::test]
async fn prism_to_sockudo_ws() {
    to("sockudo-ws", Mode::Deflate, Deflate::default()).await;
    to("sockudo-ws", Mode::Takeover, Deflate::default().with_takeover()).await;
}

/// Its servers have no context takeover.
#[tokio::test]
async fn prism_to_wtx() {
    to("wtx", Mode::Deflate, Deflate::default()).await;
}

#[tokio::test]
async fn yawc_to_prism() {
    from_yawc(Mode::Deflate).await;
    from_yawc(Mode::Takeover).await;
}
