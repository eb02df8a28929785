//! Servers and clients over TLS.

use std::{
    io::{Read, Write},
    time::Duration,
};

use prism_driver::Network;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::support::{
    authority::{Authority, Pair},
    block_on,
    handlers::Echo,
    peer::Peer,
    resolver::FixedResolver,
    server::{TestServer, serve},
    wait_until,
};
use crate::{
    prism::{
        Client, CloseCode, ConnectError, Disconnect, Options, Origins, OwnedMessage, Reply,
        ServerOptions, Socket,
        tls::{TlsClient, TlsError, TlsServer},
    },
    runtime,
};

/// Runs an echo server that has this certificate.
fn serve_tls(pair: &Pair) -> TestServer {
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    serve(|server| server.tls(tls).websocket("/", Echo))
}

/// Returns a client for a server of this name, which trusts this authority.
fn client(
    server: &TestServer,
    name: &str,
    authority: &Authority,
) -> prism_driver::Client<FixedResolver<runtime::Network>> {
    let url = format!("wss://{name}:{}/", server.address().port());
    let trust = TlsClient::trusting_pem_file(authority.file()).expect("a certificate");
    let resolver = FixedResolver::new(vec![server.address()]);
    prism_driver::Client::new_on(resolver, &url).expect("a good address").tls(trust)
}

async fn echo(socket: &Socket, text: &str) {
    socket.send(text).await.expect("the connection is open");
    assert_eq!(socket.recv().await.expect("an echo"), OwnedMessage::Text(text.into()));
}

/// Returns what a client says that does not connect.
fn refusal<N: Network>(client: prism_driver::Client<N>) -> String {
    match block_on(client.connect()) {
        Err(error @ ConnectError::Tls(_)) => error.to_string(),
        other => panic!("expected a TLS error, not {other:?}"),
    }
}

#[test]
fn messages_of_all_sizes_are_echoed() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        for len in [0, 1, 125, 126, 4_000, 16_384, 70_000, 1 << 20] {
            echo(&socket, &"x".repeat(len)).await;
        }
        let end = socket.close(CloseCode::NORMAL, "").await;
        assert!(matches!(end, Disconnect::Local { .. }), "{end:?}");
    });
    wait_until("the connection has ended", || server.stats().counts().closed == 1);
    assert_eq!(server.stop().failed, 0);
}

#[test]
fn an_address_can_be_the_name() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("127.0.0.1"));
    block_on(async {
        let socket = client(&server, "127.0.0.1", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
    });
}

#[test]
fn a_client_says_why_it_does_not_trust_a_server() {
    let authority = Authority::new();
    let expect = |pair: &Pair, said: &str| {
        let server = serve_tls(pair);
        let error = refusal(client(&server, "localhost", &authority));
        assert!(error.contains(said), "{error}");
        wait_until("the server counts it", || server.stats().counts().refused.bad_tls == 1);
    };
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    expect(&authority.issue_with("localhost", past), "expired");
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2100, 1, 1);
    expect(&authority.issue_with("localhost", future), "not valid yet");
    expect(&authority.issue("example.org"), "not valid for name");
    expect(&Authority::new().issue("localhost"), "unknown authority");
    let client_only = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    expect(&authority.issue_with("localhost", client_only), "client authentication");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    expect(&Pair { certificate, key: key.serialize_pem() }, "unknown authority");
}

#[test]
fn a_client_trusts_what_the_system_trusts_by_default() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let url = format!("wss://localhost:{}/", server.address().port());
    let error = refusal(Client::new(&url).expect("a good address"));
    // On a system without any, it says that.
    assert!(error.contains("not trusted") || error.contains("system"), "{error}");
}

#[test]
fn a_peer_without_tls_is_counted() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let mut peer = server.dial();
    peer.write(Peer::request("/").as_bytes());
    let mut rest = Vec::new();
    peer.stream.read_to_end(&mut rest).expect("an alert, and the end");
    assert_eq!(rest.first(), Some(&21), "an alert: {rest:?}");
    wait_until("it is counted", || server.stats().counts().refused.bad_tls == 1);
    // And a server without TLS says so to a client with it.
    let plain = serve(|server| server.websocket("/", Echo));
    let error = refusal(client(&plain, "localhost", &authority));
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[test]
fn a_silent_peer_is_dropped_at_the_handshake_timeout() {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    let options = Options::default().handshake_timeout(Duration::from_millis(200));
    let server = serve(|server| server.options(options).tls(tls).websocket("/", Echo));
    let mut peer = server.dial();
    peer.write(&[22, 3, 1]); // the beginning of a record
    let mut rest = Vec::new();
    let _ = peer.stream.read_to_end(&mut rest); // the end may be a reset
    wait_until("it is counted", || server.stats().counts().refused.timed_out == 1);
}

#[test]
fn a_stalled_handshake_makes_way_for_others() {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
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
fn a_refusal_can_be_read() {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    let origins = Origins::these(["https://good.example"]).expect("an origin");
    let server = serve(|server| server.origins(origins).tls(tls).websocket("/", Echo));
    let connect = |origin| {
        let client = client(&server, "localhost", &authority).header("Origin", origin);
        block_on(client.expect("a header").connect())
    };
    let Err(ConnectError::Refused(refusal)) = connect("https://evil.example") else {
        panic!("expected a refusal")
    };
    assert_eq!(refusal.status, 403);
    connect("https://good.example").expect("it is allowed");
}

#[test]
fn renewed_certificates_are_read_again() {
    let authority = Authority::new();
    let (certificates, key) = authority.save("server", &authority.issue("old.localhost"));
    let tls = TlsServer::from_pem_files(&certificates, &key).expect("a good pair");
    let renewal = tls.clone();
    let server = serve(|server| server.tls(tls).websocket("/", Echo));
    let connect = |name| block_on(client(&server, name, &authority).connect());
    let old = connect("old.localhost").expect("it trusts");
    authority.save("server", &authority.issue("new.localhost"));
    renewal.reload().expect("a good pair");
    assert!(matches!(connect("old.localhost"), Err(ConnectError::Tls(_))));
    connect("new.localhost").expect("it trusts");
    block_on(echo(&old, "still here"));
    // A key that belongs to another certificate changes nothing.
    std::fs::write(&key, authority.issue("other.localhost").key).expect("a writable folder");
    let error = renewal.reload().expect_err("the key is another's");
    assert!(error.to_string().contains("key"), "{error}");
    connect("new.localhost").expect("it trusts");
}

#[test]
fn each_client_gets_the_certificate_for_its_name() {
    let authority = Authority::new();
    let save = |name| authority.save(name, &authority.issue(name));
    let (certificates, key) = save("a.localhost");
    let mut tls = TlsServer::from_pem_files(certificates, key).expect("a good pair");
    for name in ["b.localhost", "*.c.localhost"] {
        let (certificates, key) = save(name);
        tls = tls.add_pem_files(certificates, key).expect("a good pair");
    }
    let server = serve(|server| server.tls(tls).websocket("/", Echo));
    for name in ["a.localhost", "b.localhost", "B.LOCALHOST", "x.c.localhost"] {
        block_on(client(&server, name, &authority).connect()).expect(name);
    }
    for name in ["d.localhost", "c.localhost", "x.y.c.localhost"] {
        let error = refusal(client(&server, name, &authority));
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_certificate_is_named() {
    let authority = Authority::new();
    let (certificates, key) = authority.save("server", &authority.issue("localhost"));
    let said = |error: TlsError| error.to_string();
    let missing = authority.folder().join("missing.pem");
    let error = said(TlsServer::from_pem_files(&missing, &key).expect_err("no file"));
    assert!(error.contains("missing.pem"), "{error}");
    let error = said(TlsServer::from_pem_files(&key, &key).expect_err("no certificate"));
    assert!(error.contains("server.key") && error.contains("no certificate"), "{error}");
    let error = said(TlsServer::from_pem_files(&certificates, &certificates).expect_err("no key"));
    assert!(error.contains("server.pem") && error.contains("no private key"), "{error}");
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
fn the_header_of_a_proxy_comes_before_tls() {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    let server = serve(|server| {
        let server = server.proxy_protocol(["127.0.0.1"]).expect("an address");
        server.tls(tls).get("/", |request| Reply::text(200, request.peer_addr().to_string()))
    });
    let mut stream = std::net::TcpStream::connect(server.address()).expect("it listens");
    stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n").expect("a connection");
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    roots.add(CertificateDer::from_pem_file(authority.file()).expect("a certificate")).unwrap();
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut session = tokio_rustls::rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut tls = tokio_rustls::rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    tls.read_to_string(&mut page).expect("a page, and TLS's own end");
    assert!(page.ends_with("192.0.2.7:4711"), "{page}");
}
