//! How connections over TLS end: with TLS's own end (`close_notify`) or without, and cut at any byte.

use std::{io::Write, net::TcpListener, sync::Arc, thread};

use super::{client, echo, serve_tls, tls_of};
use crate::{
    prism::{CloseCode, Disconnect, Failure, OwnedMessage, ProtocolError},
    suite::support::{
        authority::Authority,
        block_on,
        handlers::{Events, RecordingEcho, recorder},
        peer::{CLOSE, TEXT, close_payload, encode},
        server::{TestServer, serve},
        tls_peer::{TlsPeer, VERSIONS, config},
        wait_until,
    },
};

fn recording_echo(authority: &Authority) -> (TestServer, Events) {
    let tls = tls_of(&authority.issue("localhost"));
    let (recorder, events) = recorder();
    (serve(|server| server.tls(tls).websocket("/", RecordingEcho(recorder))), events)
}

fn is_unexpected_eof(end: &Disconnect) -> bool {
    matches!(end, Disconnect::Failed(Failure::Protocol(ProtocolError::UnexpectedEof)))
}

fn close_frame() -> Vec<u8> {
    encode(true, true, CLOSE, &close_payload(1000, ""))
}

#[test]
fn a_connection_cut_at_any_byte_of_a_record_fails() {
    let authority = Authority::new();
    let (server, events) = recording_echo(&authority);
    for version in VERSIONS {
        let config = Arc::new(config(&authority, version));
        let mut cut = 0;
        loop {
            let mut peer = TlsPeer::open_websocket(server.address(), config.clone());
            let first = peer.encrypt(&encode(true, true, TEXT, b"one"));
            let whole = first.len();
            let records = [first, peer.encrypt(&encode(true, true, TEXT, b"two"))].concat();
            peer.stream.write_all(&records[..cut]).expect("the server reads");
            peer.send_eof();
            events.connected();
            let messages = [(whole, "one"), (records.len(), "two")];
            for (_, text) in messages.iter().filter(|(end, _)| *end <= cut) {
                assert_eq!(events.message().as_message().as_text(), Some(*text), "{cut}");
            }
            let ended = events.ended();
            assert!(is_unexpected_eof(&ended), "at {cut}: {ended}");
            peer.expect_disconnect();
            cut += 1;
            if cut > records.len() {
                break;
            }
        }
    }
    server.stop();
    events.nothing_more();
}

#[test]
fn an_end_of_tls_without_a_close_frame_is_a_failure() {
    let authority = Authority::new();
    let (server, events) = recording_echo(&authority);
    for version in VERSIONS {
        let mut peer = TlsPeer::open_websocket(server.address(), config(&authority, version));
        peer.send_close_notify();
        events.connected();
        let ended = events.ended();
        assert!(is_unexpected_eof(&ended), "{ended}");
        peer.read_to_end().expect("the server ends TLS as well");
    }
}

#[test]
fn after_a_close_frame_the_end_of_tls_may_be_missing() {
    let authority = Authority::new();
    let (server, events) = recording_echo(&authority);
    for version in VERSIONS {
        let mut peer = TlsPeer::open_websocket(server.address(), config(&authority, version));
        peer.write(&close_frame());
        peer.send_eof();
        events.connected();
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Peer { code: CloseCode::NORMAL, .. }), "{ended}");
        // The server itself ends with a close frame, TLS's own end, and the end of the connection.
        let answer = peer.read_to_end().expect("a close frame, and TLS's own end");
        assert_eq!(answer, encode(false, true, CLOSE, &close_payload(1000, "")));
    }
    wait_until("the connections have ended", || server.stats().counts().closed == 2);
}

#[test]
fn what_comes_after_a_close_frame_changes_nothing() {
    let authority = Authority::new();
    let (server, events) = recording_echo(&authority);
    for version in VERSIONS {
        let mut peer = TlsPeer::open_websocket(server.address(), config(&authority, version));
        // A record that cannot be decrypted.
        let garbage = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
        let close = peer.encrypt(&close_frame());
        peer.stream.write_all(&[close, garbage].concat()).expect("the server reads");
        events.connected();
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Peer { code: CloseCode::NORMAL, .. }), "{ended}");
        peer.expect_disconnect();
    }
    wait_until("the connections have ended", || server.stats().counts().closed == 2);
}

#[test]
fn a_record_that_cannot_be_decrypted_is_a_failure() {
    let authority = Authority::new();
    let (server, events) = recording_echo(&authority);
    for version in VERSIONS {
        let mut peer = TlsPeer::open_websocket(server.address(), config(&authority, version));
        let mut record = peer.encrypt(&encode(true, true, TEXT, b"hello"));
        *record.last_mut().expect("a record") ^= 1;
        peer.stream.write_all(&record).expect("the server reads");
        events.connected();
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::Io(_))), "{ended}");
        let error = peer.read_to_end().expect_err("an alert");
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
    wait_until("the connections have ended", || server.stats().counts().closed == 2);
}

#[test]
fn an_end_without_tls_own_end_is_no_clean_end() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
        socket.connection().abort();
        assert!(matches!(socket.recv().await, Err(Disconnect::Failed(_))));
    });
    wait_until("the connection has ended", || server.stats().counts().closed == 1);
}

#[test]
fn a_client_whose_connection_is_cut_fails() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let bridge = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("wss://localhost:{}/", bridge.local_addr().expect("an address").port());
    let target = server.address();
    let cutter = thread::spawn(move || {
        use std::{
            io::{self, copy},
            net::{Shutdown, TcpStream},
        };
        let (mut client, _) = bridge.accept().expect("a client");
        let mut server = TcpStream::connect(target).expect("a server");
        let mut upward =
            (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
        thread::spawn(move || copy(&mut upward.0, &mut upward.1));
        // Forwards the server's bytes, until it has sent the long message in part.
        let mut limited = io::Read::take(&mut server, 50_000);
        copy(&mut limited, &mut client).expect("the client reads");
        client.shutdown(Shutdown::Write).expect("a connected socket");
    });
    block_on(async {
        let client = crate::prism::Client::new(&url).expect("a good address");
        let socket = client.tls(super::trust(&authority)).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
        socket.send("x".repeat(100_000)).await.expect("the connection is open");
        let ended = socket.recv().await.map(|_: OwnedMessage| ()).expect_err("it is cut");
        assert!(is_unexpected_eof(&ended), "{ended}");
    });
    cutter.join().expect("the bridge does not panic");
}
