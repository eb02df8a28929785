//! TLS (RFC 8446), with the crate [`rustls`]: `wss://` for servers and clients, on each runtime.
//!
//! A [`TlsServer`] has the certificates of a server, and a [`TlsClient`] knows which certificates a client trusts. Both
//! can be made from PEM files, or from a configuration of rustls for everything else.
//!
//! # Cryptography
//!
//! The algorithms are those of the provider that the process has
//! [installed](rustls::crypto::CryptoProvider::install_default). If it has installed none, they are those of
//! `aws-lc-rs` with the feature `tls-aws-lc`, and otherwise those of `ring`. A provider that is neither cannot encrypt
//! tickets, so a server then keeps the last 4,096 sessions itself.
//!
//! # Memory
//!
//! rustls 0.23 keeps a buffer of at least 4 KiB for each open connection, into which it reads, and the keys and
//! ciphers. It offers no way to give that buffer back while a connection is idle, so Prism gives back only what is its
//! own: its buffers, and the state of the handshake. An idle connection takes 8.8 KB instead of 1.2 KB, all included
//! (TLS 1.3, `ring`, tokio); 12.8 KB after a message of 16 KiB.
//!
//! A busy connection takes more. 48 KiB of encrypted output may wait for a peer that does not read, and up to 64 KiB of
//! a message of the handshake, or of a record, for its rest. None of that counts towards the [high-water
//! mark](crate::Options::high_water_mark) or [`max_buffered`](crate::ServerOptions::max_buffered).

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
mod records;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod stream;
mod transient;
pub(crate) mod whole_flush;
