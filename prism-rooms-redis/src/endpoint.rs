//! [`Endpoint`]: a server, and how it is reached.

use std::time::Duration;

use prism_driver::Network;
#[cfg(feature = "tls")]
use prism_driver::tls::TlsClient;

use crate::{connection::Connection, error::Lost, url::Target};

#[derive(Clone)]
pub(crate) struct Endpoint<N> {
    pub(crate) runtime: N,
    pub(crate) target: Target,
    /// What is trusted; `None` for what the operating system trusts.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl<N: Network> Endpoint<N> {
    /// Opens a connection. `limit` is for TCP.
    pub(crate) async fn open(&self, limit: Duration) -> Result<Connection, Lost> {
        let address = &self.target.address;
        #[cfg(feature = "tls")]
        if self.tls.is_some() && !self.target.is_secure {
            return Err(Lost::NotTls);
        }
        let stream = address.connect(&self.runtime, limit).await.map_err(Lost::Unreachable)?;
        #[cfg(feature = "tls")]
        if self.target.is_secure {
            let tls = self.tls.clone().map_or_else(TlsClient::trusting_platform, Ok);
            let tls = tls.map_err(|error| Lost::Tls(error.into()))?;
            let stream = address.secure(&tls, stream).await.map_err(Lost::Tls)?;
            return Ok(Connection::new(stream));
        }
        Ok(Connection::new(stream))
    }
}
