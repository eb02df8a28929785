//! What stands for TLS without the feature `tls`: types that have no values.

/// There is no server with TLS.
pub(crate) mod server {
    use bytes::Bytes;

    use crate::runtime::Transport;

    #[derive(Clone)]
    pub(crate) enum TlsServer {}

    impl TlsServer {
        pub(crate) fn accept(&self, _: Bytes, _: impl Transport) -> Box<dyn Transport> {
            match *self {}
        }
    }
}

/// There is no error of TLS.
pub(crate) mod error {
    use std::io;

    pub(crate) const fn is_tls_error(_: &io::Error) -> bool {
        false
    }
}
