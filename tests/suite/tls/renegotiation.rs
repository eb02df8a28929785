//! TLS 1.2 has renegotiation, another handshake over an open connection. A server answers that it does not do that,
//! once.

use std::{io::Write, net::TcpStream};

use super::tls_of;
use crate::{
    prism::{
        CloseCode, Disconnect, Failure,
        tls::rustls::{
            ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
            crypto::{
                CryptoProvider,
                cipher::{MessageEncrypter, OutboundPlainMessage},
                ring::{
                    self, cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as SUITE,
                },
            },
            version::TLS12,
        },
    },
    suite::support::{
        authority::Authority,
        handlers::{RecordingEcho, recorder},
        peer::{CLOSE, Peer, TEXT, close_payload, encode},
        server::serve,
        tls_peer::{TlsPeer, config_with},
        wait_until,
    },
};

/// The sending half of an open connection, which can send any record.
struct Forger {
    stream: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    fn new(peer: TlsPeer) -> Self {
        let SupportedCipherSuite::Tls12(suite) = SUITE else { panic!("a suite of TLS 1.2") };
        let secrets = peer.tls.dangerous_extract_secrets().expect("the configuration allows it");
        let (sequence, secret) = secrets.tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secret else {
            panic!("the only suite")
        };
        let encrypter = suite.aead_alg.encrypter(key, iv.as_ref(), &[]);
        Self { stream: peer.stream, encrypter, sequence }
    }

    fn send(&mut self, typ: ContentType, payload: &[u8]) {
        let version = ProtocolVersion::TLSv1_2;
        let message = OutboundPlainMessage { typ, version, payload: payload.into() };
        let record = self.encrypter.encrypt(message, self.sequence).expect("a short record");
        self.sequence += 1;
        self.stream.write_all(&record.encode()).expect("the server reads");
    }

    /// Asks for another handshake: sends a ClientHello (RFC 5246 §7.4.1.2).
    fn renegotiate(&mut self) {
        // Its length, the version, a random number, no session, one cipher suite, and no compression.
        let parts = [&[1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0xcc, 0xa9, 1, 0]];
        self.send(ContentType::Handshake, &parts.concat());
    }
}

#[test]
fn a_renegotiation_is_declined_once_and_then_ends_the_connection() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let (recorder, events) = recorder();
    let server = serve(|server| server.tls(tls).websocket("/", RecordingEcho(recorder)));
    let connect = || {
        let provider = CryptoProvider { cipher_suites: vec![SUITE], ..ring::default_provider() };
        let mut config = config_with(&authority, &TLS12, provider);
        config.enable_secret_extraction = true;
        let peer = TlsPeer::open_websocket(server.address(), config);
        events.connected();
        Forger::new(peer)
    };
    let mut patient = connect();
    patient.renegotiate();
    patient.send(ContentType::ApplicationData, &encode(true, true, TEXT, b"still here"));
    assert_eq!(events.message().as_message().as_text(), Some("still here"));
    let close = encode(true, true, CLOSE, &close_payload(1000, ""));
    patient.send(ContentType::ApplicationData, &close);
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Peer { code: CloseCode::NORMAL, .. }), "{ended}");

    let mut insistent = connect();
    insistent.renegotiate();
    insistent.renegotiate();
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::Io(_))), "{ended}");
    Peer::from_stream(insistent.stream, true).expect_disconnect();
    drop(patient);
    wait_until("both have ended", || server.stats().counts().closed == 2);
}
