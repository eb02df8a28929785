//! The certificates of a server: by name, renewed, malformed; and sessions that are resumed.

use std::sync::Arc;

use super::{client, client_with, echo, refusal, serve_tls, tls_of, trust};
use crate::{
    prism::{
        ConnectError, Reply,
        tls::{
            TlsError, TlsServer,
            rustls::{ServerConfig, crypto::ring, server::ResolvesServerCertUsingSni},
        },
    },
    suite::support::{
        authority::Authority,
        block_on,
        handlers::Echo,
        server::{TestServer, serve},
        tls_peer::{TlsPeer, VERSIONS, config},
    },
};

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
fn a_clone_reloads_what_another_handle_has_added() {
    let authority = Authority::new();
    let save = |file, name| authority.save(file, &authority.issue(name));
    let (certificates, key) = save("a", "a.localhost");
    let tls = TlsServer::from_pem_files(certificates, key).expect("a good pair");
    let renewal = tls.clone();
    let (certificates, key) = save("b", "b.localhost");
    let tls = tls.add_pem_files(certificates, key).expect("a good pair");
    let memory = authority.issue("memory.localhost");
    let tls = tls.add_pem(&memory.certificate, &memory.key).expect("a good pair");
    let server = serve(|server| server.tls(tls).websocket("/", Echo));
    let expect = |names: &[&str], old: &[&str]| {
        for name in names {
            block_on(client(&server, name, &authority).connect()).expect(name);
        }
        for name in old {
            let error = refusal(client(&server, name, &authority));
            assert!(error.contains("not valid for name"), "{error}");
        }
    };
    expect(&["a.localhost", "b.localhost", "memory.localhost"], &[]);
    save("b", "new-b.localhost");
    renewal.reload().expect("good pairs");
    expect(&["a.localhost", "new-b.localhost", "memory.localhost"], &["b.localhost"]);
    // If one file is bad, the others are not read again either.
    save("a", "new-a.localhost");
    let (certificates, key) = save("b", "newer-b.localhost");
    std::fs::remove_file(&certificates).expect("a file");
    let error = renewal.reload().expect_err("a file is missing").to_string();
    assert!(error.contains("b.pem"), "{error}");
    expect(&["a.localhost", "new-b.localhost"], &["new-a.localhost", "newer-b.localhost"]);
    drop(key);
}

#[test]
fn a_server_without_files_says_that_it_cannot_reload() {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let tls = tls_of(&pair);
    assert!(matches!(tls.reload(), Err(TlsError::NoFiles)));
    let (certificates, key) = authority.save("server", &pair);
    let tls = tls.add_pem_files(&certificates, &key).expect("a good pair");
    tls.reload().expect("one of both is in files");
    tls.replace_pem([(&pair.certificate, &pair.key)]).expect("a good pair");
    assert!(matches!(tls.reload(), Err(TlsError::NoFiles)));
    let none: [(&str, &str); 0] = [];
    assert!(matches!(tls.replace_pem(none), Err(TlsError::Pem { .. })));
}

#[test]
fn a_configuration_of_rustls_cannot_be_changed() {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    let tls = TlsServer::from(config);
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    let (certificates, key) = authority.save("server", &pair);
    let foreign = |outcome| matches!(outcome, Err(TlsError::ForeignConfig));
    assert!(foreign(tls.reload()));
    assert!(foreign(tls.replace_pem([(&pair.certificate, &pair.key)])));
    assert!(foreign(tls.clone().add_pem(&pair.certificate, &pair.key).map(drop)));
    assert!(foreign(tls.clone().add_pem_files(certificates, key).map(drop)));
    assert!(foreign(tls.require_client_certificates(authority.file()).map(drop)));
}

#[test]
fn certificates_from_memory_are_replaced() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("old.localhost"));
    let renewal = tls.clone();
    let server = serve(|server| server.tls(tls).websocket("/", Echo));
    let connect = |name| block_on(client(&server, name, &authority).connect());
    connect("old.localhost").expect("it trusts");
    let new = authority.issue("new.localhost");
    renewal.replace_pem([(&new.certificate, &new.key)]).expect("a good pair");
    assert!(matches!(connect("old.localhost"), Err(ConnectError::Tls(_))));
    connect("new.localhost").expect("it trusts");
    for (certificates, key) in [(&new.key, &new.key), (&new.certificate, &new.certificate)] {
        renewal.replace_pem([(certificates, key)]).expect_err("half of a pair");
    }
    connect("new.localhost").expect("it trusts");
}

/// Returns a server that tells whether the session was resumed.
fn serve_resumption(tls: TlsServer) -> TestServer {
    let page = |request: crate::prism::Request| {
        let tls = request.tls().expect("the server speaks TLS");
        Reply::text(200, if tls.is_resumed() { "resumed" } else { "full" })
    };
    serve(|server| server.tls(tls).get("/", page))
}

#[test]
fn sessions_are_resumed_also_after_a_renewal() {
    let authority = Authority::new();
    for version in VERSIONS {
        let tls = tls_of(&authority.issue("localhost"));
        let renewal = tls.clone();
        let server = serve_resumption(tls);
        let config = Arc::new(config(&authority, version));
        let request = || {
            let mut peer = TlsPeer::open(server.address(), config.clone());
            peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let page = peer.read_to_end().expect("a page, and TLS's own end");
            String::from_utf8(page).expect("text")
        };
        assert!(request().ends_with("full"));
        assert!(request().ends_with("resumed"));
        let new = authority.issue("localhost");
        renewal.replace_pem([(&new.certificate, &new.key)]).expect("a good pair");
        assert!(request().ends_with("resumed"));
    }
}

#[test]
fn clients_resume_the_sessions_of_their_clones() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    let tls = trust(&authority);
    let is_resumed = || {
        block_on(async {
            let client = client_with(&server, "localhost", tls.clone());
            let socket = client.connect().await.expect("it trusts");
            echo(&socket, "the ticket has arrived before this").await;
            socket.tls().expect("it speaks TLS").is_resumed()
        })
    };
    assert_eq!([is_resumed(), is_resumed()], [false, true]);
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
