//! [`TlsClient`]: which certificates a client trusts.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, LazyLock, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{
    runtime::Transport,
    tls::{
        alpn::ALPN,
        certificates::{PemFiles, certified_key_in},
        error::TlsError,
        pem,
        provider::provider,
        stream::TlsStream,
    },
};

/// Which certificates a client trusts, for [`Client::tls`](crate::Client::tls), and the certificate that it has itself.
///
/// Without one, a client trusts the certificates that the operating system trusts, and has none itself. A clone shares
/// the sessions that can be resumed, so keep one `TlsClient` for many connections.
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
    /// other systems, the system itself verifies the certificates. It may ask over the network whether one has been
    /// revoked, which blocks the thread for as long: up to about ten seconds on Windows, where the handshake timeout
    /// cannot interrupt it.
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

    /// Returns a client that trusts what the operating system trusts, and also the authorities whose certificates are
    /// in a PEM file. It needs no trust of the system: without any, it trusts the file. Otherwise it is as
    /// [`trusting_platform`](Self::trusting_platform). Not on Android.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate of an authority; also if the system's cannot be used.
    #[cfg(not(target_os = "android"))]
    pub fn trusting_platform_and_pem_file(
        authorities: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        Self::trusting_platform_and(pem::certificates_in(&authorities.into())?)
    }

    /// Returns a client that trusts what the operating system trusts, and also the authorities whose certificates are
    /// in a PEM text; otherwise as [`trusting_platform_and_pem_file`](Self::trusting_platform_and_pem_file).
    ///
    /// # Errors
    /// If the text has no certificate of an authority; also if the system's cannot be used.
    #[cfg(not(target_os = "android"))]
    pub fn trusting_platform_and_pem(authorities: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::trusting_platform_and(pem::certificates(authorities.as_ref())?)
    }

    #[cfg(not(target_os = "android"))]
    fn trusting_platform_and(
        authorities: Vec<rustls::pki_types::CertificateDer<'static>>,
    ) -> Result<Self, TlsError> {
        use rustls_platform_verifier::Verifier;
        pem::roots(authorities.clone())?; // the verifier would not say what is wrong
        let verifier = Verifier::new_with_extra_roots(authorities, provider())
            .map_err(|error| TlsError::NoPlatformTrust(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous() // any verifier but rustls' own is called that
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(config.into())
    }

    /// Returns a client that trusts only the authorities whose certificates are in a PEM file.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate of an authority.
    pub fn trusting_pem_file(authorities: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::trusting(pem::authorities_in(&authorities.into())?)
    }

    /// Returns a client that trusts only the authorities whose certificates are in a PEM text.
    ///
    /// # Errors
    /// If the text has no certificate of an authority.
    pub fn trusting_pem(authorities: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::trusting(pem::authorities(authorities.as_ref())?)
    }

    /// Returns a client that trusts the authorities that Mozilla trusts, as they were when the crate `webpki-roots` was
    /// published. For systems that have no trusted certificates themselves, such as a minimal container. Needs the
    /// feature `tls-bundled-roots`, which changes nothing by itself: by default, a client still trusts what the system
    /// trusts.
    ///
    /// Prefer [`trusting_platform`](Self::trusting_platform) where it works: a bundled list ages with your program, and
    /// does not know the authorities that the system's administrator has added or removed.
    ///
    /// # Errors
    /// If the cryptography that the process has installed does not suit TLS.
    #[cfg(feature = "tls-bundled-roots")]
    pub fn trusting_bundled_roots() -> Result<Self, TlsError> {
        Self::trusting(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    fn trusting(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config.into())
    }

    /// Reads the client's own certificate and its private key from PEM files, for servers that [require
    /// one](crate::tls::TlsServer::require_client_certificates) (mutual TLS). The first file has the client's
    /// certificate, followed by those of the authorities in between.
    ///
    /// ```no_run
    /// # use prism_driver::tls::{TlsClient, TlsError};
    /// # fn example() -> Result<(), TlsError> {
    /// let tls = TlsClient::trusting_pem_file("ca.pem")?.with_certificate_pem_files("me.pem", "me.key")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If a file cannot be read or has no certificate or key, or if the key does not belong to the certificate.
    pub fn with_certificate_pem_files(
        self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = PemFiles { certificates: certificates.into(), key: key.into() };
        Ok(self.with_certificate(files.read_key()?.into()))
    }

    /// Reads the client's own certificate and its private key from PEM texts, as
    /// [`with_certificate_pem_files`](Self::with_certificate_pem_files) does from files.
    ///
    /// # Errors
    /// If a text has no certificate or key, or if the key does not belong to the certificate.
    pub fn with_certificate_pem(
        self,
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let certificate = certified_key_in(certificates.as_ref(), key.as_ref())?;
        Ok(self.with_certificate(certificate.into()))
    }

    fn with_certificate(mut self, certificate: SingleCertAndKey) -> Self {
        Arc::make_mut(&mut self.config).client_auth_cert_resolver = Arc::new(certificate);
        self
    }

    /// Returns a client that trusts the same servers and shows no certificate. It cannot resume sessions that were
    /// opened with one either: for that, rustls requires the same resolver. All such clients have the same one, so each
    /// can resume the sessions of another.
    pub(crate) fn without_certificate(mut self) -> Self {
        static RESOLVER: LazyLock<Arc<NoCertificate>> = LazyLock::new(|| Arc::new(NoCertificate));
        if self.config.client_auth_cert_resolver.has_certs() {
            Arc::make_mut(&mut self.config).client_auth_cert_resolver = RESOLVER.clone();
        }
        self
    }

    /// Returns a client that does not say that it speaks HTTP: for another protocol.
    pub(crate) fn without_http(&self) -> Self {
        let mut config = self.config.clone();
        if config.alpn_protocols == [ALPN] {
            Arc::make_mut(&mut config).alpn_protocols.clear();
        }
        Self { config }
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

/// Has no certificate for any server.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
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
