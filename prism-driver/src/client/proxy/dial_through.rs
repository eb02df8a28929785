//! [`dial_through`]: connects to a server through a proxy.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

#[cfg(feature = "socks")]
use crate::client::proxy::socks;
use crate::{
    client::{
        happy_eyeballs::{self, resolve},
        proxy::{
            error::ProxyFailure,
            http_connect,
            server::{ProxyProtocol, ProxyServer},
        },
        url::{InvalidUrl, ServerAddress},
    },
    error::connect::ConnectError,
    runtime::{Network, Transport, timeout::within},
};

/// Connects to a proxy, and asks it for a connection to a server. Returns an error at the deadline.
///
/// If this machine has to resolve the server's name, and the proxy cannot connect to the first of its addresses, or is
/// silent for its share of the time, it is asked for the next one.
pub(crate) async fn dial_through<N: Network>(
    network: &N,
    proxy: &ProxyServer,
    server: &ServerAddress,
    deadline: Duration,
) -> Result<N::Stream, ConnectError> {
    let mut addresses = addresses_for(network, proxy, server, deadline).await?;
    let last = addresses.pop().expect("at least one address");
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
    for address in addresses {
        match ask(network, proxy, &address, deadline, left).await {
            Err(ProxyFailure::RefusedSocks(_) | ProxyFailure::TimedOut) => left -= 1,
            outcome => return outcome.map_err(|failure| failure.of(&proxy.address).into()),
        }
    }
    let outcome = ask(network, proxy, &last, deadline, 1).await;
    outcome.map_err(|failure| failure.of(&proxy.address).into())
}

/// Returns what to ask a proxy for, one after another: the server, or its addresses if this machine has to resolve its
/// name. Returns at least one.
async fn addresses_for<N: Network>(
    network: &N,
    proxy: &ProxyServer,
    server: &ServerAddress,
    deadline: Duration,
) -> Result<Vec<ServerAddress>, ConnectError> {
    if server.has_zone() {
        return Err(InvalidUrl::new(
            "a proxy cannot reach an address with a zone; list it in `no_proxy`",
        )
        .into());
    }
    match server {
        ServerAddress::Named { host, .. } if !proxy.protocol.takes_name(host) => {
            Err(InvalidUrl::new("a SOCKS proxy takes names of at most 255 bytes").into())
        }
        ServerAddress::Named { host, port } if !proxy.protocol.resolves_names() => {
            let addresses = resolve(network, host, *port, deadline).await;
            let addresses = addresses.map_err(ConnectError::Unreachable)?;
            Ok(addresses.into_iter().map(ServerAddress::Address).collect())
        }
        _ => Ok(vec![server.clone()]),
    }
}

/// Connects to a proxy, and asks it for one connection. `left` is for how many, one after another, the remaining time
/// has to suffice.
async fn ask<N: Network>(
    network: &N,
    proxy: &ProxyServer,
    server: &ServerAddress,
    deadline: Duration,
    left: u32,
) -> Result<N::Stream, ProxyFailure> {
    let stream = happy_eyeballs::connect(network, &proxy.address, deadline).await;
    let (mut stream, _) = stream.map_err(ProxyFailure::Unreachable)?;
    let answer = async {
        match &proxy.protocol {
            ProxyProtocol::Http(credentials) => {
                http_connect::open_tunnel(&mut stream, server, credentials.as_ref()).await
            }
            #[cfg(feature = "socks")]
            ProxyProtocol::Socks { credentials, .. } => {
                socks::open_tunnel(&mut stream, server, credentials.as_ref()).await
            }
        }
    };
    let time = deadline.saturating_sub(network.now()) / left;
    within(network, time, answer).await.ok_or(ProxyFailure::TimedOut)??;
    expect_silence(&mut stream).await?;
    Ok(stream)
}

/// Returns an error if more has arrived than the proxy's answer. Does not wait for it: what arrives later may be the
/// server's. (An end is left to the handshake, which reports it.)
async fn expect_silence(io: &mut impl Transport) -> Result<(), ProxyFailure> {
    poll_fn(|cx| {
        // A transport may wait once before it looks for data.
        for _ in 0..2 {
            if let Poll::Ready(read) = Pin::new(&mut *io).poll_read(cx, &mut [0]) {
                return Poll::Ready(match read? {
                    0 => Ok(()),
                    _ => Err(ProxyFailure::UnexpectedBytes),
                });
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}
