//! Mutual TLS: clients that have a certificate themselves.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

use super::{client_with, tls_of, trust};
use crate::{
    prism::{
        Authorized, ConnectError, Disconnect, Failure, Reply, Request, Socket,
        tls::{TlsClient, TlsError},
    },
    suite::support::{
        authority::{Authority, Pair},
        block_on,
        server::{TestServer, serve},
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
    let tls = tls.require_client_certificates(authority.file()).expect("a certificate");
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
    // Also when the session is resumed.
    assert_eq!(length(&server, tls), Ok(expected.clone()));
    // From files it is the same.
    let (certificate, key) = authority.save("client", &pair);
    let tls = trust(&authority).with_certificate_pem_files(certificate, key).expect("a good pair");
    assert_eq!(length(&server, tls), Ok(expected));
}

/// Returns the length of a certificate without its armor.
fn pem_len(pem: &str) -> String {
    use crate::prism::tls::rustls::pki_types::{CertificateDer, pem::PemObject};
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
