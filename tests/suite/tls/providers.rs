//! The cryptography is that of the process, or of Prism if the process has installed none.

use std::net::TcpListener;

use super::{client, echo, serve_tls};
use crate::{
    prism::{
        Client,
        tls::rustls::{
            CipherSuite, NamedGroup,
            crypto::{CryptoProvider, ring},
            server::Acceptor,
        },
    },
    runtime::spawn,
    suite::support::{authority::Authority, block_on, own_process::in_own_process},
};

/// Returns whether clients offer a key exchange with ML-KEM, which aws-lc has, and ring has not.
fn offers_ml_kem() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("wss://localhost:{}/", listener.local_addr().expect("an address").port());
    let authority = Authority::new();
    let client = Client::new(&url).expect("a good address").tls(super::trust(&authority));
    spawn(async move { drop(client.connect().await) }); // fails, because the server reads its hello only
    let (mut stream, _) = listener.accept().expect("a client");
    let mut acceptor = Acceptor::default();
    loop {
        acceptor.read_tls(&mut stream).expect("a hello");
        if let Some(accepted) = acceptor.accept().expect("a hello") {
            let hello = accepted.client_hello();
            let groups = hello.named_groups().expect("TLS 1.3 needs groups");
            return groups.contains(&NamedGroup::X25519MLKEM768);
        }
    }
}

fn cipher_suite() -> CipherSuite {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
        socket.tls().expect("it speaks TLS").cipher_suite()
    })
}

#[test]
fn without_a_provider_of_the_process_there_is_prisms_own() {
    in_own_process(&without_a_provider_of_the_process_there_is_prisms_own, || {
        assert!(CryptoProvider::get_default().is_none());
        assert_eq!(cipher_suite(), CipherSuite::TLS13_AES_256_GCM_SHA384);
        assert_eq!(offers_ml_kem(), cfg!(feature = "tls-aws-lc"));
        // And it does not become that of the process.
        assert!(CryptoProvider::get_default().is_none());
    });
}

#[test]
fn the_provider_of_the_process_is_used() {
    in_own_process(&the_provider_of_the_process_is_used, || {
        let only = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
        let provider = CryptoProvider { cipher_suites: vec![only], ..ring::default_provider() };
        provider.install_default().expect("there is none yet");
        assert_eq!(cipher_suite(), CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
        assert!(!offers_ml_kem());
    });
}
