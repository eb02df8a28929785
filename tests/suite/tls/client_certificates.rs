//! Mutual TLS: clients that have a certificate themselves.

use std::sync::{
    Arc,
    mpsc::{Sender, channel},
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

use super::{client_with, tls_of, trust};
use crate::{
    prism::{
        Authorized, Client, ConnectError, Connection, Disconnect, Failure, Handler, Message, Reply,
        Request, Socket,
        tls::{
            TlsClient, TlsError, TlsServer,
            rustls::{
                RootCertStore, ServerConfig,
                crypto::ring,
                pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
                server::WebPkiClientVerifier,
            },
        },
    },
    suite::support::{
        authority::{Authority, Pair},
        block_on,
        handlers::Echo,
        server::{TestServer, serve},
        tls_peer::{VERSIONS, config},
        wait_until,
    },
};

/// Issues a certificate for a client of this name.
fn issue_client(authority: &Authority, name: &str) -> Pair {
    authority.issue_with("client.localhost", |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    })
}

fn with_certificate(tls: TlsClient, pair: &Pair) -> TlsClient {
    tls.with_certificate_pem(&pair.certificate, &pair.key).expect("a good pair")
}

/// Runs a server that requires certificates of this authority, and sends the length of the client's.
fn serve_mutual(authority: &Authority) -> TestServer {
    let tls = tls_of(&authority.issue("localhost"));
    serve_lengths(tls.require_client_certificates(authority.file()).expect("a certificate"))
}

fn serve_lengths(tls: TlsServer) -> TestServer {
    let authorize = |request: Request| async move {
        let tls = request.tls().ok_or_else(|| Reply::new(500))?;
        let certificate = tls.peer_certificates().first().ok_or_else(|| Reply::new(401))?;
        Ok::<_, Reply>(Authorized::new(certificate.len()))
    };
    let tell = |socket: Socket| async move {
        let len: usize = *socket.connection().data().expect("it is authorized");
        let _ = socket.send(len.to_string()).await; // the client waits for it
        let _ = socket.recv().await;
    };
    serve(|server| server.tls(tls).authorize(authorize).websocket("/", crate::prism::socket(tell)))
}

/// Connects, and receives the first message: with TLS 1.3, a client learns only then that its certificate is refused.
fn length(server: &TestServer, tls: TlsClient) -> Result<String, String> {
    block_on(async {
        let socket = match client_with(server, "localhost", tls).connect().await {
            Ok(socket) => socket,
            Err(ConnectError::Tls(error)) => return Err(error.to_string()),
            Err(ConnectError::Io(error)) => return Err(error.to_string()),
            Err(other) => panic!("an error of TLS, not {other}"),
        };
        match socket.recv().await {
            Ok(message) => Ok(message.as_message().as_text().expect("text").to_owned()),
            Err(Disconnect::Failed(Failure::Io(error))) => Err(error.to_string()),
            Err(other) => panic!("an error of TLS, not {other}"),
        }
    })
}

#[test]
fn a_client_with_a_certificate_is_known_to_the_authorization() {
    let authority = Authority::new();
    let server = serve_mutual(&authority);
    let pair = issue_client(&authority, "ada");
    let tls = with_certificate(trust(&authority), &pair);
    let expected = pem_len(&pair.certificate);
    assert_eq!(length(&server, tls.clone()), Ok(expected.clone()));
    // Also when the client comes back.
    assert_eq!(length(&server, tls), Ok(expected.clone()));
    // From files it is the same.
    let (certificate, key) = authority.save("client", &pair);
    let tls = trust(&authority).with_certificate_pem_files(certificate, key).expect("a good pair");
    assert_eq!(length(&server, tls), Ok(expected));
}

/// Sends the length of the client's certificate.
struct Greeter;

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        let tls = connection.tls().expect("it speaks TLS");
        let certificate = tls.peer_certificates().first().expect("it is required");
        let _ = connection.send(certificate.len().to_string()).await; // the client waits for it
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_client_with_a_certificate_is_known_to_the_handler() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let tls = tls.require_client_certificates(authority.file()).expect("a certificate");
    let server = serve(|server| server.tls(tls).websocket("/", Greeter));
    let pair = issue_client(&authority, "ada");
    let tls = with_certificate(trust(&authority), &pair);
    assert_eq!(length(&server, tls), Ok(pem_len(&pair.certificate)));
}

/// Returns the length of a certificate without its armor.
fn pem_len(pem: &str) -> String {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate").len().to_string()
}

#[test]
fn a_client_without_a_good_certificate_is_refused() {
    let authority = Authority::new();
    let server = serve_mutual(&authority);
    let unknown = Authority::new();
    let server_only = authority.issue("client.localhost");
    for (tls, said) in [
        (trust(&authority), "certificate"),
        (with_certificate(trust(&authority), &issue_client(&unknown, "eve")), "UnknownCA"),
        (with_certificate(trust(&authority), &server_only), "certificate"),
    ] {
        let before = server.stats().counts().refused.bad_tls;
        let error = length(&server, tls).expect_err("it is refused");
        let lower = error.to_lowercase();
        assert!(lower.contains(&said.to_lowercase()), "{error}");
        wait_until("it is counted", || server.stats().counts().refused.bad_tls == before + 1);
    }
}

#[test]
fn a_client_certificate_is_verified_in_each_handshake() {
    let authority = Authority::new();
    let server = serve_mutual(&authority);
    for version in VERSIONS {
        let tls = TlsClient::from(config(&authority, version));
        let tls = with_certificate(tls, &issue_client(&authority, "ada"));
        for _ in 0..2 {
            block_on(async {
                let client = client_with(&server, "localhost", tls.clone());
                let socket = client.connect().await.expect("it has a certificate");
                socket.recv().await.expect("a message, after any ticket");
                assert!(!socket.tls().expect("it speaks TLS").is_resumed());
            });
        }
    }
}

#[test]
fn renewed_authorities_of_clients_are_read_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let file = old.folder().join("clients.pem");
    let install = |authority: &Authority| {
        std::fs::copy(authority.file(), &file).expect("a writable folder");
    };
    install(&old);
    let tls = tls_of(&old.issue("localhost"));
    let renewal = tls.clone();
    let tls = tls.require_client_certificates(&file).expect("a certificate");
    let server = serve_lengths(tls);
    let connect = |authority: &Authority| {
        length(&server, with_certificate(trust(&old), &issue_client(authority, "ada")))
    };
    connect(&old).expect("it is of the authority");
    connect(&new).expect_err("it is of another");
    install(&new);
    renewal.reload().expect("a certificate");
    connect(&new).expect("it is of the new authority");
    connect(&old).expect_err("it is of the old one");
    std::fs::write(&file, "").expect("a writable folder");
    let error = renewal.reload().expect_err("there is no authority").to_string();
    assert!(error.contains("clients.pem"), "{error}");
    connect(&new).expect("nothing has changed");
}

/// Runs a server that redirects requests for `/old`, and reports how many certificates each client has shown. It asks
/// for them, but takes clients without one.
fn serve_asking(
    authority: &Authority,
    name: &str,
    location: impl Into<String>,
    shown: Sender<usize>,
) -> TestServer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).expect("a file")).expect("a root");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .expect("a good verifier");
    let pair = authority.issue(name);
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.expect("a certificate")], key)
        .expect("a good pair");
    let location = location.into();
    let redirect = move |request: Request| {
        let count = request.tls().expect("it speaks TLS").peer_certificates().len();
        let reported = shown.send(count);
        let redirect = Reply::new(302).header("Location", &location).expect("a good header");
        let is_old = request.path() == "/old";
        async move {
            reported.map_err(|_| Reply::new(500))?;
            if is_old { Err(redirect) } else { Ok(()) }
        }
    };
    serve(|server| {
        let server = server.tls(config).authorize(redirect);
        server.websocket("/old", Echo).websocket("/new", Echo)
    })
}

#[test]
fn a_client_shows_its_certificate_to_no_other_origin() {
    let authority = Authority::new();
    let url =
        |server: &TestServer, path| format!("wss://localhost:{}{path}", server.address().port());
    let (sender, shown) = channel();
    let connect = |server: &TestServer, tls: &TlsClient, path| {
        let client = Client::new(&url(server, path)).expect("a good address").tls(tls.clone());
        block_on(client.redirects(5).connect()).expect("it accepts");
        shown.try_iter().collect::<Vec<_>>()
    };
    let tls = with_certificate(trust(&authority), &issue_client(&authority, "ada"));
    let own = serve_asking(&authority, "localhost", "/new", sender.clone());
    assert_eq!(connect(&own, &tls, "/old"), [1, 1], "the origin stays the same");
    let other = serve_asking(&authority, "localhost", url(&own, "/new"), sender.clone());
    // Not even if there is a session from a time when the client was there by itself.
    assert_eq!(connect(&other, &tls, "/new"), [1]);
    let away = serve_asking(&authority, "localhost", url(&other, "/new"), sender.clone());
    assert_eq!(connect(&away, &tls, "/old"), [1, 0]);
    // And not when it is sent back.
    let back = serve_asking(&authority, "localhost", url(&other, "/old"), sender);
    assert_eq!(connect(&back, &tls, "/old"), [1, 0, 0]);
}

#[test]
fn sessions_without_the_certificate_are_resumed_when_a_client_is_sent_away_again() {
    let authority = Authority::new();
    let (sender, _shown) = channel();
    let other = serve_asking(&authority, "127.0.0.1", "/new", sender.clone());
    let location = format!("wss://{}/new", other.address());
    let own = serve_asking(&authority, "localhost", location, sender);
    let url = format!("wss://localhost:{}/old", own.address().port());
    let tls = with_certificate(trust(&authority), &issue_client(&authority, "ada"));
    let is_resumed = || {
        let client = Client::new(&url).expect("a good address");
        let socket = block_on(client.tls(tls.clone()).redirects(5).connect()).expect("it accepts");
        let tls = socket.tls().expect("it speaks TLS");
        (tls.peer_certificates().len(), tls.is_resumed())
    };
    assert_eq!([is_resumed(), is_resumed()], [(1, false), (1, true)]);
}

#[test]
fn the_key_of_a_client_has_to_belong_to_its_certificate() {
    let authority = Authority::new();
    let (own, other) = (issue_client(&authority, "ada"), issue_client(&authority, "eve"));
    let mixed = trust(&authority).with_certificate_pem(&own.certificate, &other.key);
    let error: TlsError = mixed.expect_err("the key is another's");
    assert!(error.to_string().contains("key"), "{error}");
    let missing = authority.folder().join("missing.pem");
    let error = trust(&authority).with_certificate_pem_files(&missing, &missing);
    assert!(error.expect_err("no file").to_string().contains("missing.pem"));
}
