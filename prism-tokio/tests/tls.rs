//! A server whose network speaks TLS, as in the example `tls`: its limits and its rules are those of
//! every server.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use prism_driver::{Options, Server, ServerOptions, ServerStats};
use prism_tokio::{
    Client, ConnectError, Connection, Handler, Io, Message, Origins, OwnedMessage, Socket,
};
use tokio::runtime::Runtime;
use tokio_rustls::{
    TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

#[path = "../../examples/tls_tokio.rs"]
mod tls;

/// How long anything may take before the scenario has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// A server at `wss://localhost/`, for pages of `https://good.example`; it runs on the runtime that this
/// holds.
struct House {
    runtime: Runtime,
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    stats: ServerStats,
}

fn house(options: impl Into<ServerOptions>) -> House {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
    let runtime = Runtime::new().unwrap();
    let bound = runtime.block_on(Server::bind_on(tls::Tls::new(config), "127.0.0.1:0")).unwrap();
    let origins = Origins::these(["https://good.example"]).unwrap();
    let server = bound.options(options).origins(origins).websocket("/", Echo);
    let (address, stats) = (server.local_addr().unwrap(), server.stats());
    runtime.spawn(server.serve());
    House { runtime, address, certificate, stats }
}

impl House {
    /// A stream of somebody who trusts the certificate.
    async fn shake_hands(&self) -> Io<client::TlsStream<tokio::net::TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        Io(connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap())
    }

    async fn open(&self, origin: &str) -> Result<Socket, ConnectError> {
        let client = Client::new("wss://localhost/")?.header("Origin", origin)?;
        client.connect_stream(self.shake_hands().await).await
    }

    fn run<T>(&self, scenario: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(PATIENCE, scenario).await };
        self.runtime.block_on(limited).expect("the scenario goes on")
    }

    /// Somebody who knows of no TLS, or says nothing.
    fn knock(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// What comes until the server has gone.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn messages_of_any_size_come_back() {
    let house = house(Options::default());
    house.run(async {
        let socket = house.open("https://good.example").await.unwrap();
        for len in [0, 5, 20_000, 1_000_000] {
            let message = vec![7; len];
            let (sent, echo) = tokio::join!(socket.send(&message[..]), socket.recv());
            sent.unwrap();
            // Not compared by `assert_eq`, which would print megabytes.
            assert!(matches!(echo, Ok(OwnedMessage::Binary(echo)) if echo == message), "{len}");
        }
        let ending = socket.close(prism_tokio::CloseCode::NORMAL, "bye").await;
        assert_eq!((ending.code(), ending.reason()), (1000, "bye".into()));
    });
}

#[test]
fn a_page_of_another_origin_is_refused_with_403() {
    let house = house(Options::default());
    let outcome = house.run(house.open("https://evil.example"));
    let Err(ConnectError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.status, 403);
    assert_eq!(house.stats.counts().refused.forbidden_origin, 1);
}

#[test]
fn who_stalls_in_the_handshake_of_tls_is_thrown_out_at_the_handshake_timeout() {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(200);
    let house = house(options);
    let silent = house.knock();
    let mut begun = house.knock();
    // The start of a record, of 512 bytes: a client's first words, without an end.
    begun.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    for stream in [silent, begun] {
        assert_eq!(rest(stream), b"", "nobody could read an answer");
    }
    let _open = house.run(async { house.open("https://good.example").await.unwrap() });
    let counts = house.stats.counts();
    assert_eq!((counts.refused.timed_out, counts.open), (2, 1));
}

#[test]
fn who_stalls_in_the_handshake_of_tls_makes_way_for_others() {
    let mut options = ServerOptions::default();
    options.max_handshakes = 2;
    options.connection.handshake_timeout = PATIENCE * 2;
    let house = house(options);
    let silent = [(); 4].map(|()| house.knock());
    house.run(async { house.open("https://good.example").await.unwrap() });
    let [first, second, third, _last] = silent;
    for stream in [first, second, third] {
        assert_eq!(rest(stream), b"");
    }
    // The polls that let go of the sockets are over then, and those count as well.
    drop(house.runtime);
    assert_eq!(house.stats.counts().refused.evicted, 3);
}

#[test]
fn who_speaks_http_instead_is_gone_at_once() {
    let house = house(Options::default());
    let mut plain = house.knock();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let told = rest(plain);
    assert_eq!(told.first(), Some(&0x15), "an alert of TLS: {told:?}");
    // The poll that let go of the socket is over then, and that counts as well.
    drop(house.runtime);
    assert_eq!(house.stats.counts().refused.left, 1);
}
