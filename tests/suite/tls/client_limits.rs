//! Servers that stop, end or send too much during the TLS handshake of a client.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::trust;
use crate::{
    prism::{
        Client, ConnectError, Options,
        tls::{
            TlsClient,
            rustls::{
                ServerConfig, ServerConnection, SupportedProtocolVersion,
                crypto::ring,
                pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
            },
        },
    },
    suite::support::{authority::Authority, block_on, tls_peer::VERSIONS},
};

/// A server that speaks TLS up to the point at which a scenario wants it to stop.
pub(super) struct Server {
    pub(super) listener: TcpListener,
    pub(super) config: Arc<ServerConfig>,
}

/// What the server does at that point.
#[derive(Clone, Copy, Debug)]
enum Then {
    End,
    Stall,
}

impl Server {
    pub(super) fn new(authority: &Authority, version: &'static SupportedProtocolVersion) -> Self {
        let pair = authority.issue("localhost");
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("the provider has both versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key)
            .expect("a good pair");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self { listener, config: Arc::new(config) }
    }

    pub(super) fn url(&self) -> String {
        format!("wss://localhost:{}/", self.listener.local_addr().expect("an address").port())
    }

    /// Accepts a connection, and does the handshake. `allow` gets the number and the length of each flight, and returns
    /// how much of it to send. If that is not all, the server stops. Returns whether it did.
    fn accept(&self, mut allow: impl FnMut(usize, usize) -> usize, then: Then) -> bool {
        let (mut stream, _) = self.listener.accept().expect("a client");
        let mut tls = ServerConnection::new(self.config.clone()).expect("a good configuration");
        let mut flights = 0..;
        while tls.is_handshaking() || tls.wants_write() {
            if tls.wants_write() {
                let mut output = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut output).expect("memory takes all");
                }
                let number = flights.next().expect("a number");
                let now = allow(number, output.len()).min(output.len());
                stream.write_all(&output[..now]).expect("the client reads");
                if now < output.len() {
                    stop(stream, then);
                    return true;
                }
                continue;
            }
            let count = tls.read_tls(&mut stream).expect("a flight of the client");
            assert!(count > 0, "the client has ended");
            tls.process_new_packets().expect("the client speaks TLS");
        }
        stop(stream, then);
        false
    }
}

/// Ends a connection, or waits until the client does.
fn stop(mut stream: TcpStream, then: Then) {
    if matches!(then, Then::End) {
        stream.shutdown(Shutdown::Write).expect("a connected socket");
    }
    let _ = stream.read_to_end(&mut Vec::new()); // may be reset
}

fn connect(url: &str, tls: TlsClient, timeout: Duration) -> ConnectError {
    let options = Options::default().handshake_timeout(timeout);
    let client = Client::new(url).expect("a good address").tls(tls).options(options);
    block_on(client.connect()).expect_err("the server stops")
}

#[test]
fn a_server_that_ends_at_any_byte_of_the_handshake_is_an_error() {
    let authority = Authority::new();
    for version in VERSIONS {
        let server = &Server::new(&authority, version);
        let url = server.url();
        let mut sent = 0;
        while thread::scope(|scope| {
            let mut left = sent;
            let allow = move |_, len: usize| {
                let now = left.min(len);
                left -= now;
                now
            };
            let serving = scope.spawn(move || server.accept(allow, Then::End));
            let error = connect(&url, trust(&authority), Duration::from_secs(10));
            let is_end = matches!(error, ConnectError::Io(_) | ConnectError::Handshake(_));
            assert!(is_end, "at {sent}: {error:?}");
            serving.join().expect("the server does not panic")
        }) {
            sent += 1;
        }
        assert!(sent > 500, "{sent} bytes");
    }
}

/// Connects to a server that sends only so many bytes of this flight, and then stalls. Returns whether there were more.
fn stall(server: &Server, tls: TlsClient, flight: usize, part: usize) -> bool {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let allow = |number, len| if number == flight { part } else { len };
    thread::scope(|scope| {
        let stalling = scope.spawn(move || server.accept(allow, Then::Stall));
        let began = Instant::now();
        let error = connect(&server.url(), tls, TIMEOUT);
        assert!(matches!(error, ConnectError::TimedOut), "flight {flight}, {part}: {error:?}");
        assert!(began.elapsed() >= TIMEOUT);
        stalling.join().expect("the server does not panic")
    })
}

#[test]
fn a_server_that_stalls_in_any_flight_is_given_up_at_the_handshake_timeout() {
    let authority = &Authority::new();
    // The second flight of TLS 1.3 has tickets, and is no part of the handshake any more.
    let places = [0, 1].map(|flight| [0, 1, 40, usize::MAX].map(|part| (flight, part)));
    thread::scope(|scope| {
        for version in VERSIONS {
            for (flight, part) in places.into_iter().flatten() {
                let (server, tls) = (Server::new(authority, version), trust(authority));
                scope.spawn(move || {
                    let stopped = stall(&server, tls, flight, part);
                    assert_eq!(stopped, part < usize::MAX, "flight {flight} is longer than {part}");
                });
            }
        }
    });
}

#[test]
fn a_handshake_message_of_16_mb_is_refused() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let endless = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        // A ServerHello.
        let record = [&[22, 3, 3, 0, 104, 2, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
        let _ = stream.write_all(&record); // the client may have ended
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("wss://localhost:{port}/");
    let error = connect(&url, trust(&authority), Duration::from_secs(10));
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    assert!(error.to_string().contains("HandshakePayloadTooLarge"), "{error}");
    endless.join().expect("the server does not panic");
}

#[test]
fn a_server_that_agrees_on_another_protocol_is_refused() {
    let authority = Authority::new();
    let mut server = Server::new(&authority, VERSIONS[1]);
    let mut config = (*server.config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    server.config = Arc::new(config);
    let url = server.url();
    let refusing = thread::spawn(move || {
        let (mut stream, _) = server.listener.accept().expect("a client");
        let mut tls = ServerConnection::new(server.config).expect("a good configuration");
        let _ = tls.complete_io(&mut stream); // fails, and sends an alert
    });
    let error = connect(&url, trust(&authority), Duration::from_secs(10));
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    refusing.join().expect("the server does not panic");
}
