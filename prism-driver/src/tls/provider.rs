//! [`provider`]: the implementation of the cryptographic algorithms; and [`let_resume`], for which it is needed, too.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{self, CryptoProvider},
    server::{ProducesTickets, ServerSessionMemoryCache},
};

use crate::tls::error::TlsError;

/// How many sessions a server keeps if it cannot give them to the clients as tickets.
const SESSIONS: usize = 4096;

/// Returns the provider that the process has installed, or else the one that Prism was built with. So there always is
/// one, whatever other crates enable.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(built_in()))
}

#[cfg(feature = "tls-aws-lc")]
fn built_in() -> CryptoProvider {
    crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "tls-aws-lc"))]
fn built_in() -> CryptoProvider {
    crypto::ring::default_provider()
}

/// Lets clients resume their sessions. The tickets are encrypted by the configuration's own provider. A provider that
/// is not one of rustls' has no encryption for that; then the server keeps the sessions itself.
pub(super) fn let_resume(config: &mut ServerConfig) -> Result<(), TlsError> {
    match ticketer(config.crypto_provider()) {
        Some(ticketer) => config.ticketer = ticketer?,
        None => config.session_storage = ServerSessionMemoryCache::new(SESSIONS),
    }
    // One is enough for a client that has one connection.
    config.send_tls13_tickets = 1;
    Ok(())
}

/// What encrypts tickets, or why there is nothing.
type Ticketer = Result<Arc<dyn ProducesTickets>, rustls::Error>;

fn ticketer(provider: &CryptoProvider) -> Option<Ticketer> {
    #[cfg(feature = "tls-aws-lc")]
    if has_keys_of(provider, &crypto::aws_lc_rs::default_provider()) {
        return Some(crypto::aws_lc_rs::Ticketer::new());
    }
    has_keys_of(provider, &crypto::ring::default_provider()).then(crypto::ring::Ticketer::new)
}

/// Returns whether both providers have the same implementation of keys. Its name is all that a provider tells.
fn has_keys_of(provider: &CryptoProvider, other: &CryptoProvider) -> bool {
    format!("{:?}", provider.key_provider) == format!("{:?}", other.key_provider)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        NamedGroup, ServerConfig,
        crypto::{CryptoProvider, KeyProvider, ring},
        pki_types::PrivateKeyDer,
        server::ResolvesServerCertUsingSni,
        sign::SigningKey,
    };

    use super::{built_in, let_resume};

    fn resuming(provider: CryptoProvider) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let_resume(&mut config).unwrap();
        config
    }

    /// The keys of a hardware module, for instance.
    #[derive(Debug)]
    struct OtherKeys;

    impl KeyProvider for OtherKeys {
        fn load_private_key(
            &self,
            key: PrivateKeyDer<'static>,
        ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
            ring::default_provider().key_provider.load_private_key(key)
        }
    }

    #[test]
    fn only_rustls_own_providers_encrypt_tickets() {
        assert!(resuming(built_in()).ticketer.enabled());
        assert!(resuming(ring::default_provider()).ticketer.enabled());
        let foreign = CryptoProvider { key_provider: &OtherKeys, ..ring::default_provider() };
        let config = resuming(foreign);
        assert!(!config.ticketer.enabled());
        assert!(config.session_storage.can_cache());
    }

    #[test]
    fn the_feature_decides_which_provider_is_built_in() {
        // Of both, only aws-lc has this group.
        let has_ml_kem =
            built_in().kx_groups.iter().any(|group| group.name() == NamedGroup::X25519MLKEM768);
        assert_eq!(has_ml_kem, cfg!(feature = "tls-aws-lc"));
    }

    #[cfg(feature = "tls-aws-lc")]
    #[test]
    fn a_key_exchange_that_resists_quantum_computers_comes_first() {
        // A client sends a key share for the first one only, and a server takes the first one that it shares.
        assert_eq!(built_in().kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    }
}
