//! [`provider`]: the implementation of the cryptographic algorithms.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Returns the provider that the process has installed, or else the one that Prism was built with. So there always is
/// one, whatever other crates enable.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(built_in()))
}

#[cfg(feature = "tls-aws-lc")]
fn built_in() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "tls-aws-lc"))]
fn built_in() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}
