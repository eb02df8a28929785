//! TLS by hand, with rustls, on the test's end of a pipe.

use std::{io::Write, sync::Arc};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::tls::rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use prism_test::{Faults, PipeEnd};

use super::net::Net;

/// A certificate for `localhost`, signed by itself, and its key.
pub const CERTIFICATE: &[u8] = include_bytes!("localhost.pem");
pub const KEY: &[u8] = include_bytes!("localhost.key");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
}

pub fn server_config() -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .unwrap()
}

pub fn server_tls() -> Connection {
    ServerConnection::new(Arc::new(server_config())).unwrap().into()
}

pub fn client_tls() -> Connection {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap().into()
}

/// Encrypts bytes, and returns them with all else that TLS has to send.
pub fn encrypt(tls: &mut Connection, bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    tls.writer().write_all(bytes).unwrap();
    while tls.wants_write() {
        tls.write_tls(&mut output).unwrap();
    }
    output
}

/// Opens a connection to a server, and does the handshake of TLS.
pub async fn connect_tls(net: &Net) -> (PipeEnd, Faults, Connection) {
    let (mut io, faults) = net.connect_raw().unwrap();
    let mut tls = client_tls();
    shake_hands(&mut io, &mut tls).await;
    (io, faults, tls)
}

/// Does the handshake of TLS.
pub async fn shake_hands(io: &mut PipeEnd, tls: &mut Connection) {
    while tls.is_handshaking() || tls.wants_write() {
        if tls.wants_write() {
            let mut output = Vec::new();
            tls.write_tls(&mut output).unwrap();
            io.write_all(&output).await.unwrap();
            continue;
        }
        receive(io, tls).await;
    }
}

/// Reads once, and returns how many bytes of TLS that were.
pub async fn receive(io: &mut PipeEnd, tls: &mut Connection) -> usize {
    let mut input = [0; 4096];
    let count = io.read(&mut input).await.unwrap();
    assert_eq!(tls.read_tls(&mut &input[..count]).unwrap(), count);
    tls.process_new_packets().unwrap();
    count
}
