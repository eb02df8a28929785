//! A server over TLS, as in the example `tls`: all limits and rules of a server apply.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use prism_driver::{Options, Server, ServerOptions, ServerStats};
use prism_tokio::{
    Client, ConnectError, Connection, Handler, Message, Origins, OwnedMessage, Socket,
};
use tokio::runtime::Runtime;
use tokio_rustls::{
    TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

#[path = "../examples/tls_tokio.rs"]
mod tls;

/// How long a test may wait for anything before it fails.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// A server at `wss://localhost/` for pages of `https://good.example`, with its runtime.
struct TestServer {
    runtime: Runtime,
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    stats: ServerStats,
}

fn start(options: impl Into<ServerOptions>) -> TestServer {
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = generated.cert.der().clone();
    let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
    let runtime = Runtime::new().unwrap();
    let bound = runtime.block_on(Server::bind_on(tls::Tls::new(config), "127.0.0.1:0")).unwrap();
    let origins = Origins::these(["https://good.example"]).unwrap();
    let server = bound.options(options).origins(origins).websocket("/", Echo);
    let (address, stats) = (server.local_addr().unwrap(), server.stats());
    runtime.spawn(server.serve());
    TestServer { runtime, address, certificate, stats }
}

impl TestServer {
    /// Connects over TLS, and trusts the certificate.
    async fn connect_tls(&self) -> client::TlsStream<tokio::net::TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap()
    }

    async fn open(&self, origin: &str) -> Result<Socket, ConnectError> {
        let client = Client::new("wss://localhost/")?.header("Origin", origin)?;
        client.connect_stream(self.connect_tls().await).await
    }

    fn run<T>(&self, scenario: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(TIMEOUT, scenario).await };
        self.runtime.block_on(limited).expect("the scenario ends in time")
    }

    /// Connects over TCP only.
    fn connect_tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }
}

/// Reads until the server ends the connection, and returns the bytes.
fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn messages_of_any_size_are_echoed() {
    let server = start(Options::default());
    server.run(async {
        let socket = server.open("https://good.example").await.unwrap();
        for len in [0, 5, 20_000, 1_000_000] {
            let message = vec![7; len];
            let (sent, echo) = tokio::join!(socket.send(&message[..]), socket.recv());
            sent.unwrap();
            // `assert_eq!` would print megabytes.
            assert!(matches!(echo, Ok(OwnedMessage::Binary(echo)) if echo == message), "{len}");
        }
        let ending = socket.close(prism_tokio::CloseCode::NORMAL, "bye").await;
        assert_eq!((ending.code(), ending.reason()), (1000, "bye".into()));
    });
}

#[test]
fn a_page_of_another_origin_is_refused_with_403() {
    let server = start(Options::default());
    let outcome = server.run(server.open("https://evil.example"));
    let Err(ConnectError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.status, 403);
    assert_eq!(server.stats.counts().refused.forbidden_origin, 1);
}

#[test]
fn a_stalled_tls_handshake_ends_at_the_handshake_timeout() {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(200);
    let server = start(options);
    let silent = server.connect_tcp();
    let mut begun = server.connect_tcp();
    // The header of a TLS record of 512 bytes, which never arrives.
    begun.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    for stream in [silent, begun] {
        assert_eq!(read_to_end(stream), b"", "an answer could not be read");
    }
    let _open = server.run(async { server.open("https://good.example").await.unwrap() });
    let counts = server.stats.counts();
    assert_eq!((counts.refused.timed_out, counts.open), (2, 1));
}

#[test]
fn a_stalled_tls_handshake_makes_way_for_others() {
    let mut options = ServerOptions::default();
    options.max_handshakes = 2;
    options.connection.handshake_timeout = TIMEOUT * 2;
    let server = start(options);
    let silent = [(); 4].map(|()| server.connect_tcp());
    server.run(async { server.open("https://good.example").await.unwrap() });
    let [first, second, third, _last] = silent;
    for stream in [first, second, third] {
        assert_eq!(read_to_end(stream), b"");
    }
    // Waits for the polls that drop the sockets and count them.
    drop(server.runtime);
    assert_eq!(server.stats.counts().refused.evicted, 3);
}

#[test]
fn a_plain_http_client_is_dropped_at_once() {
    let server = start(Options::default());
    let mut plain = server.connect_tcp();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answer = read_to_end(plain);
    assert_eq!(answer.first(), Some(&0x15), "a TLS alert: {answer:?}");
    // Waits for the poll that drops the socket and counts it.
    drop(server.runtime);
    assert_eq!(server.stats.counts().refused.left, 1);
}
