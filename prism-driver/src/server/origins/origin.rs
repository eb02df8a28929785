//! [`Origin`]: parsing and comparing origins.

use http::uri::{Authority, Scheme};

/// An origin (RFC 6454 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Null,
    /// `file://`, which has no host.
    File,
    /// Scheme and host are in lower case. A missing port is the default port of the scheme, if it has one.
    Host {
        scheme: Scheme,
        host: String,
        port: Option<u16>,
    },
}

impl Origin {
    /// Parses the value of an `Origin` header.
    pub(super) fn parse(origin: &[u8]) -> Option<Self> {
        match origin {
            b"null" => return Some(Self::Null),
            b"file://" => return Some(Self::File),
            _ => {}
        }
        let origin = str::from_utf8(origin).ok()?.to_ascii_lowercase();
        let (scheme, rest) = origin.split_once("://")?;
        let scheme: Scheme = scheme.parse().ok()?;
        let (host, port) = split_port(rest)?;
        let port = port.or_else(|| default_port(&scheme));
        // No host has a `*`, so a listed origin with one would never match.
        (!host.contains('*')).then_some(Self::Host { scheme, host, port })
    }

    /// Returns whether this is the host and port of a request with the given `Host`.
    pub(super) fn is_at(&self, host_header: &str) -> bool {
        match (self, split_port(&host_header.to_ascii_lowercase())) {
            (Self::Host { scheme, host, port }, Some((requested, requested_port))) => {
                *host == requested && *port == requested_port.or_else(|| default_port(scheme))
            }
            _ => false,
        }
    }
}

fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = authority.parse().ok()?;
    let (host, port) = (authority.host(), authority.port());
    // Anything other than host and port is a user name or an invalid port.
    let length = host.len() + port.as_ref().map_or(0, |port| 1 + port.as_str().len());
    (length == authority.as_str().len()).then(|| (host.to_owned(), port.map(|port| port.as_u16())))
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}
