//! Asks a SOCKS5 proxy for a connection (RFC 1928, RFC 1929).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio_socks::{Error, IntoTargetAddr, io::AsyncSocket, tcp::Socks5Stream};

use crate::{
    client::{
        proxy::{error::ProxyFailure, server::SocksCredentials},
        url::ServerAddress,
    },
    runtime::Transport,
};

/// Asks for a connection to a server, over a connection to the proxy.
pub(super) async fn open_tunnel(
    io: &mut impl Transport,
    server: &ServerAddress,
    credentials: Option<&SocksCredentials>,
) -> Result<(), ProxyFailure> {
    let server = match server {
        ServerAddress::Address(address) => address.into_target_addr(),
        ServerAddress::Named { host, port } => (host.as_str(), *port).into_target_addr(),
    };
    let server = server.expect("a name of at most 255 bytes");
    let socket = FlushFirst(io);
    let connected = match credentials {
        None => Socks5Stream::connect_with_socket(socket, server).await,
        Some(SocksCredentials { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(socket, server, user, password).await
        }
    };
    connected.map(drop).map_err(|error| failure(error, credentials.is_some()))
}

/// Flushes before it reads, because `tokio_socks` does not flush.
struct FlushFirst<'a, T>(&'a mut T);

impl<T: Transport> AsyncSocket for FlushFirst<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut *self.0).poll_flush(cx))?;
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }
}

fn failure(error: Error, had_credentials: bool) -> ProxyFailure {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => ProxyFailure::Closed,
        Error::Io(error) => ProxyFailure::Io(error),
        Error::AuthorizationRequired => ProxyFailure::CredentialsRequired,
        Error::NoAcceptableAuthMethods if !had_credentials => ProxyFailure::CredentialsRequired,
        Error::NoAcceptableAuthMethods => ProxyFailure::UnsupportedAuthentication,
        Error::PasswordAuthFailure(_) => ProxyFailure::CredentialsRejected,
        Error::GeneralSocksServerFailure => ProxyFailure::RefusedSocks(1),
        Error::ConnectionNotAllowedByRuleset => ProxyFailure::RefusedSocks(2),
        Error::NetworkUnreachable => ProxyFailure::RefusedSocks(3),
        Error::HostUnreachable => ProxyFailure::RefusedSocks(4),
        Error::ConnectionRefused => ProxyFailure::RefusedSocks(5),
        Error::TtlExpired => ProxyFailure::RefusedSocks(6),
        Error::CommandNotSupported => ProxyFailure::RefusedSocks(7),
        Error::AddressTypeNotSupported => ProxyFailure::RefusedSocks(8),
        Error::UnknownAuthMethod => ProxyFailure::InvalidAnswer("unknown method or reply".into()),
        other => ProxyFailure::InvalidAnswer(other.to_string().into()),
    }
}
