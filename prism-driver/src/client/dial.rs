//! Opening a client's connection: to the server, through a proxy and TLS if need be, and to where the server redirects.

use crate::{
    client::{
        Client, destination::Destination, happy_eyeballs, proxy::dial_through,
        redirects::is_redirect, url::Url,
    },
    error::connect::ConnectError,
    runtime::Network,
    session::Session,
};
#[cfg(feature = "tls")]
use crate::{runtime::timeout::until, tls::client::TlsClient};

impl<N: Network> Client<N> {
    /// Opens a connection, and follows as many redirects as are allowed. What not every client needs is boxed, so that
    /// the others' futures stay small.
    pub(super) async fn dial(&self) -> Result<Session, ConnectError> {
        let mut redirected: Option<Box<Destination>> = None;
        let mut followed = 0;
        loop {
            let destination = redirected.as_deref().unwrap_or(&self.destination);
            let mut refusal = match self.open_at(destination).await {
                Err(ConnectError::Refused(refusal)) => refusal,
                outcome => return outcome,
            };
            refusal.redirects = followed;
            if followed == self.max_redirects || !is_redirect(refusal.status) {
                return Err(refusal.into());
            }
            redirected = Some(Box::new(destination.redirected(&refusal)?));
            followed += 1;
        }
    }

    /// Opens a connection to one server.
    async fn open_at(&self, destination: &Destination) -> Result<Session, ConnectError> {
        if destination.url.secure {
            return Box::pin(self.open_with_tls(destination)).await;
        }
        let stream = self.reach(&destination.url).await?;
        self.open(stream, &destination.request, self.handshake_timeout()).await
    }

    /// Returns a stream to a server: TCP, or a tunnel through a proxy.
    async fn reach(&self, url: &Url) -> Result<N::Stream, ConnectError> {
        let (runtime, server) = (&self.runtime, &url.address);
        let deadline = runtime.now().saturating_add(self.options.connect_timeout);
        match self.proxy.as_ref().and_then(|proxy| proxy.server_for(url)) {
            None => happy_eyeballs::connect(runtime, server, deadline)
                .await
                .map(|(stream, _)| stream)
                .map_err(ConnectError::Unreachable),
            Some(proxy) => Box::pin(dial_through(runtime, proxy, server, deadline)).await,
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn open_with_tls(&self, _: &Destination) -> Result<Session, ConnectError> {
        Err(crate::client::url::InvalidUrl::needs_tls().into())
    }

    /// Does both handshakes, of TLS and of HTTP, by one deadline.
    #[cfg(feature = "tls")]
    async fn open_with_tls(&self, destination: &Destination) -> Result<Session, ConnectError> {
        let Destination { url, request, keeps_secrets } = destination;
        let mut tls = self.tls.clone().map_or_else(TlsClient::trusting_platform, Ok)?;
        if !keeps_secrets {
            tls = tls.without_certificate();
        }
        let name = url.address.certificate_name()?;
        let stream = self.reach(url).await?;
        let deadline = self.runtime.now().saturating_add(self.handshake_timeout());
        let stream = until(&self.runtime, deadline, tls.handshake(name, stream)).await;
        let failed = |error| ConnectError::of_tls(error, &url.authority);
        let mut stream = stream.ok_or(ConnectError::TimedOut)?.map_err(failed)?;
        let tls = stream.take_info();
        let time_left = deadline.saturating_sub(self.runtime.now());
        match self.open(stream, request, time_left).await {
            Ok(session) => Ok(session.with_tls(tls)),
            // With TLS 1.3, a server may refuse the client's certificate after the client's part of the handshake.
            Err(ConnectError::Io(error)) => Err(failed(error)),
            Err(error) => Err(error),
        }
    }
}
