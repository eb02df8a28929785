//! [`Endpoint`]: a server, several that are as good, or the Sentinels that know it, and how it is reached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_lite::future::or;
#[cfg(feature = "tls")]
use prism_driver::tls::TlsClient;
use prism_driver::{Network, ServiceAddress};

use crate::{
    connection::Connection,
    error::SessionError,
    sentinel,
    url::{Login, Servers, Target},
};

/// How long a Sentinel may take to answer.
const SENTINEL_LIMIT: Duration = Duration::from_millis(400);

/// How long all Sentinels may take that are asked in turn.
const SENTINELS_LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Endpoint<N> {
    pub(crate) runtime: N,
    pub(crate) target: Target,
    /// The credentials for Sentinels.
    pub(crate) sentinel_login: Option<Login>,
    /// Which of several hosts is tried first. It goes round.
    pub(crate) first_host: Arc<AtomicUsize>,
    /// What is trusted; `None` for what the operating system trusts.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl<N: Network> Endpoint<N> {
    /// Returns where the server is: what the URL says, or a Sentinel.
    pub(crate) async fn find_server(&self) -> Result<ServiceAddress, SessionError> {
        self.check_settings()?;
        match &self.target.servers {
            Servers::One(address) => Ok(address.clone()),
            // Each session is at another node: if the last one has ended, this one may be down or stalled.
            Servers::Cluster(nodes) => {
                let node = self.first_host.fetch_add(1, Relaxed) % nodes.len();
                Ok(nodes[node].clone())
            }
            Servers::Sentinels { addresses, master } => self.find_master(addresses, master).await,
        }
    }

    /// Lets another Sentinel be asked first the next time, because the server is not where the last one says.
    pub(crate) fn distrust_sentinel(&self) {
        if let Servers::Sentinels { .. } = self.target.servers {
            self.first_host.fetch_add(1, Relaxed);
        }
    }

    /// Returns whether the server has to belong to a Redis Cluster.
    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.target.servers, Servers::Cluster(_))
    }

    /// Opens TCP connections to the same server, even if the name leads to others as well, or to another one soon.
    pub(crate) async fn connect_twice(
        &self,
        server: &ServiceAddress,
        limit: Duration,
    ) -> Result<[N::Stream; 2], SessionError> {
        let deadline = self.runtime.now().saturating_add(limit);
        let first = server.connect(&self.runtime, limit).await;
        let (first, address) = first.map_err(SessionError::Unreachable)?;
        let limit = deadline.saturating_sub(self.runtime.now());
        let second = ServiceAddress::connect_to(&self.runtime, address, limit).await;
        Ok([first, second.map_err(SessionError::Unreachable)?])
    }

    /// Turns a TCP connection into one to Redis, with TLS if the URL says so.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "it has no certificate"))]
    pub(crate) async fn secure(
        &self,
        server: &ServiceAddress,
        stream: N::Stream,
    ) -> Result<Connection, SessionError> {
        #[cfg(feature = "tls")]
        if self.target.is_secure {
            let tls = self.tls.clone().map_or_else(TlsClient::trusting_platform, Ok);
            let tls = tls.map_err(|error| SessionError::Tls(error.into()))?;
            let stream = server.secure(&tls, stream).await.map_err(SessionError::Tls)?;
            return Ok(Connection::new(stream));
        }
        Ok(Connection::new(stream))
    }

    /// Checks that the settings are for such a URL.
    fn check_settings(&self) -> Result<(), SessionError> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() && !self.target.is_secure {
            return Err(SessionError::NotTls);
        }
        let has_sentinels = matches!(self.target.servers, Servers::Sentinels { .. });
        if self.sentinel_login.is_some() && !has_sentinels {
            return Err(SessionError::NoSentinels);
        }
        Ok(())
    }

    /// Asks the Sentinels in turn. The next time, the one that has answered is asked first; if none has, the one after
    /// the last that was asked.
    async fn find_master(
        &self,
        sentinels: &[ServiceAddress],
        master: &str,
    ) -> Result<ServiceAddress, SessionError> {
        let deadline = self.runtime.now().saturating_add(SENTINELS_LIMIT);
        let mut reasons = Vec::new();
        for _ in sentinels {
            let limit = SENTINEL_LIMIT.min(deadline.saturating_sub(self.runtime.now()));
            if limit.is_zero() {
                break;
            }
            let sentinel = &sentinels[self.first_host.load(Relaxed) % sentinels.len()];
            let late = async {
                self.runtime.sleep(limit).await;
                Err(SessionError::TimedOut)
            };
            match or(self.ask(sentinel, master, limit), late).await {
                Ok(server) => return Ok(server),
                Err(SessionError::Unreachable(error)) => reasons.push(error.to_string()),
                Err(error) => reasons.push(format!("{sentinel}: {error}")),
            }
            self.distrust_sentinel();
        }
        Err(SessionError::NoMaster { master: master.to_owned(), reasons })
    }

    async fn ask(
        &self,
        sentinel: &ServiceAddress,
        master: &str,
        limit: Duration,
    ) -> Result<ServiceAddress, SessionError> {
        let stream = sentinel.connect(&self.runtime, limit).await;
        let (stream, _) = stream.map_err(SessionError::Unreachable)?;
        let mut connection = self.secure(sentinel, stream).await?;
        sentinel::ask(&mut connection, self.sentinel_login.as_ref(), master).await
    }
}
