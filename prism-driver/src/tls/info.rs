//! [`TlsInfo`]: what a TLS handshake has agreed on.

use std::sync::Arc;

use rustls::{
    CipherSuite, ClientConnection, CommonState, HandshakeKind, ProtocolVersion, ServerConnection,
    pki_types::{CertificateDer, ServerName},
};

/// What the TLS handshake of a connection has agreed on, and the certificates of the peer.
///
/// A server gets it from [`Request::tls`](crate::Request::tls) and, in `on_connect`, from
/// [`Connection::tls`](crate::Connection::tls). A client gets it from the latter, or from
/// [`Socket::tls`](crate::Socket::tls).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    server_name: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
    version: ProtocolVersion,
    cipher_suite: CipherSuite,
    peer_certificates: Vec<CertificateDer<'static>>,
    is_resumed: bool,
}

impl TlsInfo {
    /// Takes what a handshake has agreed on that another library has done: the TLS of an HTTP server whose WebSockets
    /// run with [`WebSockets`](crate::WebSockets). Call it when the handshake is done.
    #[must_use]
    pub fn of_server(tls: &ServerConnection) -> Arc<Self> {
        Self::new(tls, tls.server_name())
    }

    pub(super) fn of_client(tls: &ClientConnection, name: &ServerName<'_>) -> Arc<Self> {
        match name {
            // A URL may have capitals.
            ServerName::DnsName(name) => Self::new(tls, Some(name.to_lowercase_owned().as_ref())),
            _ => Self::new(tls, None),
        }
    }

    fn new(tls: &CommonState, server_name: Option<&str>) -> Arc<Self> {
        let suite = tls.negotiated_cipher_suite();
        Arc::new(Self {
            server_name: server_name.map(Into::into),
            alpn: tls.alpn_protocol().map(Into::into),
            // A handshake that is done has agreed on both.
            version: tls.protocol_version().unwrap_or(ProtocolVersion::Unknown(0)),
            cipher_suite: suite.map_or(CipherSuite::Unknown(0), |suite| suite.suite()),
            peer_certificates: tls.peer_certificates().unwrap_or_default().to_vec(),
            is_resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// Returns the name that the client asked for (SNI, RFC 6066 §3), in lower case; `None` if it asked for none. A
    /// client that connects to an IP address asks for none.
    ///
    /// On a server, this is only what the client said: any client can ask for any name.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the protocol that was agreed on by ALPN (RFC 7301), usually `http/1.1`; `None` if there was no
    /// agreement, because one side does not use ALPN.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Returns the version of TLS, such as `TLSv1_3`.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Returns the cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    #[must_use]
    pub const fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    /// Returns the certificates that the peer sent, its own first. They have been verified.
    ///
    /// On a server, there are none unless it [requires](crate::tls::TlsServer::require_client_certificates) them.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.peer_certificates
    }

    /// Returns whether an earlier session was resumed (RFC 8446 §2.2), which spares both sides most of the work.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.is_resumed
    }
}
