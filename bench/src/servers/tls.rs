//! The certificate of the servers, and TLS for the peers: the same for all.

use std::{io, sync::Arc};

use prism_driver::tls::TlsServer;
use rcgen::{CertifiedKey, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring::{Ticketer, default_provider},
    pki_types::PrivateKeyDer,
};

/// Makes a certificate with a key on the curve P-256.
fn certificate() -> io::Result<CertifiedKey<KeyPair>> {
    rcgen::generate_simple_self_signed(["localhost".into()]).map_err(io::Error::other)
}

/// Returns Prism's defaults.
pub(super) fn of_prism() -> io::Result<TlsServer> {
    let CertifiedKey { cert, signing_key } = certificate()?;
    TlsServer::from_pem(cert.pem(), signing_key.serialize_pem()).map_err(io::Error::other)
}

/// Returns the defaults of rustls, with tickets as Prism has them: the defaults keep sessions in memory instead, and
/// give each client two of them.
pub(super) fn of_peers() -> io::Result<Arc<ServerConfig>> {
    let CertifiedKey { cert, signing_key } = certificate()?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.into()], key));
    let mut config = config.map_err(io::Error::other)?;
    config.ticketer = Ticketer::new().map_err(io::Error::other)?;
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config.into())
}
