//! [`TlsError`]: what is wrong with certificates, keys, or a TLS handshake.

use std::{error::Error, fmt, io, path::PathBuf};

use rustls::{CertificateError, Error as Cause};

/// What is wrong with a certificate, a key, or a TLS handshake. The text says what was wrong and, for files, in which.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        error: io::Error,
    },
    /// A PEM text has no such part, or a malformed one.
    Pem {
        /// The file, unless the text came from memory.
        path: Option<PathBuf>,
        /// What was expected in it.
        expected: &'static str,
        /// Why it is malformed; `None` if it is missing.
        error: Option<rustls::pki_types::pem::Error>,
    },
    /// The certificates that the system trusts cannot be read, or there are none.
    NoPlatformTrust(String),
    /// There are no files to [read again](crate::tls::TlsServer::reload): all certificates came from memory. Replace
    /// them by [`TlsServer::replace_pem`](crate::tls::TlsServer::replace_pem).
    NoFiles,
    /// A [`TlsServer`](crate::tls::TlsServer) that was made from a [`rustls::ServerConfig`] cannot be changed: the
    /// configuration says which certificates there are.
    ForeignConfig,
    /// The handshake with a server failed, usually because its certificate is not trusted.
    Handshake {
        /// The server's host, and its port unless that is 443.
        server: String,
        /// Why it failed.
        error: Cause,
    },
    /// A certificate or key cannot be used.
    Rustls(Cause),
}

impl TlsError {
    /// Returns the error of a handshake with this server, if that is what a transport has reported.
    pub(crate) fn of_handshake(error: &io::Error, server: &str) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<Cause>()?;
        Some(Self::Handshake { server: server.to_owned(), error: cause.clone() })
    }

    pub(crate) fn missing(expected: &'static str) -> Self {
        Self::Pem { path: None, expected, error: None }
    }
}

/// Returns whether the peer violated TLS, and not only the transport failed or ended.
pub(crate) fn is_tls_error(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
        || error.get_ref().is_some_and(|error| error.is::<Cause>())
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Pem { path, expected, error } => {
                match path {
                    Some(path) => write!(f, "{}: ", path.display())?,
                    None => write!(f, "the PEM text: ")?,
                }
                match error {
                    Some(error) => write!(f, "{error}; expected {expected}"),
                    None => write!(f, "has no {expected}"),
                }
            }
            Self::NoPlatformTrust(error) => {
                write!(
                    f,
                    "the system's trusted certificates cannot be used: {error}; install them (on Debian, the \
                     package ca-certificates), or configure a TlsClient that says what to trust"
                )
            }
            Self::NoFiles => f.write_str(
                "there are no files to read again: all certificates came from memory; replace them by \
                 TlsServer::replace_pem",
            ),
            Self::ForeignConfig => f.write_str(
                "the certificates are those of a rustls::ServerConfig, which cannot be changed here",
            ),
            Self::Handshake { server, error } => {
                write!(f, "the TLS handshake with {server} failed: ")?;
                write_failure(f, error)
            }
            Self::Rustls(error) => fmt::Display::fmt(error, f),
        }
    }
}

/// Says why a handshake failed.
fn write_failure(f: &mut fmt::Formatter<'_>, error: &Cause) -> fmt::Result {
    match error {
        Cause::InvalidCertificate(error) => write_distrust(f, error),
        Cause::AlertReceived(alert) => write!(f, "the server refused it with the alert {alert:?}"),
        Cause::InvalidMessage(error) => {
            write!(f, "the server does not speak TLS, or violates it: {error:?}")
        }
        error => fmt::Display::fmt(error, f),
    }
}

/// Says why a certificate is not trusted.
fn write_distrust(f: &mut fmt::Formatter<'_>, error: &CertificateError) -> fmt::Result {
    f.write_str("the server's certificate is not trusted: ")?;
    match error {
        CertificateError::UnknownIssuer => {
            f.write_str("it was issued by an unknown authority, or by itself")
        }
        CertificateError::Expired => f.write_str("it has expired"),
        CertificateError::NotValidYet => f.write_str("it is not valid yet"),
        CertificateError::NotValidForName => f.write_str("it is for another name"),
        CertificateError::Revoked => f.write_str("it has been revoked"),
        // rustls does not tell these apart.
        CertificateError::BadSignature => {
            f.write_str("its signature is wrong, or was made with a key that is too weak")
        }
        CertificateError::BadEncoding => f.write_str("it is malformed"),
        CertificateError::InvalidPurpose => f.write_str("it is for another purpose"),
        // These have details, such as the name and the dates.
        error => fmt::Display::fmt(error, f),
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { error, .. } => Some(error),
            Self::Pem { error, .. } => error.as_ref().map(|error| error as _),
            Self::NoPlatformTrust(_) | Self::NoFiles | Self::ForeignConfig => None,
            Self::Handshake { error, .. } | Self::Rustls(error) => Some(error),
        }
    }
}

impl From<Cause> for TlsError {
    fn from(error: Cause) -> Self {
        Self::Rustls(error)
    }
}
