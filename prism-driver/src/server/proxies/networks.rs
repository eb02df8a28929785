//! [`Networks`]: a set of IP networks.

use std::{error::Error, fmt, net::IpAddr, sync::Arc};

use ipnet::{IpNet, Ipv4Net};

/// A set of IP addresses and networks.
#[derive(Clone, Debug)]
pub(crate) struct Networks(Arc<[IpNet]>);

impl Networks {
    /// Parses addresses (`192.0.2.1`) and networks in CIDR notation (`10.0.0.0/8`).
    pub(crate) fn parse(
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidNetwork> {
        let parse = |text: &str| parse(text).ok_or_else(|| InvalidNetwork(text.to_owned()));
        networks.into_iter().map(|text| parse(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contains(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.0.iter().any(|network| network.contains(&addr))
    }
}

fn parse(text: &str) -> Option<IpNet> {
    if !text.contains('/') {
        return text.parse::<IpAddr>().ok().map(|addr| addr.to_canonical().into());
    }
    // `10.0.0.1/8` may be a slip for `10.0.0.1/32`, and trusts far more.
    let network: IpNet =
        text.parse().ok().filter(|network: &IpNet| network.addr() == network.network())?;
    match network {
        // An IPv4-mapped network: peers are compared by their IPv4 addresses (RFC 4291 §2.5.5.2).
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match mapped.addr().to_ipv4_mapped() {
            Some(addr) => Ipv4Net::new(addr, mapped.prefix_len() - 96).ok().map(IpNet::V4),
            None => Some(network),
        },
        network => Some(network),
    }
}

/// The error of [`Server::trust_proxies`](crate::Server::trust_proxies) and
/// [`Server::proxy_protocol`](crate::Server::proxy_protocol): a string that is not an IP address or network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNetwork(String);

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = "an IP address like \"192.0.2.1\", or a network like \"10.0.0.0/8\" or \"fd00::/8\" whose other bits are zero";
        write!(f, "{:?} is not a network; expected {expected}", self.0)
    }
}

impl Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{InvalidNetwork, Networks};

    #[test]
    fn addresses_and_networks_contain_what_they_say() {
        let networks = Networks::parse([
            "192.0.2.1",
            "10.0.0.0/8",
            "2001:db8::/32",
            "::1",
            "::ffff:198.51.100.0/120",
            "::ffff:203.0.113.7",
        ])
        .unwrap();
        for (addr, expected) in [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", true),
            ("::2", false),
            ("198.51.100.255", true),
            ("198.51.101.0", false),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
        ] {
            assert_eq!(networks.contains(addr.parse::<IpAddr>().unwrap()), expected, "{addr}");
        }
        let ipv6 = Networks::parse(["::/0"]).unwrap();
        assert!(!ipv6.contains("10.0.0.1".parse().unwrap()));
        let nobody = Networks::parse([""; 0]).unwrap();
        assert!(!nobody.contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_error_says_what_was_expected() {
        for bad in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10/8",
            " 10.0.0.1",
            "::1/0",
            "10.0.0.1:80",
            "fe80::1%eth0",
            "[::1]",
            "10.0.0.0/8\n",
        ] {
            let error = Networks::parse(["10.0.0.0/8", bad]).map(drop).unwrap_err();
            assert_eq!(error, InvalidNetwork(bad.to_owned()));
            assert!(
                error.to_string().contains("expected an IP address")
                    && !error.to_string().contains('\n')
            );
        }
    }
}
