//! The cryptography is that of the process, or of Prism if the process has installed none.

use super::{client, echo, serve_tls};
use crate::{
    prism::tls::rustls::{
        CipherSuite,
        crypto::{CryptoProvider, ring},
    },
    suite::support::{authority::Authority, block_on, own_process::in_own_process},
};

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
    });
}
