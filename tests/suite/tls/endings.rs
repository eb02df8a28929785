//! How connections over TLS end: with TLS's own end (`close_notify`) or without, and cut at any byte.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use super::{client_limits::Server, echo, serve_tls, tls_of};
use crate::{
    prism::{
        CloseCode, Disconnect, Failure, OwnedMessage, ProtocolError, Socket,
        tls::rustls::ServerConnection,
    },
    suite::support::{
        authority::Authority,
        block_on,
        handlers::{Events, RecordingEcho, recorder},
        head::Head,
        peer::{CLOSE, Peer, TEXT, close_payload, encode},
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

/// Forwards bytes between one client and a server, at most `most` of them to the client, and then ends the connection
/// under TLS. Returns the URL, and the client's end of the connection.
fn bridge(target: SocketAddr, most: u64) -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("wss://localhost:{}/", listener.local_addr().expect("an address").port());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut server = TcpStream::connect(target).expect("a server");
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
        sender.send(clone(&client)).expect("the scenario waits");
        let (mut from, mut to) = (clone(&client), clone(&server));
        thread::spawn(move || io::copy(&mut from, &mut to));
        // Either may fail once the scenario has cut the connection.
        let _ = io::copy(&mut Read::take(&mut server, most), &mut client);
        let _ = client.shutdown(Shutdown::Write);
    });
    (url, receiver)
}

async fn connect_over(url: &str, authority: &Authority) -> Socket {
    let client = crate::prism::Client::new(url).expect("a good address");
    let socket = client.tls(super::trust(authority)).connect().await.expect("it trusts");
    echo(&socket, "hello").await;
    socket
}

#[test]
fn a_server_that_ends_without_tls_own_end_between_two_records_is_a_failure() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let (url, client_end) = bridge(server.address(), u64::MAX);
    block_on(async {
        let socket = connect_over(&url, &authority).await;
        let client_end = client_end.recv().expect("the bridge has connected");
        client_end.shutdown(Shutdown::Write).expect("a connected socket");
        let ended = socket.recv().await.map(|_: OwnedMessage| ()).expect_err("it is cut");
        assert!(is_unexpected_eof(&ended), "{ended}");
    });
}

#[test]
fn a_client_whose_connection_is_cut_fails() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    // The server sends the long message in part.
    let (url, _client_end) = bridge(server.address(), 50_000);
    block_on(async {
        let socket = connect_over(&url, &authority).await;
        socket.send("x".repeat(100_000)).await.expect("the connection is open");
        let ended = socket.recv().await.map(|_: OwnedMessage| ()).expect_err("it is cut");
        assert!(is_unexpected_eof(&ended), "{ended}");
    });
}

/// Accepts a client with both handshakes, and sends it two messages. Ends after `cut` bytes of what follows the TLS
/// handshake. Returns the lengths of those records.
fn send_up_to(server: &Server, cut: usize) -> [usize; 3] {
    let (mut stream, _) = server.listener.accept().expect("a client");
    let mut tls = ServerConnection::new(server.config.clone()).expect("a good configuration");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        tls.complete_io(&mut stream).expect("the client speaks TLS");
        let _ = tls.reader().read_to_end(&mut request); // there is no end yet
    }
    let request = str::from_utf8(&request).expect("text").trim_end();
    let response = Peer::upgrade_response(&Head::parse(request));
    let [one, two] = ["one", "two"].map(|text| encode(false, true, TEXT, text.as_bytes()));
    let records = [response.into_bytes(), one, two].map(|bytes| {
        let mut record = Vec::new();
        tls.writer().write_all(&bytes).expect("room for a few bytes");
        tls.write_tls(&mut record).expect("memory takes all");
        record
    });
    let bytes = records.concat();
    stream.write_all(&bytes[..cut.min(bytes.len())]).expect("the client reads");
    stream.shutdown(Shutdown::Write).expect("a connected socket");
    let _ = stream.read_to_end(&mut Vec::new()); // until the client ends
    records.map(|record| record.len())
}

#[test]
fn a_client_whose_connection_is_cut_at_any_byte_after_the_tls_handshake_fails() {
    let authority = Authority::new();
    for version in VERSIONS {
        let server = &Server::new(&authority, version);
        let client = crate::prism::Client::new(&server.url()).expect("a good address");
        let client = client.tls(super::trust(&authority));
        let mut cut = 0;
        while thread::scope(|scope| {
            let serving = scope.spawn(move || send_up_to(server, cut));
            let received = block_on(async {
                let Ok(socket) = client.clone().connect().await else { return None };
                let mut received = Vec::new();
                let ended = loop {
                    match socket.recv().await {
                        Ok(message) => received.push(message),
                        Err(ended) => break ended,
                    }
                };
                assert!(is_unexpected_eof(&ended), "at {cut}: {ended}");
                Some(received.len())
            });
            let [response, one, two] = serving.join().expect("the server does not panic");
            let expected = [response, response + one, response + one + two];
            let complete = expected.into_iter().filter(|end| *end <= cut).count();
            assert_eq!(received, complete.checked_sub(1), "at {cut}");
            complete < expected.len()
        }) {
            cut += 1;
        }
        assert!(cut > 200, "{cut} bytes");
    }
}
