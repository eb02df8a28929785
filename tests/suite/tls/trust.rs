//! Which servers a client trusts, and what it says of the others.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::{client, client_with, echo, refusal, serve_tls, trust};
use crate::{
    prism::{
        Client,
        tls::{TlsClient, TlsServer},
    },
    suite::support::{
        authority::{Authority, Pair},
        block_on,
        handlers::Echo,
        server::serve,
        tls_peer::{VERSIONS, config},
        wait_until,
    },
};

const WEAK_AUTHORITY: &str = include_str!("weak_key/authority.pem");

/// Returns a certificate of an authority whose RSA key has 1,024 bits.
fn issued_by_weak_authority() -> Pair {
    Pair {
        certificate: include_str!("weak_key/server.pem").into(),
        key: include_str!("weak_key/server.key").into(),
    }
}

fn self_signed() -> Pair {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Pair { certificate, key: key.serialize_pem() }
}

#[test]
fn a_client_says_why_it_does_not_trust_a_server() {
    let authority = Authority::new();
    let expect = |pair: &Pair, said: &str| {
        let server = serve_tls(pair);
        let own = VERSIONS.map(|version| TlsClient::from(config(&authority, version)));
        for tls in own.into_iter().chain([trust(&authority)]) {
            let before = server.stats().counts().refused.bad_tls;
            let error = refusal(client_with(&server, "localhost", tls));
            assert!(error.contains(said), "{error}");
            let server_name = format!("handshake with localhost:{} ", server.address().port());
            assert!(error.contains(&server_name), "{error}");
            wait_until("the server counts it", || {
                server.stats().counts().refused.bad_tls == before + 1
            });
        }
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
    expect(&self_signed(), "unknown authority");
}

#[test]
fn a_weak_key_is_refused() {
    // A client does not believe what a weak authority has signed.
    let server = serve_tls(&issued_by_weak_authority());
    let weak = TlsClient::trusting_pem(WEAK_AUTHORITY).expect("a certificate");
    let error = refusal(client_with(&server, "localhost", weak));
    assert!(error.contains("a key that is too weak"), "{error}");
    // And a server does not take a weak key.
    let key = include_str!("weak_key/authority.key");
    let error = TlsServer::from_pem(WEAK_AUTHORITY, key).expect_err("the key is weak").to_string();
    assert!(error.contains("key"), "{error}");
}

#[test]
fn a_client_trusts_what_the_system_trusts_by_default() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let url = format!("wss://localhost:{}/", server.address().port());
    let error = refusal(Client::new(&url).expect("a good address"));
    // On a system without any, it says that.
    assert!(error.contains("not trusted") || error.contains("ca-certificates"), "{error}");
}

/// Set in the process whose platform trusts a scenario's authority: the ports of servers, and the file of an authority
/// that the platform does not know.
#[cfg(target_os = "linux")]
const PORTS: &str = "PRISM_TESTS_PLATFORM_PORTS";
#[cfg(target_os = "linux")]
const OWN_AUTHORITY: &str = "PRISM_TESTS_OWN_AUTHORITY";

#[cfg(target_os = "linux")]
#[test]
fn what_the_platform_trusts_is_trusted_and_one_may_add_to_it() {
    use crate::suite::support::own_process::{expect_success, rerun};

    if let Ok(ports) = std::env::var(PORTS) {
        return connect_to_all(&ports);
    }
    let (platform, own) = (Authority::new(), Authority::new());
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let servers = [
        platform.issue("localhost"),
        platform.issue_with("localhost", past),
        platform.issue("example.org"),
        own.issue("localhost"),
    ]
    .map(|pair| serve_tls(&pair));
    let ports = servers.each_ref().map(|server| server.address().port().to_string()).join(" ");
    let test = &what_the_platform_trusts_is_trusted_and_one_may_add_to_it;
    expect_success(
        rerun(test)
            .env(PORTS, ports)
            .env(OWN_AUTHORITY, own.file())
            .env("SSL_CERT_FILE", platform.file())
            .env_remove("SSL_CERT_DIR"),
    );
}

#[cfg(target_os = "linux")]
fn connect_to_all(ports: &str) {
    let own = std::env::var(OWN_AUTHORITY).expect("the other process sets it");
    let both = TlsClient::trusting_platform_and_pem_file(&own).expect("a certificate");
    let pem = std::fs::read(&own).expect("a file");
    let both_from_memory = TlsClient::trusting_platform_and_pem(pem).expect("a certificate");
    let expected = ["", "expired", "not valid for name", "unknown authority"];
    for (port, said) in ports.split(' ').zip(expected) {
        let url = format!("wss://localhost:{port}/");
        let client = || Client::new(&url).expect("a good address");
        if said.is_empty() {
            block_on(client().connect()).expect("the platform trusts it");
        } else {
            let error = refusal(client());
            assert!(error.contains(said), "{error}");
        }
        for tls in [&both, &both_from_memory] {
            let outcome = block_on(client().tls(tls.clone()).connect()).map(drop);
            let is_trusted = matches!(said, "" | "unknown authority");
            assert_eq!(outcome.is_ok(), is_trusted, "{said}: {outcome:?}");
        }
    }
}

#[test]
fn a_file_that_is_added_to_the_platforms_trust_has_to_be_good() {
    let authority = Authority::new();
    let (_, key) = authority.save("server", &authority.issue("localhost"));
    let error = TlsClient::trusting_platform_and_pem_file(&key).expect_err("no certificate");
    assert!(error.to_string().contains("server.key"), "{error}");
    let error = TlsClient::trusting_platform_and_pem("").expect_err("no certificate");
    assert!(error.to_string().contains("no certificate"), "{error}");
}

#[test]
fn bundled_roots_do_not_include_a_scenarios_own_authority() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let bundled = TlsClient::trusting_bundled_roots().expect("a good provider");
    let error = refusal(client_with(&server, "localhost", bundled));
    assert!(error.contains("unknown authority"), "{error}");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let authority = Authority::new();
    let plain = serve(|server| server.websocket("/", Echo));
    let error = refusal(client(&plain, "localhost", &authority));
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[test]
fn a_good_certificate_is_accepted() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    for version in VERSIONS {
        block_on(async {
            let client = client_with(&server, "localhost", config(&authority, version));
            echo(&client.connect().await.expect("it trusts"), "hello").await;
        });
    }
    // The authority may also come as text.
    let pem = std::fs::read(authority.file()).expect("the file of the authority");
    let tls = TlsClient::trusting_pem(pem).expect("a certificate");
    block_on(client_with(&server, "localhost", tls).connect()).expect("it trusts");
}
