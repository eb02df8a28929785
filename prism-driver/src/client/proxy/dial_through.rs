//! [`dial_through`]: connects to a server through a proxy.

use std::time::Duration;

#[cfg(feature = "socks")]
use crate::client::proxy::socks;
use crate::{
    client::{
        connect::{dial, resolve},
        proxy::{
            error::ProxyFailure,
            http_connect,
            server::{ProxyProtocol, ProxyServer},
        },
        url::{InvalidUrl, ServerAddress},
    },
    error::connect::ConnectError,
    runtime::{Network, timeout::until},
};

/// Connects to a proxy, and asks it for a connection to a server. Returns an error at the deadline.
///
/// If this machine has to resolve the server's name, and the proxy cannot connect to the first of its addresses, it is
/// asked for the next one.
pub(crate) async fn dial_through<N: Network>(
    network: &N,
    proxy: &ProxyServer,
    server: &ServerAddress,
    deadline: Duration,
) -> Result<N::Stream, ConnectError> {
    let mut addresses = addresses_for(network, proxy, server, deadline).await?;
    let last = addresses.pop().expect("at least one address");
    for address in addresses {
        match ask(network, proxy, &address, deadline).await {
            Err(ProxyFailure::RefusedSocks(_)) => {}
            outcome => return outcome.map_err(|failure| failure.of(&proxy.address).into()),
        }
    }
    let outcome = ask(network, proxy, &last, deadline).await;
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
        ServerAddress::Named { host, port } if !proxy.protocol.resolves_names() => {
            let addresses = resolve(network, host, *port, deadline).await;
            let addresses = addresses.map_err(ConnectError::Unreachable)?;
            Ok(addresses.into_iter().map(ServerAddress::Address).collect())
        }
        _ => Ok(vec![server.clone()]),
    }
}

/// Connects to a proxy, and asks it for one connection.
async fn ask<N: Network>(
    network: &N,
    proxy: &ProxyServer,
    server: &ServerAddress,
    deadline: Duration,
) -> Result<N::Stream, ProxyFailure> {
    let stream = dial(network, &proxy.address, deadline).await;
    let mut stream = stream.map_err(ProxyFailure::Unreachable)?;
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
    until(network, deadline, answer).await.ok_or(ProxyFailure::TimedOut)??;
    Ok(stream)
}
