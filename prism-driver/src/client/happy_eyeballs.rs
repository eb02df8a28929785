//! Connecting to a host, which may have several addresses (RFC 8305, "Happy Eyeballs").

use std::{io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::{
    client::url::ServerAddress,
    runtime::{
        Network,
        address_errors::{all_failed, with_context},
        timeout::{until, within},
        with_nodelay,
    },
};

/// How long an attempt may take before the next address is tried in parallel (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address that was tried, and its error; `None` if it has not answered.
type Attempt = (SocketAddr, Option<io::Error>);

/// Connects to a name or an address. If there are several addresses, tries them one after another, IPv6 and IPv4
/// alternating. The next attempt starts when the last one has failed or is slow. Returns the first connection and the
/// address that it leads to, or an error at the deadline.
pub(crate) async fn connect<N: Network>(
    network: &N,
    server: &ServerAddress,
    deadline: Duration,
) -> io::Result<(N::Stream, SocketAddr)> {
    let addresses = match server {
        ServerAddress::Address(address) => vec![*address],
        ServerAddress::Named { host, port } => resolve(network, host, *port, deadline).await?,
    };
    let mut attempts = Vec::new();
    let connected = until(network, deadline, race(network, addresses, &mut attempts)).await;
    match connected.flatten() {
        Some((number, stream)) => Ok((with_nodelay(network, stream), attempts[number].0)),
        None => {
            let failed = |(address, failure): Attempt| (address, failure.unwrap_or_else(timed_out));
            Err(all_failed(&attempts.into_iter().map(failed).collect::<Vec<_>>()))
        }
    }
}

/// Returns the addresses of a host, at least one.
pub(crate) async fn resolve<N: Network>(
    network: &N,
    host: &str,
    port: u16,
    deadline: Duration,
) -> io::Result<Vec<SocketAddr>> {
    let found = until(network, deadline, network.resolve(host, port)).await;
    match found.unwrap_or_else(|| Err(timed_out())) {
        Ok(addresses) if addresses.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")))
        }
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(with_context(host, &error)),
    }
}

/// Returns the first connection that succeeds, with the number of its attempt, or `None` if all attempts fail.
async fn race<N: Network>(
    network: &N,
    addresses: Vec<SocketAddr>,
    attempts: &mut Vec<Attempt>,
) -> Option<(usize, N::Stream)> {
    let mut pending = FuturesUnordered::new();
    for address in interleave(addresses) {
        let number = attempts.len();
        attempts.push((address, None));
        pending.push(async move { (number, network.connect(address).await) });
        match within(network, ATTEMPT_DELAY, pending.next()).await.flatten() {
            Some((number, Ok(stream))) => return Some((number, stream)),
            Some((number, Err(error))) => attempts[number].1 = Some(error),
            None => {}
        }
    }
    while let Some((number, outcome)) = pending.next().await {
        match outcome {
            Ok(stream) => return Some((number, stream)),
            Err(error) => attempts[number].1 = Some(error),
        }
    }
    None
}

/// Alternates between the address families while both last. Otherwise keeps the given order (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let ipv6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == ipv6_first);
    let mut others = others.into_iter();
    let mut preferred = preferred.into_iter();
    let mut preferred_next = false;
    std::iter::from_fn(move || {
        preferred_next = !preferred_next;
        if preferred_next {
            preferred.next().or_else(|| others.next())
        } else {
            others.next().or_else(|| preferred.next())
        }
    })
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use super::interleave;

    fn order(addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| format!("{address}:1").parse().unwrap());
        interleave(addresses.collect()).map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn address_families_alternate_starting_with_the_first_address() {
        assert_eq!(
            order(&["[::1]", "[::2]", "[::3]", "0.0.0.1", "0.0.0.2"]),
            ["::1", "0.0.0.1", "::2", "0.0.0.2", "::3"]
        );
        assert_eq!(order(&["0.0.0.1", "0.0.0.2", "[::1]"]), ["0.0.0.1", "::1", "0.0.0.2"]);
        assert_eq!(order(&["0.0.0.1", "[::1]", "[::2]"]), ["0.0.0.1", "::1", "::2"]);
        assert_eq!(order(&["[::2]", "[::1]"]), ["::2", "::1"]);
        assert!(order(&[]).is_empty());
    }
}
