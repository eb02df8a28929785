//! Peers that send records without content over TLS. One poll takes only a bounded number of their bytes, so that other
//! tasks run, and deadlines pass.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use futures_lite::AsyncWriteExt;
use prism_driver::{
    Client, ConnectError, Handler, Message, Reply, Request, Runtime, ServerStats, shared,
    tls::{
        TlsClient, TlsServer,
        rustls::{
            Connection, ContentType, KeyLog, ProtocolVersion, ServerConnection,
            SupportedCipherSuite,
            crypto::{
                cipher::{AeadKey, Iv, OutboundPlainMessage},
                tls13::OkmBlock,
            },
        },
    },
};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::REQUEST,
    net::{Net, Reach},
    s,
    tls::{CERTIFICATE, KEY, connect_tls, encrypt, receive, server_config},
};

/// How many bytes a poll may take: a turn is 32 KiB, and short records count for more than they have.
const MOST: usize = 12 << 10;

/// Never returns.
struct Stuck;

impl Handler for Stuck {
    async fn on_message(&self, connection: &prism_driver::Connection, _: Message<'_>) {
        connection.close(prism_driver::CloseCode::NORMAL, "");
        pending::<()>().await;
    }
}

fn serve(sim: &Sim) -> (Net, ServerStats) {
    let net = Net::new(sim);
    let tls = TlsServer::from_pem(CERTIFICATE, KEY).unwrap();
    let never = |_: Request| pending::<Result<(), Reply>>();
    let stats = net.serve(|server| {
        server
            .tls(tls)
            .websocket("/chat", Echo)
            .websocket("/stuck", Stuck)
            .websocket("/undecided", shared(Echo).authorize(never))
    });
    (net, stats)
}

/// Encrypts bytes, each after 30 `KeyUpdate`s, of which rustls allows 32 in a row.
fn flood(tls: &mut Connection, content: &[u8]) -> Vec<u8> {
    let mut flood = Vec::new();
    for byte in content {
        for _ in 0..30 {
            tls.refresh_traffic_keys().unwrap();
        }
        flood.extend(encrypt(tls, &[*byte]));
    }
    flood
}

async fn send(io: &mut PipeEnd, tls: &mut Connection, bytes: &[u8]) {
    io.write_all(&encrypt(tls, bytes)).await.unwrap();
}

fn request(path: &str) -> String {
    REQUEST.replace("/chat", path)
}

/// Runs until `done`, and returns the largest decrease of `left` in one step.
fn most_in_a_step(sim: &Sim, left: impl Fn() -> usize, done: impl Fn() -> bool) -> usize {
    let mut most = 0;
    while !done() {
        let before = left();
        assert!(sim.step(), "it waits in vain");
        most = most.max(before.saturating_sub(left()));
    }
    most
}

/// Sends a flood that contains these bytes, and checks that no step takes too much of it.
async fn check(sim: &Sim, io: &mut PipeEnd, faults: &Faults, tls: &mut Connection, content: &[u8]) {
    let flood = flood(tls, content);
    assert!(flood.len() > 200 << 10, "{} bytes", flood.len());
    io.write_all(&flood).await.unwrap();
    let left = || faults.to_server().unread();
    let most = most_in_a_step(sim, left, || left() == 0);
    assert!(most <= MOST, "{most} bytes in one step");
}

#[test]
fn a_poll_takes_a_bounded_number_of_bytes_of_a_request() {
    let sim = Sim::default();
    let (net, _) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = connect_tls(&net).await;
        let head = format!("{}X: {}", REQUEST.trim_end(), "x".repeat(200));
        check(&sim, &mut io, &faults, &mut tls, head.as_bytes()).await;
    });
}

#[test]
fn a_poll_takes_a_bounded_number_of_bytes_after_a_refusal() {
    let sim = Sim::default();
    let (net, _) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = connect_tls(&net).await;
        send(&mut io, &mut tls, request("/nothing").as_bytes()).await;
        while receive(&mut io, &mut tls).await > 0 {}
        check(&sim, &mut io, &faults, &mut tls, &[0; 300]).await;
    });
}

#[test]
fn a_poll_takes_a_bounded_number_of_bytes_during_an_authorization() {
    let sim = Sim::default();
    let (net, _) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = connect_tls(&net).await;
        send(&mut io, &mut tls, request("/undecided").as_bytes()).await;
        sim.settle().await;
        check(&sim, &mut io, &faults, &mut tls, &[0; 300]).await;
    });
}

#[test]
fn a_poll_takes_a_bounded_number_of_bytes_of_an_open_connection() {
    let sim = Sim::default();
    let (net, stats) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = connect_tls(&net).await;
        send(&mut io, &mut tls, REQUEST.as_bytes()).await;
        sim.settle().await;
        // A message that has yet to arrive.
        let frame = [&b"\x82\xfe\x7f\xff"[..], &[0; 300]].concat();
        check(&sim, &mut io, &faults, &mut tls, &frame).await;
        assert_eq!(stats.counts().open, 1);
    });
}

#[test]
fn a_bounded_number_of_bytes_is_kept_when_a_handler_is_stuck() {
    let sim = Sim::default();
    let (net, _) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = connect_tls(&net).await;
        send(&mut io, &mut tls, request("/stuck").as_bytes()).await;
        send(&mut io, &mut tls, b"\x81\x80\0\0\0\0").await;
        sim.settle().await;
        io.write_all(&flood(&mut tls, &[0; 1_000])).await.unwrap();
        let left = || faults.to_server().unread();
        assert!(left() > 700 << 10, "{}", left());
        // At the close timeout, the transport is dropped. What it still has is read first.
        let most = most_in_a_step(&sim, left, || faults.dropped_by_server());
        assert!((1..=9 * MOST).contains(&most), "{most} bytes");
        assert_eq!(sim.now(), s(5));
    });
}

// ---- a client

/// Learns the secret that a server encrypts with after its handshake.
#[derive(Debug, Default)]
struct Secret(Mutex<Vec<u8>>);

impl KeyLog for Secret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "SERVER_TRAFFIC_SECRET_0" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

/// Returns records of session tickets that follow a server's first flight. (An honest server waits for the client's.)
fn tickets(tls: &Connection, secret: &Secret, count: u64) -> Vec<u8> {
    let Some(SupportedCipherSuite::Tls13(suite)) = tls.negotiated_cipher_suite() else {
        panic!("TLS 1.3")
    };
    let secret = OkmBlock::new(&secret.0.lock().unwrap());
    let expander = suite.hkdf_provider.expander_for_okm(&secret);
    // RFC 8446 §7.1: a length, a label, and no context.
    let expand = |label: &[u8], output: &mut [u8]| {
        let lengths = [0, output.len() as u8, label.len() as u8];
        expander.expand_slice(&[&lengths, label, &[0]], output).unwrap();
    };
    let (mut key, mut iv) = ([0; 32], [0; 12]);
    expand(b"tls13 key", &mut key);
    expand(b"tls13 iv", &mut iv);
    let mut encrypter = suite.aead_alg.encrypter(AeadKey::from(key), Iv::from(iv));
    // RFC 8446 §4.6.1: a lifetime of an hour, what to add to its age, no nonce, and a ticket of one byte.
    let ticket = [4, 0, 0, 14, 0, 0, 14, 16, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0];
    let (typ, version) = (ContentType::Handshake, ProtocolVersion::TLSv1_2);
    let record = |number| {
        let message = OutboundPlainMessage { typ, version, payload: ticket[..].into() };
        encrypter.encrypt(message, number).unwrap().encode()
    };
    (0..count).flat_map(record).collect()
}

#[test]
fn a_client_takes_a_bounded_number_of_bytes_that_follow_a_handshake() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("localhost", &[("127.0.0.1:443", Reach::After(s(0)))]);
    let trust = TlsClient::trusting_pem(CERTIFICATE).unwrap();
    let client = Client::new_on(net.clone(), "wss://localhost/chat").unwrap().tls(trust);
    let (sender, outcome) = async_channel::bounded(1);
    sim.spawn(async move { sender.send(client.connect().await.map(drop)).await.unwrap() });
    sim.run(async {
        let (_, mut io, faults) = net.arrival().await;
        let secret = Arc::<Secret>::default();
        let mut config = server_config();
        config.key_log = secret.clone();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap().into();
        while receive(&mut io, &mut tls).await > 0 && !tls.wants_write() {}
        let mut flight = encrypt(&mut tls, b"");
        flight.extend(tickets(&tls, &secret, 10_000));
        assert!(flight.len() > 300 << 10, "{} bytes", flight.len());
        io.write_all(&flight).await.unwrap();
        let left = || faults.to_client().unread();
        let most = most_in_a_step(&sim, left, || !outcome.is_empty());
        // One turn ends with the handshake, and another one begins when the request has been sent.
        assert!(most <= 2 * MOST, "{most} bytes in one step");
        let error = outcome.recv().await.unwrap().expect_err("too many tickets");
        assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
        assert!(error.to_string().contains("too many TLS records without content"), "{error}");
        assert_eq!(sim.now(), s(0));
    });
}
