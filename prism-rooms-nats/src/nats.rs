//! [`Nats`]: NATS, as the backplane of a cluster.

use std::fmt;

use prism_driver::Network;
use prism_rooms::{Backplane, Session, SessionFuture};

#[cfg(feature = "nkeys")]
use crate::credentials::{Credentials, InvalidCredentials};
use crate::{
    endpoint::Endpoint,
    session,
    subject::{InvalidPrefix, Prefix},
    url::{InvalidNatsUrl, Target},
};

/// A NATS server, or several, that carry the messages of a [`Cluster`](prism_rooms::Cluster).
///
/// The [front page](crate) has an example.
#[derive(Clone)]
pub struct Nats<N> {
    endpoint: Endpoint<N>,
    prefix: Prefix,
}

impl<N: Network> Nats<N> {
    /// Creates the backplane for a server, such as `nats://10.0.0.5`, `nats://user:password@nats.example:4222` or
    /// `nats://token@nats.example`. It connects when a cluster uses it. The runtime has to be that of the cluster.
    ///
    /// Several servers that are one NATS cluster have commas between them: `nats://user:password@10.0.0.5,10.0.0.6`, or
    /// whole URLs, each of which has a login of its own, or none: `nats://one@10.0.0.5,nats://two@10.0.0.6`. They are
    /// tried in random order. When a connection is lost, the next server is tried at once.
    ///
    /// Characters of a user name, a password or a token that have a meaning in a URL, such as `/`, `:` and `,`, have to
    /// be escaped (`%2F`, `%3A`, `%2C`). With the feature `tls`, `tls://` stands for TLS.
    ///
    /// # Errors
    /// If a URL is invalid, or if some have TLS and others have not.
    pub fn new(runtime: N, urls: &str) -> Result<Self, InvalidNatsUrl> {
        let endpoint = Endpoint::new(runtime, Target::parse(urls)?);
        Ok(Self { endpoint, prefix: Prefix::default() })
    }

    /// Sets what all subjects begin with: tokens with dots between them, such as `shop` or `shop.eu`; by default,
    /// `prism`. A dot and one more token follow. Clusters that share an account of a server need different prefixes.
    ///
    /// # Errors
    /// If subjects cannot begin with that: if it is empty or longer than 256 bytes, or has spaces, wildcards (`*`,
    /// `>`), `%` or an empty token in it.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, InvalidPrefix> {
        self.prefix = Prefix::new(prefix.into())?;
        Ok(self)
    }

    /// Sets a key with which this program proves who it is (an NKey), instead of a user in the URLs: the text of a
    /// `.creds` file, or the seed of a user's key alone, such as `SU...`. A key that was set before is replaced.
    ///
    /// ```
    /// # use prism_rooms_nats::Nats;
    /// # use prism_tokio::Tokio;
    /// # fn backplane() -> Result<Nats<Tokio>, Box<dyn std::error::Error>> {
    /// let credentials = std::fs::read_to_string("shop.creds")?;
    /// Ok(Nats::new(Tokio, "nats://10.0.0.5")?.credentials(&credentials)?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the text has no such key, or if a URL has a user or a token.
    #[cfg(feature = "nkeys")]
    pub fn credentials(mut self, text: &str) -> Result<Self, InvalidCredentials> {
        if !self.endpoint.set_key(&Credentials::parse(text)?) {
            return Err(InvalidCredentials(
                "a URL has a user or a token, too; expected URLs such as \"nats://10.0.0.5\"",
            ));
        }
        Ok(self)
    }

    /// Connects only to the servers that the URLs name. By default, servers of a NATS cluster name the others
    /// (`connect_urls`), and these are tried when no server of the URLs can be used. Call this if their addresses mean
    /// nothing here, such as those of containers.
    #[must_use]
    pub fn ignore_discovered_servers(mut self) -> Self {
        self.endpoint.discovers = false;
        self
    }

    /// Sets which certificates are trusted for `tls://`, and the certificate of this program. By default, trusts the
    /// operating system's certificates. With `nats://`, no connection is opened: it would not be encrypted.
    ///
    /// The certificate of a server that another one names has to be for the host in that one's URL.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<prism_driver::tls::TlsClient>) -> Self {
        self.endpoint.tls = Some(tls.into());
        self
    }
}

impl<N: Network> Backplane for Nats<N> {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move { session::serve(&self.endpoint, &self.prefix, session).await.into() })
    }
}

/// Without the passwords or the tokens.
impl<N> fmt::Debug for Nats<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("servers", &format_args!("{}", self.endpoint.target))
            .field("prefix", &format_args!("{}", self.prefix))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prism_tokio::Tokio;

    use super::Nats;

    #[test]
    fn the_password_and_the_token_are_not_shown() {
        let nats = Nats::new(Tokio, "nats://ann:secret@host").unwrap().prefix("shop").unwrap();
        let shown = format!("{nats:?}");
        assert_eq!(shown, "Nats { servers: nats://ann@host:4222, prefix: shop, .. }");
        let nats = Nats::new(Tokio, "nats://secret@host").unwrap();
        assert!(!format!("{nats:?}").contains("secret"));
    }

    #[cfg(feature = "nkeys")]
    #[test]
    fn a_key_is_instead_of_a_user_and_is_not_shown() {
        const SEED: &str = "SUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN63OVI";
        let nats = |url| Nats::new(Tokio, url).unwrap().credentials(SEED);
        let shown = format!("{:?}", nats("nats://one,two").unwrap().credentials(SEED).unwrap());
        assert!(shown.starts_with("Nats { servers: nats://one:4222,nats://two:4222, "), "{shown}");
        for url in ["nats://ann:secret@one", "nats://one,nats://secret@two"] {
            let error = nats(url).unwrap_err().to_string();
            assert!(
                error.contains("expected URLs such as") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
