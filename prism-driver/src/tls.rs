//! TLS (RFC 8446), with the crate [`rustls`]: `wss://` for servers and clients, on each runtime.
//!
//! A [`TlsServer`] has the certificates of a server, and a [`TlsClient`] knows which certificates a client trusts. Both
//! can be made from PEM files, or from a configuration of rustls for everything else.
//!
//! # Cryptography
//!
//! The algorithms are those of the provider that the process has
//! [installed](rustls::crypto::CryptoProvider::install_default). If it has installed none, they are those of `aws-lc-rs`
//! with the feature `tls-aws-lc`, and otherwise those of `ring`.

pub use rustls;

pub use self::{client::TlsClient, error::TlsError, info::TlsInfo, server::TlsServer};

mod certificates;
mod checked;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod info;
mod pem;
pub(crate) mod prefixed;
mod provider;
pub(crate) mod server;
pub(crate) mod stream;

/// How many encrypted bytes may wait for a peer: one TLS record. They wait outside the outbox, which does not count
/// them.
const MAX_ENCRYPTED: usize = 16 << 10;

/// The only protocol that is offered and accepted (RFC 7301): a WebSocket over HTTP/2 has another handshake.
const ALPN: &[u8] = b"http/1.1";
