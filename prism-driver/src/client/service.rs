//! [`ServiceAddress`]: the address of a server with another protocol, such as a message broker. The crates of Prism
//! that need one reach it as a client reaches its server.

use std::{fmt, io, net::SocketAddr, ops::Range, time::Duration};

use crate::{
    client::{
        happy_eyeballs,
        url::{InvalidUrl, ServerAddress},
    },
    runtime::Network,
};
#[cfg(feature = "tls")]
use crate::{
    error::connect::ConnectError,
    runtime::Transport,
    tls::{client::TlsClient, whole_flush::WholeFlush},
};

pub(crate) mod connection;

/// The host and the port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress(ServerAddress);

impl ServiceAddress {
    /// Parses a host, and a port if there is one: `redis.example`, `10.0.0.5:6379`, `[::1]`.
    ///
    /// # Errors
    /// If the host or the port is invalid.
    pub fn parse(authority: &str, default_port: u16) -> Result<Self, InvalidUrl> {
        ServerAddress::parse(authority, default_port).map(Self)
    }

    /// Parses a host and a port that are a part of a URL: the bytes in `part`. An error that says where it is counts
    /// the characters of the whole URL.
    ///
    /// # Errors
    /// If the host or the port is invalid.
    ///
    /// # Panics
    /// If the URL does not have this part.
    pub fn parse_part(
        url: &str,
        part: Range<usize>,
        default_port: u16,
    ) -> Result<Self, InvalidUrl> {
        ServerAddress::parse_part(url, part, default_port).map(Self)
    }

    /// Opens a TCP connection, without Nagle's algorithm. Resolves the name, and tries all of its addresses. Returns
    /// the connection, and the address that it leads to. For more connections to the same server, use
    /// [`connect_to`](Self::connect_to).
    ///
    /// # Errors
    /// If the name cannot be resolved, or no address answers within `limit`. The error names each address.
    pub async fn connect<N: Network>(
        &self,
        network: &N,
        limit: Duration,
    ) -> io::Result<(N::Stream, SocketAddr)> {
        happy_eyeballs::connect(network, &self.0, network.now().saturating_add(limit)).await
    }

    /// Opens a TCP connection to one address, without Nagle's algorithm.
    ///
    /// # Errors
    /// If the address does not answer within `limit`. The error names it.
    pub async fn connect_to<N: Network>(
        network: &N,
        address: SocketAddr,
        limit: Duration,
    ) -> io::Result<N::Stream> {
        let address = Self(ServerAddress::Address(address));
        address.connect(network, limit).await.map(|(stream, _)| stream)
    }

    /// Does a TLS handshake with the server. No protocol is offered by ALPN, unless the application's configuration of
    /// rustls has others than HTTP.
    ///
    /// # Errors
    /// If the handshake fails, such as because the server's certificate is not trusted.
    #[cfg(feature = "tls")]
    pub async fn secure<T: Transport>(
        &self,
        tls: &TlsClient,
        transport: T,
    ) -> Result<impl Transport + use<T>, ConnectError> {
        let name = self.0.certificate_name()?;
        let stream = tls.without_http().handshake(name, transport).await;
        let stream = stream.map_err(|error| ConnectError::of_tls(error, &self.to_string()))?;
        Ok(WholeFlush(stream))
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
