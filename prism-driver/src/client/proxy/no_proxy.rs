//! [`NoProxy`]: the servers to which a client connects directly.
//!
//! There is no standard for this list. This follows curl, whose rules are the most common ones, and adds networks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::client::url::ServerAddress;

/// A list of servers, as in the variable `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<Exception>);

#[derive(Clone, Debug)]
struct Exception {
    hosts: Hosts,
    /// `None`: any port.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    All,
    Network(IpNet),
    /// A name in lower case, and all names below it.
    Domain(String),
}

impl NoProxy {
    /// Parses a list with commas or spaces. What is no valid entry covers no server.
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self(entries.map(Exception::parse).collect())
    }

    /// Returns whether a server is in the list.
    pub(super) fn covers(&self, server: &ServerAddress) -> bool {
        let host = Host::of(server);
        self.0.iter().any(|exception| {
            exception.port.is_none_or(|port| port == server.port()) && exception.hosts.cover(&host)
        })
    }
}

impl Exception {
    fn parse(entry: &str) -> Self {
        if let Some(hosts) = Hosts::parse_network(entry) {
            return Self { hosts, port: None };
        }
        let split = entry.rsplit_once(':');
        let (host, port) = match split.map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host, Some(port)),
            _ => (entry, None),
        };
        let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let hosts = Hosts::parse_network(unbracketed.unwrap_or(host));
        Self { hosts: hosts.unwrap_or_else(|| Hosts::parse_name(host)), port }
    }
}

impl Hosts {
    fn parse_network(text: &str) -> Option<Self> {
        let address = text.parse::<IpAddr>().map(|address| address.to_canonical().into());
        address.or_else(|_| text.parse()).map(Self::Network).ok()
    }

    fn parse_name(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        Self::Domain(normalize(name.strip_prefix('.').unwrap_or(name)))
    }

    fn cover(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network(network), Host::Address(address)) => network.contains(address),
            (Self::Domain(domain), Host::Name(name)) => is_below(name, domain),
            _ => false,
        }
    }
}

/// The host of a server.
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn of(server: &ServerAddress) -> Self {
        let name = match server {
            ServerAddress::Address(address) => return Self::Address(address.ip().to_canonical()),
            ServerAddress::Named { host, .. } => host,
        };
        // An address may have the name of a zone.
        match name.split('%').next().and_then(|address| address.parse().ok()) {
            Some(address) => Self::Address(address),
            None => Self::Name(normalize(name)),
        }
    }
}

/// Returns a name in lower case, without the dot at its end that makes it absolute (RFC 1034 §3.1).
fn normalize(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Returns whether a name is the domain, or below it.
fn is_below(name: &str, domain: &str) -> bool {
    !domain.is_empty()
        && name
            .strip_suffix(domain)
            .is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::NoProxy;
    use crate::client::url::Url;

    fn covers(list: &str, server: &str) -> bool {
        let url = Url::parse(&format!("ws://{server}/")).unwrap();
        NoProxy::parse(list).covers(&url.address)
    }

    #[track_caller]
    fn assert_covers(list: &str, covered: &[&str], others: &[&str]) {
        for (servers, expected) in [(covered, true), (others, false)] {
            for server in servers {
                assert_eq!(covers(list, server), expected, "{list:?} {server}");
            }
        }
    }

    #[test]
    fn a_name_stands_for_itself_and_all_names_below_it() {
        for list in ["example.org", ".example.org", "*.example.org", "Example.ORG.", "*example.org"]
        {
            assert_covers(
                list,
                &[
                    "example.org",
                    "EXAMPLE.org:8080",
                    "a.example.org",
                    "a.b.example.org",
                    "example.org.",
                ],
                &["myexample.org", "example.org.evil", "org", "example.com", "127.0.0.1"],
            );
        }
    }

    #[test]
    fn an_address_or_network_stands_for_addresses_in_urls() {
        assert_covers(
            "192.0.2.1",
            &["192.0.2.1", "192.0.2.1:1"],
            &["192.0.2.10", "192.0.2.1.evil"],
        );
        assert_covers("10.0.0.0/8", &["10.0.0.1", "10.255.0.1:80"], &["11.0.0.1", "10.0.0.1.evil"]);
        assert_covers("10.42.1.1/24", &["10.42.1.100"], &["10.42.2.1"]);
        assert_covers("::1", &["[::1]", "[0:0::1]:80"], &["[::2]", "0.0.0.1"]);
        assert_covers("[::1]", &["[::1]"], &["[::2]"]);
        assert_covers("fd00::/8", &["[fd12::1]"], &["[fe80::1]"]);
        assert_covers("fe80::/10", &["[fe80::1%25eth0]", "[fe80::1%253]"], &[]);
        assert_covers("127.0.0.1", &["[::ffff:127.0.0.1]"], &["localhost"]);
    }

    #[test]
    fn a_port_restricts_an_entry() {
        assert_covers(
            "example.org:8080",
            &["a.example.org:8080"],
            &["example.org", "example.org:80"],
        );
        assert_covers("example.org:80", &["example.org"], &["example.org:8080"]);
        assert_covers("127.0.0.1:8080", &["127.0.0.1:8080"], &["127.0.0.1"]);
        assert_covers("[::1]:8080", &["[::1]:8080"], &["[::1]"]);
        assert_covers("*:8080", &["example.org:8080"], &["example.org"]);
    }

    #[test]
    fn entries_are_separated_by_commas_and_spaces() {
        let list = " localhost,, 10.0.0.0/8 ,.internal  example.org";
        let covered = ["localhost", "10.1.2.3", "a.internal", "example.org"];
        assert_covers(list, &covered, &["example.com", "11.1.2.3"]);
        assert_covers("*", &["example.org", "127.0.0.1", "[::1]:8080"], &[]);
        assert_covers("a,*", &["example.org"], &[]);
    }

    #[test]
    fn what_is_no_entry_covers_nothing() {
        for list in [
            "",
            ",",
            ".",
            "*.",
            "10.0.0.0/33",
            "10/8",
            "[",
            ":80",
            "http://example.org",
            "ex*mple.org",
        ] {
            assert_covers(list, &[], &["example.org", "10.0.0.1", "[::1]"]);
        }
    }
}
