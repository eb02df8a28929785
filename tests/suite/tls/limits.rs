//! Peers that stop, end or send too much during the TLS handshake of a server.

use std::{
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use super::{client, echo, serve_tls, tls_of};
use crate::{
    prism::{
        Options, ServerOptions,
        tls::{TlsServer, rustls::ProtocolVersion},
    },
    suite::support::{
        authority::Authority,
        block_on,
        handlers::Echo,
        own_process::{heap, in_own_process, peak_heap},
        peer::Peer,
        server::{TestServer, serve},
        tls_peer::{TlsPeer, VERSIONS, config},
        wait_until,
    },
};

/// The record of an alert (RFC 8446 §5.1).
const ALERT: u8 = 21;

/// A client sends two flights: its hello, and what completes the handshake.
const FLIGHTS: usize = 2;

/// Sends the flights before this one, and returns its bytes.
fn flight(peer: &mut TlsPeer, number: usize) -> Vec<u8> {
    for _ in 0..number {
        let flight = peer.take_output();
        peer.stream.write_all(&flight).expect("the server reads");
        let mut is_complete = false;
        while !is_complete {
            let count = peer.tls.read_tls(&mut peer.stream).expect("a flight of the server");
            assert!(count > 0, "the server has ended");
            peer.tls.process_new_packets().expect("the server speaks TLS");
            // With TLS 1.2, the server's last flight is yet to come.
            is_complete = match peer.tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => peer.tls.wants_write(),
                _ => !peer.tls.is_handshaking(),
            };
        }
    }
    peer.take_output()
}

/// Reads up to the end, which may be a reset.
fn read_to_end(peer: &mut Peer) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = peer.stream.read_to_end(&mut read);
    read
}

/// Returns the first `sent` bytes of a ClientHello that claims to have `claimed` bytes of content, in records of 1 KiB.
fn client_hello(claimed: usize, sent: usize) -> Vec<u8> {
    message(1, claimed, sent)
}

fn message(kind: u8, claimed: usize, sent: usize) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(claimed).expect("24 bits").to_be_bytes();
    let mut message = vec![kind, high, middle, low];
    message.resize(sent, 0);
    let record = |part: &[u8]| {
        let len = u16::try_from(part.len()).expect("a short record").to_be_bytes();
        [&[22, 3, 1][..], &len, part].concat()
    };
    message.chunks(1024).flat_map(record).collect()
}

fn with_timeout(authority: &Authority, timeout: Duration) -> TestServer {
    serve_with_timeout(tls_of(&authority.issue("localhost")), timeout)
}

fn serve_with_timeout(tls: TlsServer, timeout: Duration) -> TestServer {
    let options = Options::default().handshake_timeout(timeout);
    serve(|server| server.options(options).tls(tls).websocket("/", Echo))
}

#[test]
fn a_stall_in_any_flight_ends_at_the_handshake_timeout() {
    let authority = Authority::new();
    let server = with_timeout(&authority, Duration::from_millis(500));
    let mut stalled = Vec::new();
    for version in VERSIONS {
        let config = Arc::new(config(&authority, version));
        for number in 0..FLIGHTS {
            for part in [0, 1, 6, 50, usize::MAX] {
                let mut peer = TlsPeer::dial(server.address(), config.clone());
                let flight = flight(&mut peer, number);
                peer.stream.write_all(&flight[..part.min(flight.len())]).expect("it reads");
                stalled.push(peer);
            }
        }
    }
    let count = stalled.len() as u64;
    stalled.into_iter().for_each(TlsPeer::expect_disconnect);
    wait_until("all are counted", || server.stats().counts().refused.timed_out == count);
    let counts = server.stats().counts();
    assert_eq!((counts.in_handshake, counts.refused.total()), (0, count));
    // Those that had not got a session could not be answered, and nothing was cut off.
    assert_eq!(counts.incomplete, 0);
}

/// Ends connections at each byte of each flight. Returns how many.
fn end_at_each_byte(server: &TestServer, authority: &Authority) -> u64 {
    let mut count = 0;
    for version in VERSIONS {
        let config = Arc::new(config(authority, version));
        for number in 0..FLIGHTS {
            let mut cut = 0;
            loop {
                let mut peer = TlsPeer::dial(server.address(), config.clone());
                let flight = flight(&mut peer, number);
                peer.stream.write_all(&flight[..cut]).expect("the server reads");
                if cut % 2 == 0 {
                    peer.send_eof();
                    peer.expect_disconnect();
                } else {
                    drop(peer); // a reset, if anything is unread
                }
                (cut, count) = (cut + 1, count + 1);
                if cut > flight.len() {
                    break;
                }
            }
        }
    }
    wait_until("all have ended", || server.stats().counts().in_handshake == 0);
    count
}

#[test]
fn an_end_at_any_byte_of_the_handshake_leaves_nothing_behind() {
    in_own_process(&an_end_at_any_byte_of_the_handshake_leaves_nothing_behind, || {
        let authority = Authority::new();
        let server = serve_tls(&authority.issue("localhost"));
        let first = end_at_each_byte(&server, &authority);
        let before = heap();
        let second = end_at_each_byte(&server, &authority);
        let grown = heap().saturating_sub(before);
        let refused = server.stats().counts().refused;
        assert_eq!((refused.left, refused.total()), (first + second, first + second));
        assert!(grown < 64 << 10, "{grown} bytes after {second} connections");
        assert_eq!(server.stop().failed, 0);
    });
}

#[test]
fn a_handshake_message_that_is_too_long_is_refused() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let refused = |server: &TestServer, claimed| {
        let before = server.stats().counts().refused.bad_tls;
        let mut peer = server.dial();
        peer.write(&client_hello(claimed, (4 + claimed).min(80_000)));
        // The end is not a reset, although the server has not read everything.
        let mut answer = Vec::new();
        peer.stream.read_to_end(&mut answer).expect("the end");
        drop(peer);
        wait_until("it is counted", || server.stats().counts().refused.bad_tls == before + 1);
        answer.first().copied()
    };
    // rustls sends no alert for a message that it does not even read.
    assert_eq!(refused(&server, 0xff_ffff), None);
    assert_eq!(refused(&server, 0x1_0000), None);
    // Without certificates, clients have no need for messages as long as rustls allows.
    assert_eq!(refused(&server, 60_000), None);
    // Those with certificates may have.
    let tls = tls_of(&authority.issue("localhost"));
    let tls = tls.require_client_certificates(authority.file()).expect("a certificate");
    let mutual = serve(|server| server.tls(tls).websocket("/", Echo));
    assert_eq!(refused(&mutual, 0xff_ffff), None);
    assert_eq!(refused(&mutual, 60_000), Some(ALERT), "it is no hello, but was read");
}

/// Returns how many bytes a peer takes that sends these bytes, and nothing more.
fn memory_of_unfinished(server: &TestServer, bytes: &[u8]) -> usize {
    const PEERS: usize = 200;
    let before = server.stats().counts().refused.timed_out;
    let peak = peak_heap(|| {
        let mut peers: Vec<_> = (0..PEERS).map(|_| server.dial()).collect();
        peers.iter_mut().for_each(|peer| peer.write(bytes));
        wait_until("all are dropped", || {
            server.stats().counts().refused.timed_out == before + PEERS as u64
        });
    });
    peak / PEERS
}

#[test]
fn an_unfinished_handshake_takes_at_most_48_kib() {
    in_own_process(&an_unfinished_handshake_takes_at_most_48_kib, || {
        let server = with_timeout(&Authority::new(), Duration::from_secs(5));
        let silent = memory_of_unfinished(&server, &[]);
        let unfinished = memory_of_unfinished(&server, &client_hello(60_000, 15_000));
        eprintln!("a silent peer takes {silent} B, an unfinished message {unfinished} B");
        assert!(silent < 5 << 10, "{silent}");
        assert!((15_000..48 << 10).contains(&unfinished), "{unfinished}");
    });
}

#[test]
fn with_client_certificates_an_unfinished_handshake_takes_at_most_80_kib() {
    let test = &with_client_certificates_an_unfinished_handshake_takes_at_most_80_kib;
    in_own_process(test, || {
        let authority = Authority::new();
        let tls = tls_of(&authority.issue("localhost"));
        let tls = tls.require_client_certificates(authority.file()).expect("a certificate");
        let server = serve_with_timeout(tls, Duration::from_secs(5));
        let unfinished = memory_of_unfinished(&server, &client_hello(65_000, 64_000));
        eprintln!("an unfinished message takes {unfinished} B");
        assert!((64_000..80 << 10).contains(&unfinished), "{unfinished}");
    });
}

#[test]
fn with_client_certificates_a_handshake_reads_at_most_64_kib() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let tls = tls.require_client_certificates(authority.file()).expect("a certificate");
    let server = serve(|server| server.tls(tls).websocket("/", Echo));
    // The message itself is short enough, and together with the hello it is not. Then the server does not read all of
    // it.
    for (len, answer) in [(60_000, Some(&ALERT)), (65_100, None)] {
        let mut peer = TlsPeer::dial(server.address(), config(&authority, VERSIONS[0]));
        flight(&mut peer, 1); // is not sent
        peer.stream.write_all(&message(11, len, 4 + len)).expect("the server reads");
        let mut rest = Vec::new();
        peer.stream.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest.first(), answer, "{len}");
    }
}

#[test]
fn a_peer_without_tls_gets_an_alert_and_is_counted() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    // The alert arrives also if most of the request is unread: the end is not a reset.
    for body in [0, 300_000] {
        let mut peer = server.dial();
        let request = Peer::request("/").replace("\r\n\r\n", "\r\nX: ");
        peer.write(format!("{request}{}\r\n\r\n", "x".repeat(body)).as_bytes());
        let mut rest = Vec::new();
        peer.stream.read_to_end(&mut rest).expect("an alert, and the end");
        assert_eq!((rest.first(), rest.len()), (Some(&ALERT), 7), "an alert: {rest:?}");
    }
    wait_until("it is counted", || server.stats().counts().refused.bad_tls == 2);
}

#[test]
fn a_client_that_does_not_speak_http_1_is_refused() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    for version in VERSIONS {
        let mut config = config(&authority, version);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut peer = TlsPeer::dial(server.address(), config);
        let error = peer.shake_hands().expect_err("an alert").to_string();
        assert!(error.contains("NoApplicationProtocol"), "{error}");
    }
    wait_until("both are counted", || server.stats().counts().refused.bad_tls == 2);
}

#[test]
fn a_silent_peer_is_dropped_at_the_handshake_timeout() {
    let authority = Authority::new();
    let server = with_timeout(&authority, Duration::from_millis(200));
    let mut peer = server.dial();
    peer.write(&[22, 3, 1]); // the beginning of a record
    assert_eq!(read_to_end(&mut peer), b"");
    wait_until("it is counted", || server.stats().counts().refused.timed_out == 1);
}

#[test]
fn a_stalled_handshake_makes_way_for_others() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let mut options = ServerOptions::default().max_handshakes(2);
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = serve(|server| server.options(options).tls(tls).websocket("/", Echo));
    let silent = [(); 4].map(|()| server.dial());
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
    });
    wait_until("the oldest are gone", || server.stats().counts().refused.evicted == 3);
    drop(silent);
}

#[test]
fn one_connection_too_many_gets_no_answer_over_tls() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let options = ServerOptions::default().max_connections_per_ip(Some(1));
    let server = serve(|server| server.options(options).tls(tls).websocket("/", Echo));
    block_on(async {
        let first = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        let mut excess = server.dial();
        assert_eq!(read_to_end(&mut excess), b"");
        client(&server, "localhost", &authority).connect().await.expect_err("it has a connection");
        echo(&first, "still here").await;
    });
    wait_until("both are counted", || server.stats().counts().refused.too_many_connections == 2);
}
