//! Connecting to a host, which may have several addresses (RFC 8305, "Happy Eyeballs").

use std::{io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::{
    client::url::ServerAddress,
    runtime::{
        Network,
        address_errors::{about, all_failed},
        timeout::{until, within},
        undelayed,
    },
};

/// How long an attempt is waited for before the next address is tried as well (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address that was tried, and how it failed; `None`: it has not answered.
type Attempt = (SocketAddr, Option<io::Error>);

/// Connects to a name or an address. Of several addresses each is tried, IPv6 and IPv4 in turn:
/// the next one when an attempt has failed or is slow. The first connection wins; at the deadline
/// there is none.
pub(crate) async fn dial<N: Network>(
    network: &N,
    endpoint: &ServerAddress,
    deadline: Duration,
) -> io::Result<N::Stream> {
    let addresses = match endpoint {
        ServerAddress::Address(address) => vec![*address],
        ServerAddress::Named { host, port } => look_up(network, host, *port, deadline).await?,
    };
    let mut attempts = Vec::new();
    let connected = until(network, deadline, first(network, addresses, &mut attempts)).await;
    match connected.flatten() {
        Some(stream) => Ok(undelayed(network, stream)),
        None => {
            let failed = |(address, failure): Attempt| (address, failure.unwrap_or_else(no_answer));
            Err(all_failed(&attempts.into_iter().map(failed).collect::<Vec<_>>()))
        }
    }
}

/// The addresses of a host, of which there is one at least.
async fn look_up<N: Network>(
    network: &N,
    host: &str,
    port: u16,
    deadline: Duration,
) -> io::Result<Vec<SocketAddr>> {
    let found = until(network, deadline, network.resolve(host, port)).await;
    match found.unwrap_or_else(|| Err(no_answer())) {
        Ok(addresses) if addresses.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")))
        }
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(about(host, &error)),
    }
}

/// The first connection; none if all have failed.
async fn first<N: Network>(
    network: &N,
    addresses: Vec<SocketAddr>,
    attempts: &mut Vec<Attempt>,
) -> Option<N::Stream> {
    let mut pending = FuturesUnordered::new();
    for address in in_turn(addresses) {
        let number = attempts.len();
        attempts.push((address, None));
        pending.push(async move { (number, network.connect(address).await) });
        match within(network, ATTEMPT_DELAY, pending.next()).await.flatten() {
            Some((_, Ok(stream))) => return Some(stream),
            Some((number, Err(error))) => attempts[number].1 = Some(error),
            None => {}
        }
    }
    while let Some((number, outcome)) = pending.next().await {
        match outcome {
            Ok(stream) => return Some(stream),
            Err(error) => attempts[number].1 = Some(error),
        }
    }
    None
}

/// The families in turn, as far as both last; otherwise in the order that was given (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let six_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six_first);
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

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use super::in_turn;

    fn order(addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| format!("{address}:1").parse().unwrap());
        in_turn(addresses.collect()).map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn the_families_take_turns_and_the_first_address_goes_first() {
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
