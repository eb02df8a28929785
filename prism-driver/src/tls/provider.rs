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

#[cfg(all(test, feature = "tls-aws-lc"))]
mod tests {
    use rustls::NamedGroup;

    use super::provider;

    #[test]
    fn a_key_exchange_that_resists_quantum_computers_comes_first() {
        // A client sends a key share for the first one only, and a server takes the first one that it shares.
        assert_eq!(provider().kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    }
}
