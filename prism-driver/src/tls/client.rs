//! [`TlsClient`]: which certificates a client trusts.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{
    runtime::Transport,
    tls::{ALPN, error::TlsError, pem, provider::provider, stream::TlsStream},
};

/// Which certificates a client trusts, for [`Client::tls`](crate::Client::tls), and the certificate that it has itself.
///
/// Without one, a client trusts the certificates that the operating system trusts.
///
/// ```no_run
/// # use prism_driver::{Client, ConnectError, Network, Socket, tls::TlsClient};
/// async fn connect<N: Network + Default>() -> Result<Socket, ConnectError> {
///     let ours = TlsClient::trusting_pem_file("ca.pem")?;
///     Client::<N>::new("wss://10.0.0.7/v1")?.tls(ours).connect().await
/// }
/// ```
///
/// There is no way to trust everyone. Make a [`rustls::ClientConfig`] if you have to.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Returns a client that trusts what the operating system trusts.
    ///
    /// On Linux and BSD, the certificates are read from files the first time, which blocks for some milliseconds. On
    /// other systems, the system itself verifies the certificates.
    ///
    /// # Errors
    /// If the system has no such certificates, or they cannot be read.
    pub fn trusting_platform() -> Result<Self, TlsError> {
        static SHARED: OnceLock<TlsClient> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared.clone());
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()
            .map_err(|error| TlsError::NoPlatformTrust(error.to_string()))?
            .with_no_client_auth();
        Ok(SHARED.get_or_init(|| config.into()).clone())
    }

    /// Returns a client that trusts only the authorities whose certificates are in a PEM file.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate of an authority.
    pub fn trusting_pem_file(authorities: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let roots = pem::authorities_in(&authorities.into())?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config.into())
    }

    /// Does the handshake with a server of this name over a transport.
    pub(crate) async fn handshake<T: Transport>(
        &self,
        name: ServerName<'static>,
        transport: T,
    ) -> io::Result<TlsStream<T>> {
        TlsStream::connect(self.config.clone(), name, transport).await
    }
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing.
impl From<ClientConfig> for TlsClient {
    fn from(config: ClientConfig) -> Self {
        Self::from(Arc::new(config))
    }
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing.
impl From<Arc<ClientConfig>> for TlsClient {
    fn from(mut config: Arc<ClientConfig>) -> Self {
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![ALPN.to_vec()];
        }
        Self { config }
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}
