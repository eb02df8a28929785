//! What stands for TLS without the feature `tls`: types that have no values.

/// There is no server with TLS.
pub(crate) mod server {
    #[derive(Clone)]
    pub(crate) enum TlsServer {}
}

/// There is nothing that a TLS handshake has agreed on.
pub(crate) mod info {
    #[derive(Debug)]
    pub(crate) enum TlsInfo {}
}
