//! [`Certificates`]: the certificates of a server, of which each client gets the one for the name that it asks for.

use std::{
    mem,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    pki_types::{CertificateDer, DnsName, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use webpki::EndEntityCert;

use crate::tls::{error::TlsError, pem, provider::provider};

/// The certificates of a server, with their keys. They can be replaced while it runs.
#[derive(Debug)]
pub(super) struct Certificates {
    current: RwLock<Arc<[Arc<Certificate>]>>,
}

/// A certificate with its key, and the names that it is for.
#[derive(Debug)]
pub(super) struct Certificate {
    key: Arc<CertifiedKey>,
    /// In lower case. May begin with `*.`.
    names: Vec<String>,
}

/// Where a certificate and its key come from.
#[derive(Debug)]
pub(super) struct PemFiles {
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
}

impl PemFiles {
    pub(super) fn read(&self) -> Result<Arc<Certificate>, TlsError> {
        Ok(Certificate::new(self.read_key()?))
    }

    pub(super) fn read_key(&self) -> Result<CertifiedKey, TlsError> {
        certified_key(pem::certificates_in(&self.certificates)?, pem::key_in(&self.key)?)
    }
}

/// Returns a chain of certificates with the key of the first. Fails if the key cannot be used, or belongs to another
/// certificate.
fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsError> {
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// Reads a chain of certificates and the key of the first from PEM texts.
pub(super) fn certified_key_in(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    certified_key(pem::certificates(certificates)?, pem::key(key)?)
}

impl Certificate {
    pub(super) fn new(key: CertifiedKey) -> Arc<Self> {
        Arc::new(Self { names: names_of(&key.cert), key: Arc::new(key) })
    }

    /// Reads a certificate and its key from PEM texts.
    pub(super) fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsError> {
        Ok(Self::new(certified_key_in(certificates, key)?))
    }

    /// Returns whether the certificate is for this name, which is in lower case (RFC 9525 §6.3).
    fn is_for(&self, name: &str) -> bool {
        self.names.iter().any(|own| match own.strip_prefix('*') {
            None => own == name,
            Some(parent) => name.find('.').is_some_and(|dot| dot > 0 && name[dot..] == *parent),
        })
    }

    /// Returns whether the client can verify signatures of this key.
    fn suits(&self, hello: &ClientHello<'_>) -> bool {
        self.key.key.choose_scheme(hello.signature_schemes()).is_some()
    }
}

/// Returns the names that the first certificate of a chain is for.
fn names_of(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let certificate = chain.first().map(EndEntityCert::try_from);
    let Some(Ok(certificate)) = certificate else { return Vec::new() };
    certificate.valid_dns_names().map(str::to_ascii_lowercase).collect()
}

impl Certificates {
    pub(super) fn new(certificate: Arc<Certificate>) -> Self {
        Self { current: RwLock::new(Arc::new([certificate])) }
    }

    /// Replaces all certificates. Handshakes that are in progress keep theirs.
    pub(super) fn replace(&self, certificates: Vec<Arc<Certificate>>) {
        let new = certificates.into();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *current, new);
        drop(current);
        drop(old); // the keys may be those of a provider that is not ours
    }

    fn current(&self) -> Arc<[Arc<Certificate>]> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificates {
    /// Returns the first certificate for the client's name with a key that the client can verify. A client without a
    /// name, or with another one, gets the first certificate: its error then says which names there are.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let name = hello.server_name().and_then(|name| DnsName::try_from(name).ok());
        let name = name.map(|name| name.to_lowercase_owned().as_ref().to_owned());
        let suiting = || current.iter().filter(|certificate| certificate.suits(&hello));
        let named = name.and_then(|name| suiting().find(|certificate| certificate.is_for(&name)));
        let chosen = named.or_else(|| suiting().next()).or_else(|| current.first())?;
        Some(chosen.key.clone())
    }
}
