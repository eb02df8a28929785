//! [`Endpoint`]: a server, and how it is reached.

use std::time::Duration;

#[cfg(feature = "tls")]
use prism_driver::tls::TlsClient;
use prism_driver::{Network, ServiceAddress};

use crate::{connection::Connection, error::SessionError, url::Target};

#[derive(Clone)]
pub(crate) struct Endpoint<N> {
    pub(crate) runtime: N,
    pub(crate) target: Target,
    /// What is trusted; `None` for what the operating system trusts.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl<N: Network> Endpoint<N> {
    /// Opens TCP connections to the same server, even if the name leads to others as well, or to another one soon.
    pub(crate) async fn connect_twice(
        &self,
        limit: Duration,
    ) -> Result<[N::Stream; 2], SessionError> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() && !self.target.is_secure {
            return Err(SessionError::NotTls);
        }
        let deadline = self.runtime.now().saturating_add(limit);
        let first = self.target.address.connect(&self.runtime, limit).await;
        let (first, address) = first.map_err(SessionError::Unreachable)?;
        let limit = deadline.saturating_sub(self.runtime.now());
        let second = ServiceAddress::connect_to(&self.runtime, address, limit).await;
        Ok([first, second.map_err(SessionError::Unreachable)?])
    }

    /// Turns a TCP connection into one to Redis, with TLS if the URL says so.
    pub(crate) async fn secure(&self, stream: N::Stream) -> Result<Connection, SessionError> {
        #[cfg(feature = "tls")]
        if self.target.is_secure {
            let tls = self.tls.clone().map_or_else(TlsClient::trusting_platform, Ok);
            let tls = tls.map_err(|error| SessionError::Tls(error.into()))?;
            let stream =
                self.target.address.secure(&tls, stream).await.map_err(SessionError::Tls)?;
            return Ok(Connection::new(stream));
        }
        Ok(Connection::new(stream))
    }
}
