//! Reads certificates and keys from PEM (RFC 7468).

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject},
    },
};

use crate::tls::error::TlsError;

pub(super) const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key (PKCS #8, PKCS #1 or SEC 1)";

/// Returns the certificates in a PEM file, at least one.
pub(super) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(&read(path)?).map_err(|error| in_file(path, error))
}

/// Returns the certificates of authorities in a PEM file, at least one.
pub(super) fn authorities_in(path: &Path) -> Result<RootCertStore, TlsError> {
    authorities(&read(path)?).map_err(|error| in_file(path, error))
}

/// Returns the certificates of authorities in a PEM text, at least one.
pub(super) fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    roots(certificates(pem)?)
}

/// Returns these certificates as those of authorities. Fails if one cannot be that of an authority.
pub(super) fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Returns the first private key in a PEM file.
pub(super) fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    key(&read(path)?).map_err(|error| in_file(path, error))
}

/// Returns the certificates in a PEM text, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::missing(CERTIFICATE)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(malformed(CERTIFICATE, error)),
    }
}

/// Returns the first private key in a PEM text.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => TlsError::missing(KEY),
        error => malformed(KEY, error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::File { path: path.to_owned(), error })
}

const fn malformed(expected: &'static str, error: Error) -> TlsError {
    TlsError::Pem { path: None, expected, error: Some(error) }
}

fn in_file(file: &Path, error: TlsError) -> TlsError {
    match error {
        TlsError::Pem { expected, error, .. } => {
            TlsError::Pem { path: Some(file.to_owned()), expected, error }
        }
        error => error,
    }
}
