//! [`TlsServer`]: the certificates and settings of a server with TLS.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use crate::tls::{
    alpn::ALPN,
    certificates::{Certificate, Certificates, PemFiles},
    error::TlsError,
    pem,
    provider::provider,
};

/// How many bytes a client without a certificate may send during the handshake. The usual is 500 B to 2 KB. rustls
/// alone allows messages of 64 KiB, which a full set of handshakes would make 256 MiB.
const HANDSHAKE_ALLOWANCE: u32 = 16 << 10;

/// The certificates and settings of a server with TLS, for [`Server::tls`](crate::Server::tls).
///
/// ```no_run
/// # use prism_driver::{Handler, Network, Server, tls::{TlsError, TlsServer}};
/// # fn example(server: Server<impl Network>, chat: impl Handler) -> Result<(), TlsError> {
/// let tls = TlsServer::from_pem_files("fullchain.pem", "privkey.pem")?;
/// let server = server.tls(tls).websocket("/chat", chat);
/// # Ok(()) }
/// ```
///
/// A clone is another handle to the same certificates.
///
/// By default, the server speaks TLS 1.3 and 1.2. It resumes sessions by tickets (RFC 8446 §4.6.1), which spares both
/// ends most of the work when a client comes back.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    /// `None` if a configuration of rustls says which certificates there are.
    certificates: Option<Arc<Certificates>>,
    /// Where the certificates come from, to read them again.
    files: Vec<PemFiles>,
    /// See [`handshake_allowance`](Self::handshake_allowance).
    handshake_allowance: Option<u32>,
}

impl TlsServer {
    /// Reads a certificate and its private key from PEM files, as ACME clients write them. The first file has the
    /// server's certificate, followed by those of the authorities in between.
    ///
    /// # Errors
    /// If a file cannot be read or has no certificate or key, or if the key does not belong to the certificate.
    pub fn from_pem_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = PemFiles { certificates: certificates.into(), key: key.into() };
        let certificate = files.read()?;
        Ok(Self { files: vec![files], ..Self::with_certificate(certificate)? })
    }

    /// Reads a certificate and its private key from PEM texts.
    ///
    /// # Errors
    /// If a text has no certificate or key, or if the key does not belong to the certificate.
    pub fn from_pem(
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        Self::with_certificate(Certificate::from_pem(certificates.as_ref(), key.as_ref())?)
    }

    fn with_certificate(certificate: Arc<Certificate>) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::new(vec![certificate]));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        let mut config = with_tickets(config)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificates: Some(certificates),
            files: Vec::new(),
            handshake_allowance: Some(HANDSHAKE_ALLOWANCE),
        })
    }

    /// Adds a certificate for other names. A client gets the first certificate that is for the name it asks for (SNI,
    /// RFC 6066 §3) and that it can verify. A client that asks for no name, or for an unknown one, gets the first.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files); and if this was made from a configuration of rustls, which says
    /// itself which certificates there are.
    pub fn add_pem_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = PemFiles { certificates: certificates.into(), key: key.into() };
        self.own_certificates()?.add(files.read()?);
        self.files.push(files);
        Ok(self)
    }

    /// Requires clients to have a certificate of one of the authorities in a PEM file. Without one, the TLS handshake
    /// fails with an alert. [`Request::tls`](crate::Request::tls) and [`Connection::tls`](crate::Connection::tls)
    /// return the client's certificates.
    ///
    /// rustls keeps them in memory for as long as the connection lives.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate of an authority; and if this was made from a configuration of
    /// rustls.
    pub fn require_client_certificates(
        self,
        authorities: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        self.require_client_certificates_of(pem::authorities_in(&authorities.into())?)
    }

    /// Requires clients to have a certificate of one of the authorities in a PEM text; otherwise as
    /// [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    /// If the text has no certificate of an authority; and if this was made from a configuration of rustls.
    pub fn require_client_certificates_pem(
        self,
        authorities: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        self.require_client_certificates_of(pem::authorities(authorities.as_ref())?)
    }

    fn require_client_certificates_of(mut self, roots: RootCertStore) -> Result<Self, TlsError> {
        let certificates = self.own_certificates()?.clone();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(certificates);
        let mut config = with_tickets(config)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        self.config = Arc::new(config);
        self.handshake_allowance = None; // a chain of certificates may be long
        Ok(self)
    }

    /// Reads all files again, as after a renewal. Connections that come from now on get the new certificates; others
    /// keep theirs. Sessions can still be resumed.
    ///
    /// This reads files, so it blocks for a moment. It does nothing if there are no files.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files). Then all certificates stay as they were.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read: Result<Vec<_>, _> = self.files.iter().map(PemFiles::read).collect();
        let read = read?;
        if let Some(certificates) = &self.certificates
            && !read.is_empty()
        {
            certificates.replace(read);
        }
        Ok(())
    }

    /// Replaces all certificates by one from PEM texts, for servers that keep their certificates elsewhere than in
    /// files. Otherwise as [`reload`](Self::reload).
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem). Then all certificates stay as they were.
    pub fn replace_pem(
        &self,
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<(), TlsError> {
        let own = self.own_certificates()?;
        own.replace(vec![Certificate::from_pem(certificates.as_ref(), key.as_ref())?]);
        Ok(())
    }

    pub(crate) const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Returns how many bytes a handshake may read; `None` if only rustls limits them, to 64 KiB for a message.
    pub(crate) const fn handshake_allowance(&self) -> Option<u32> {
        self.handshake_allowance
    }

    fn own_certificates(&self) -> Result<&Arc<Certificates>, TlsError> {
        const WHOSE: &str = "the certificates are those of a rustls::ServerConfig";
        self.certificates.as_ref().ok_or_else(|| rustls::Error::General(WHOSE.into()).into())
    }
}

/// Lets clients resume their sessions.
fn with_tickets(mut config: ServerConfig) -> Result<ServerConfig, TlsError> {
    config.ticketer = provider_ticketer()?;
    // One is enough for a client that has one connection.
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn provider_ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, TlsError> {
    #[cfg(feature = "tls-aws-lc")]
    let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new();
    #[cfg(not(feature = "tls-aws-lc"))]
    let ticketer = rustls::crypto::ring::Ticketer::new();
    Ok(ticketer?)
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing.
impl From<ServerConfig> for TlsServer {
    fn from(config: ServerConfig) -> Self {
        Self::from(Arc::new(config))
    }
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing.
impl From<Arc<ServerConfig>> for TlsServer {
    fn from(mut config: Arc<ServerConfig>) -> Self {
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![ALPN.to_vec()];
        }
        Self { config, certificates: None, files: Vec::new(), handshake_allowance: None }
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("files", &self.files).finish_non_exhaustive()
    }
}
