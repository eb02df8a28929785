//! [`Redis`]: a server, one that Sentinels find, or a Redis Cluster, as the backplane of a cluster.

use std::{fmt, sync::Arc};

use prism_driver::Network;
use prism_rooms::{Backplane, Session, SessionFuture};

use crate::{
    endpoint::Endpoint,
    session,
    url::{InvalidRedisUrl, Login, Target},
};

/// A Redis or Valkey server that carries the messages of a [`Cluster`](prism_rooms::Cluster): always the same one, the
/// one that Sentinels have made the master, or any node of a Redis Cluster.
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
    /// `redis+sentinel://user:password@10.0.0.5,10.0.0.6:26379/mymaster` names Sentinels, which know where the master
    /// `mymaster` is, and the credentials for that server. [The guide](crate::docs::failover) has more. With TLS, it is
    /// `rediss+sentinel://`.
    ///
    /// `redis+cluster://user:password@10.0.0.5,10.0.0.6:6379/` names nodes of a Redis Cluster: the first one is used,
    /// and the next one whenever a connection is lost.
    ///
    /// # Errors
    /// If the URL is invalid, or names a database: channels belong to none. [Prefixes](Self::prefix) keep programs
    /// apart.
    pub fn new(runtime: N, url: &str) -> Result<Self, InvalidRedisUrl> {
        let endpoint = Endpoint {
            runtime,
            target: Target::parse(url)?,
            sentinel_login: None,
            first_host: Arc::default(),
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

    /// Sets the credentials for Sentinels; by default, there are none. The user of Sentinels that have only a password
    /// is `default`. The credentials in the URL are for the server that the Sentinels find. With a URL that names no
    /// Sentinels, no connection is opened.
    #[must_use]
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.endpoint.sentinel_login = Some(Login { user: user.into(), password: password.into() });
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
        Box::pin(async move { session::serve(&self.endpoint, &self.prefix, session).await.into() })
    }

    fn keeps_history(&self) -> bool {
        !self.endpoint.is_cluster()
    }
}

/// Without the passwords.
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
    use prism_rooms::Backplane;
    use prism_tokio::Tokio;

    use super::Redis;

    #[test]
    fn redis_cluster_keeps_no_history() {
        let keeps_history = |url| Redis::new(Tokio, url).unwrap().keeps_history();
        assert!(keeps_history("redis://host") && keeps_history("redis+sentinel://host/cache"));
        assert!(!keeps_history("redis+cluster://host"));
    }

    #[test]
    fn passwords_are_not_shown() {
        let redis = Redis::new(Tokio, "redis://ann:secret@host").unwrap().prefix("shop");
        let shown = format!("{redis:?}");
        assert_eq!(shown, r#"Redis { server: redis://ann@host:6379, prefix: "shop", .. }"#);
        let redis = Redis::new(Tokio, "redis+sentinel://:secret@host/cache").unwrap();
        let shown = format!("{:?}", redis.sentinel_login("watcher", "secret"));
        let server = "redis+sentinel://default@host:26379/cache";
        assert_eq!(shown, format!("Redis {{ server: {server}, prefix: \"prism\", .. }}"));
    }
}
