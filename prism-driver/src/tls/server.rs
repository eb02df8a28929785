//! [`TlsServer`]: the certificates and settings of a server with TLS.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::ServerConfig;

use crate::tls::{
    alpn::ALPN,
    error::TlsError,
    pem,
    settings::{Configuration, Settings, Source},
};

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
/// A clone is another handle to the same settings. What one handle adds, requires, reloads or replaces holds for all of
/// them, and for servers that run already: for each connection that comes from then on.
///
/// By default, the server speaks TLS 1.3 and 1.2. It resumes sessions by tickets (RFC 8446 §4.6.1), which spares both
/// ends most of the work when a client comes back. (If it requires client certificates, it resumes none.)
#[derive(Clone)]
pub struct TlsServer(Kind);

#[derive(Clone)]
enum Kind {
    Own(Arc<Settings>),
    /// A configuration of rustls, which has certificates of its own.
    Foreign(Configuration),
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
        Self::from_source(Source::files(certificates, key)?)
    }

    /// Reads a certificate and its private key from PEM texts.
    ///
    /// # Errors
    /// If a text has no certificate or key, or if the key does not belong to the certificate.
    pub fn from_pem(
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        Self::from_source(Source::memory(certificates, key)?)
    }

    fn from_source(source: Source) -> Result<Self, TlsError> {
        Ok(Self(Kind::Own(Arc::new(Settings::new(source)?))))
    }

    /// Adds a certificate for other names. A client gets the first certificate that is for the name it asks for (SNI,
    /// RFC 6066 §3) and that it can verify. A client that asks for no name, or for an unknown one, gets the first.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files); and [`TlsError::ForeignConfig`].
    pub fn add_pem_files(
        self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        self.own()?.add(Source::files(certificates, key)?);
        Ok(self)
    }

    /// Adds a certificate for other names from PEM texts, as [`add_pem_files`](Self::add_pem_files) does from files.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem); and [`TlsError::ForeignConfig`].
    pub fn add_pem(
        self,
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        self.own()?.add(Source::memory(certificates, key)?);
        Ok(self)
    }

    /// Requires clients to have a certificate of one of the authorities in a PEM file. Without one, the TLS handshake
    /// fails with an alert. [`Request::tls`](crate::Request::tls) and [`Connection::tls`](crate::Connection::tls)
    /// return the client's certificates.
    ///
    /// rustls keeps them in memory for as long as the connection lives. It verifies them in each handshake: sessions
    /// are not resumed, because that would not verify whether the certificate is still good. An open connection
    /// outlives its certificate.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate of an authority; and [`TlsError::ForeignConfig`].
    pub fn require_client_certificates(
        self,
        authorities: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let file = authorities.into();
        self.own()?.require(pem::authorities_in(&file)?, Some(file))?;
        Ok(self)
    }

    /// Requires clients to have a certificate of one of the authorities in a PEM text; otherwise as
    /// [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    /// If the text has no certificate of an authority; and [`TlsError::ForeignConfig`].
    pub fn require_client_certificates_pem(
        self,
        authorities: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        self.own()?.require(pem::authorities(authorities.as_ref())?, None)?;
        Ok(self)
    }

    /// Reads all files again, as after a renewal: those of certificates and keys, and that of the [clients'
    /// authorities](Self::require_client_certificates). Connections that come from now on get the new certificates;
    /// others keep theirs. Sessions can still be resumed. What came from memory stays.
    ///
    /// This reads files, so it blocks for a moment. Handshakes go on meanwhile.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files). Then everything stays as it was. [`TlsError::NoFiles`] if there are
    /// no files, and [`TlsError::ForeignConfig`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.own()?.reload()
    }

    /// Replaces all certificates by others from PEM texts, for servers that keep their certificates elsewhere than in
    /// files. Each pair has the certificates, as in [`from_pem`](Self::from_pem), and the key. A client that asks for
    /// no name, or for an unknown one, gets the first pair.
    ///
    /// Connections that come from now on get the new certificates; others keep theirs. Sessions can still be resumed.
    ///
    /// ```no_run
    /// # use prism_driver::tls::{TlsError, TlsServer};
    /// # fn renew(tls: &TlsServer, certificates: &str, key: &str) -> Result<(), TlsError> {
    /// tls.replace_pem([(certificates, key)])
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), or if there is no pair. Then all certificates stay as they were. Also
    /// [`TlsError::ForeignConfig`].
    pub fn replace_pem<C: AsRef<[u8]>, K: AsRef<[u8]>>(
        &self,
        pairs: impl IntoIterator<Item = (C, K)>,
    ) -> Result<(), TlsError> {
        let settings = self.own()?;
        let read = pairs.into_iter().map(|(certificates, key)| Source::memory(certificates, key));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        if read.is_empty() {
            return Err(TlsError::missing(pem::CERTIFICATE));
        }
        settings.replace(read);
        Ok(())
    }

    /// Returns the configuration for connections that come from now on.
    pub(crate) fn current(&self) -> Configuration {
        match &self.0 {
            Kind::Own(settings) => settings.current(),
            Kind::Foreign(configuration) => configuration.clone(),
        }
    }

    fn own(&self) -> Result<&Settings, TlsError> {
        match &self.0 {
            Kind::Own(settings) => Ok(settings),
            Kind::Foreign(_) => Err(TlsError::ForeignConfig),
        }
    }
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing. A handshake
/// may read 64 KiB.
impl From<ServerConfig> for TlsServer {
    fn from(config: ServerConfig) -> Self {
        Self::from(Arc::new(config))
    }
}

/// Takes a configuration of rustls as it is, except that it offers `http/1.1` by ALPN if it offers nothing. A handshake
/// may read 64 KiB.
impl From<Arc<ServerConfig>> for TlsServer {
    fn from(mut config: Arc<ServerConfig>) -> Self {
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![ALPN.to_vec()];
        }
        Self(Kind::Foreign(Configuration::foreign(config)))
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}
