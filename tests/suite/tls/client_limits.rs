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
        tls::rustls::{
            ServerConfig, ServerConnection, SupportedProtocolVersion,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    },
    suite::support::{authority::Authority, block_on, tls_peer::VERSIONS},
};

/// A server that speaks TLS up to the point at which a scenario wants it to stop.
struct Server {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

/// What the server does at that point.
#[derive(Clone, Copy, Debug)]
enum Then {
    End,
    Stall,
}

impl Server {
    fn new(authority: &Authority, version: &'static SupportedProtocolVersion) -> Self {
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

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.listener.local_addr().expect("an address").port())
    }

    /// Accepts a connection, and sends the first `sent` bytes of what the handshake wants to send. Returns whether the
    /// handshake was longer.
    fn accept(&self, sent: usize, then: Then) -> bool {
        let (mut stream, _) = self.listener.accept().expect("a client");
        let mut tls = ServerConnection::new(self.config.clone()).expect("a good configuration");
        let mut left = sent;
        while tls.is_handshaking() || tls.wants_write() {
            if tls.wants_write() {
                let mut output = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut output).expect("memory takes all");
                }
                let now = left.min(output.len());
                stream.write_all(&output[..now]).expect("the client reads");
                left -= now;
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

fn connect(url: &str, authority: &Authority, timeout: Duration) -> ConnectError {
    let options = Options::default().handshake_timeout(timeout);
    let client = Client::new(url).expect("a good address").tls(trust(authority)).options(options);
    block_on(client.connect()).expect_err("the server stops")
}

#[test]
fn a_server_that_ends_at_any_byte_of_the_handshake_is_an_error() {
    let authority = Authority::new();
    for version in VERSIONS {
        let server = Server::new(&authority, version);
        let url = server.url();
        let ended = thread::spawn(move || {
            let mut sent = 0;
            while server.accept(sent, Then::End) {
                sent += 1;
            }
            sent
        });
        let began = Instant::now();
        while !ended.is_finished() {
            let Err(error) = try_connect(&url, &authority) else { break };
            assert!(matches!(error, ConnectError::Io(_) | ConnectError::Handshake(_)), "{error:?}");
            assert!(began.elapsed() < Duration::from_secs(60), "too slow");
        }
        let count = ended.join().expect("the server does not panic");
        assert!(count > 500, "{count} bytes");
    }
}

/// Connects, unless nobody listens any more.
fn try_connect(url: &str, authority: &Authority) -> Result<(), ConnectError> {
    let client = Client::new(url).expect("a good address").tls(trust(authority));
    match block_on(client.connect()) {
        Err(ConnectError::Unreachable(_)) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

#[test]
fn a_server_that_stalls_in_any_flight_is_given_up_at_the_handshake_timeout() {
    let authority = Authority::new();
    for version in VERSIONS {
        for sent in [0, 1, 60, 300, usize::MAX] {
            let server = Server::new(&authority, version);
            let url = server.url();
            let stalling = thread::spawn(move || server.accept(sent, Then::Stall));
            let error = connect(&url, &authority, Duration::from_millis(300));
            assert!(matches!(error, ConnectError::TimedOut), "{sent}: {error:?}");
            stalling.join().expect("the server does not panic");
        }
    }
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
    let error = connect(&url, &authority, Duration::from_secs(10));
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
    let error = connect(&url, &authority, Duration::from_secs(10));
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    refusing.join().expect("the server does not panic");
}
