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

mod alpn;
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
mod transient;
