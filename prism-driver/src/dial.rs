//! Connecting to a host, which may have several addresses (RFC 8305, "Happy Eyeballs").

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::runtime::{Network, until};

/// How long an attempt is waited for before the next address is tried as well (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to a name or an address. Of several addresses each is tried, IPv6 and IPv4 in turn:
/// the next one when an attempt has failed or is slow. The first connection wins.
pub(crate) async fn dial<N: Network>(network: &N, host: &str, port: u16) -> io::Result<N::Stream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => network.resolve(host, port).await.map_err(|error| about(host, &error))?,
    };
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    for address in in_turn(addresses) {
        attempts.push(attempt(network, address));
        let deadline = network.now().saturating_add(ATTEMPT_DELAY);
        match until(network, deadline, attempts.next()).await {
            Some(Some(Ok(stream))) => return Ok(stream),
            Some(Some(Err(failure))) => failures.push(failure),
            Some(None) | None => {}
        }
    }
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(stream) => return Ok(stream),
            Err(failure) => failures.push(failure),
        }
    }
    Err(all(host, &failures))
}

async fn attempt<N: Network>(network: &N, address: SocketAddr) -> io::Result<N::Stream> {
    network.connect(address).await.map_err(|error| about(&address.to_string(), &error))
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

fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// That each address failed, and how; of the kind of the last failure.
fn all(host: &str, failures: &[io::Error]) -> io::Error {
    let Some(last) = failures.last() else {
        return io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    };
    let each: Vec<_> = failures.iter().map(ToString::to_string).collect();
    io::Error::new(last.kind(), each.join("; "))
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
