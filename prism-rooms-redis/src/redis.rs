//! [`Redis`]: a server, as the backplane of a cluster.

use std::fmt;

use prism_driver::Network;
use prism_rooms::{Backplane, Session, SessionFuture};

use crate::{
    endpoint::Endpoint,
    session,
    url::{InvalidRedisUrl, Target},
};

/// A Redis or Valkey server that carries the messages of a [`Cluster`](prism_rooms::Cluster).
///
/// The [front page](crate) has an example.
#[derive(Clone)]
pub struct Redis<N> {
    endpoint: Endpoint<N>,
    prefix: String,
}

impl<N: Network> Redis<N> {
    /// Creates the backplane for a server, such as `redis://10.0.0.5` or `redis://user:password@redis.example:6379/`.
    /// It connects when a cluster uses it. The runtime has to be that of the cluster.
    ///
    /// Without a user name, the user is `default`. Characters of a user name or a password that have a meaning in a
    /// URL, such as `/`, have to be escaped (`%2F`). With the feature `tls`, `rediss://` stands for TLS.
    ///
    /// # Errors
    /// If the URL is invalid, or names a database: channels belong to none. [Prefixes](Self::prefix) keep programs
    /// apart.
    pub fn new(runtime: N, url: &str) -> Result<Self, InvalidRedisUrl> {
        let endpoint = Endpoint {
            runtime,
            target: Target::parse(url)?,
            #[cfg(feature = "tls")]
            tls: None,
        };
        Ok(Self { endpoint, prefix: "prism".to_owned() })
    }

    /// Sets what the names of all channels begin with; by default, `prism`. A colon follows. Clusters that share a
    /// server need different prefixes, of which none continues another after a colon (not `shop` and `shop:r`).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets which certificates are trusted for `rediss://`, and the certificate of this program. By default, trusts the
    /// operating system's certificates. With `redis://`, no connection is opened: it would not be encrypted.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<prism_driver::tls::TlsClient>) -> Self {
        self.endpoint.tls = Some(tls.into());
        self
    }
}

impl<N: Network> Backplane for Redis<N> {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            let error = session::serve(&self.endpoint, &self.prefix, session).await;
            format!("{}: {error}", self.endpoint.target.address).into()
        })
    }

    fn keeps_history(&self) -> bool {
        true
    }
}

/// Without the password.
impl<N> fmt::Debug for Redis<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &format_args!("{}", self.endpoint.target))
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prism_tokio::Tokio;

    use super::Redis;

    #[test]
    fn the_password_is_not_shown() {
        let redis = Redis::new(Tokio, "redis://ann:secret@host").unwrap().prefix("shop");
        let shown = format!("{redis:?}");
        assert_eq!(shown, r#"Redis { server: redis://ann@host:6379, prefix: "shop", .. }"#);
    }
}
