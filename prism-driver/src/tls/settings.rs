//! [`Settings`]: what the handles to a [`TlsServer`](crate::tls::TlsServer) share, and how it changes while servers
//! run.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use crate::tls::{
    alpn::ALPN,
    certificates::{Certificate, Certificates, PemFiles},
    error::TlsError,
    pem,
    provider::{let_resume, provider},
};

/// How many bytes a client without a certificate may send during the handshake. The usual is 500 B to 2 KB. rustls
/// alone allows messages of 64 KiB, which a full set of handshakes would make 256 MiB.
const HANDSHAKE_ALLOWANCE: u32 = 16 << 10;

/// How many bytes a client may send that may have a certificate: its chain can be long.
const HANDSHAKE_ALLOWANCE_WITH_CERTIFICATE: u32 = 64 << 10;

/// The certificates of a server, and which clients it accepts.
pub(super) struct Settings {
    certificates: Arc<Certificates>,
    current: RwLock<Configuration>,
    /// Locked for the whole of a change, so that one change begins when the other has ended. Handshakes do not need it.
    sources: Mutex<Sources>,
}

/// The configuration for connections that come from now on.
#[derive(Clone)]
pub(crate) struct Configuration {
    pub(crate) config: Arc<ServerConfig>,
    /// How many bytes a handshake may read.
    pub(crate) handshake_allowance: u32,
}

/// Where the settings come from.
struct Sources {
    certificates: Vec<Source>,
    /// The file that has the authorities of the clients.
    authorities: Option<PathBuf>,
}

/// A certificate, and the files that it was read from, if it was.
pub(super) struct Source {
    files: Option<PemFiles>,
    certificate: Arc<Certificate>,
}

impl Source {
    pub(super) fn files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        Self::read(PemFiles { certificates: certificates.into(), key: key.into() })
    }

    pub(super) fn memory(
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let certificate = Certificate::from_pem(certificates.as_ref(), key.as_ref())?;
        Ok(Self { files: None, certificate })
    }

    fn read(files: PemFiles) -> Result<Self, TlsError> {
        let certificate = files.read()?;
        Ok(Self { files: Some(files), certificate })
    }

    /// Returns the certificate as it is now.
    fn read_again(&self) -> Result<Arc<Certificate>, TlsError> {
        self.files.as_ref().map_or_else(|| Ok(self.certificate.clone()), PemFiles::read)
    }
}

impl Sources {
    const fn new(certificates: Vec<Source>) -> Self {
        Self { certificates, authorities: None }
    }

    fn has_files(&self) -> bool {
        self.authorities.is_some() || self.certificates.iter().any(|source| source.files.is_some())
    }

    fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.certificates.iter().map(|source| source.certificate.clone()).collect()
    }
}

impl Settings {
    pub(super) fn new(source: Source) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::new(source.certificate.clone()));
        let current = RwLock::new(without_client_certificates(&certificates)?);
        Ok(Self { certificates, current, sources: Mutex::new(Sources::new(vec![source])) })
    }

    pub(super) fn current(&self) -> Configuration {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, source: Source) {
        let mut sources = self.sources();
        sources.certificates.push(source);
        self.certificates.replace(sources.certificates());
    }

    /// Replaces all certificates.
    pub(super) fn replace(&self, certificates: Vec<Source>) {
        let mut sources = self.sources();
        sources.certificates = certificates;
        self.certificates.replace(sources.certificates());
    }

    /// Requires clients to have a certificate of these authorities. `file` has them, if a file does.
    pub(super) fn require(
        &self,
        authorities: RootCertStore,
        file: Option<PathBuf>,
    ) -> Result<(), TlsError> {
        let mut sources = self.sources();
        self.configure(with_client_certificates(&self.certificates, authorities)?);
        sources.authorities = file;
        Ok(())
    }

    /// Reads all files again. If anything is wrong with one, nothing changes.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let mut sources = self.sources();
        if !sources.has_files() {
            return Err(TlsError::NoFiles);
        }
        let read: Result<Vec<_>, _> = sources.certificates.iter().map(Source::read_again).collect();
        let read = read?;
        if let Some(file) = &sources.authorities {
            let authorities = pem::authorities_in(file)?;
            self.configure(with_client_certificates(&self.certificates, authorities)?);
        }
        for (source, certificate) in sources.certificates.iter_mut().zip(read) {
            source.certificate = certificate;
        }
        self.certificates.replace(sources.certificates());
        Ok(())
    }

    fn configure(&self, configuration: Configuration) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = configuration;
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Configuration {
    /// Takes a configuration as it is. It may ask for certificates of clients.
    pub(super) const fn foreign(config: Arc<ServerConfig>) -> Self {
        Self { config, handshake_allowance: HANDSHAKE_ALLOWANCE_WITH_CERTIFICATE }
    }

    fn own(mut config: ServerConfig, handshake_allowance: u32) -> Self {
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self { config: Arc::new(config), handshake_allowance }
    }
}

fn without_client_certificates(
    certificates: &Arc<Certificates>,
) -> Result<Configuration, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates.clone());
    let_resume(&mut config)?;
    Ok(Configuration::own(config, HANDSHAKE_ALLOWANCE))
}

fn with_client_certificates(
    certificates: &Arc<Certificates>,
    authorities: RootCertStore,
) -> Result<Configuration, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates.clone());
    // A session that is resumed is one of the client that opened it, whose certificate is not verified again. So one
    // that has expired, or whose authority is no longer trusted, would be good for as long as the client comes back.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Configuration::own(config, HANDSHAKE_ALLOWANCE_WITH_CERTIFICATE))
}
