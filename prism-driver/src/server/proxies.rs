//! [`Proxies`]: the peers that are trusted to name the clients that they forward.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
};

use prism_core::Request;

use crate::server::proxies::{
    forwarded::{Hop, Malformed},
    networks::Networks,
};

mod forwarded;
pub(crate) mod networks;
pub(crate) mod proxy_protocol;

/// The header with which proxies name the clients that they forward; see
/// [`Server::trust_proxies`](crate::Server::trust_proxies).
///
/// Choose the one that your proxies set. The other is ignored, because a proxy forwards what the client sent in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: a list of addresses. Most proxies set this header.
    ///
    /// An element is an IP address, optionally with a port: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`,
    /// `[2001:db8::1]` or `[2001:db8::1]:4711`. Like in `Forwarded`, it may also be `unknown`, or a name that begins
    /// with `_`.
    XForwardedFor,
    /// `Forwarded`, the standard header: a list of elements such as `for="[2001:db8::1]:4711";proto=https` (RFC 7239).
    Forwarded,
}

/// The trusted proxies of a server, by what they send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    /// HTTP proxies, and the header that they set.
    pub(super) forwarding: Option<(ForwardedHeader, Networks)>,
    /// Proxies that send a header of the PROXY protocol.
    pub(super) proxy_protocol: Option<Networks>,
}

/// A malformed header of a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidForwarded(ForwardedHeader);

impl Proxies {
    /// Returns whether a peer with this address is a proxy.
    pub(crate) fn contains(&self, addr: IpAddr) -> bool {
        self.forwards(addr) || self.sends_proxy_header(addr)
    }

    /// Returns whether a peer with this address has to send a header of the PROXY protocol.
    pub(crate) fn sends_proxy_header(&self, addr: IpAddr) -> bool {
        self.proxy_protocol.as_ref().is_some_and(|networks| networks.contains(addr))
    }

    /// Returns whether the requests of a peer with this address may name their client.
    pub(crate) fn forwards(&self, addr: IpAddr) -> bool {
        self.forwarding.as_ref().is_some_and(|(_, networks)| networks.contains(addr))
    }

    /// Returns the client of a request: the sender, unless that is a trusted proxy that names another.
    ///
    /// Each proxy appends the address of its own peer. So an element is trustworthy if all senders to its right are
    /// trusted proxies. The list is read from the right, up to the first address that is not a trusted proxy's. What is
    /// left of that, the client may have forged, so it is not even parsed.
    pub(crate) fn client(
        &self,
        request: &Request<'_>,
        sender: SocketAddr,
    ) -> Result<SocketAddr, InvalidForwarded> {
        let mut client = sender;
        let Some((header, networks)) = &self.forwarding else { return Ok(client) };
        let lines: Vec<_> = request.headers().all(header.name()).collect();
        for line in lines.into_iter().rev() {
            for hop in header.hops(line) {
                if !networks.contains(client.ip()) {
                    return Ok(client);
                }
                match hop.map_err(|Malformed| InvalidForwarded(*header))? {
                    Hop::Address(addr) => client = addr,
                    Hop::Hidden => return Ok(client),
                }
            }
        }
        Ok(client)
    }
}

impl ForwardedHeader {
    const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }

    /// Returns the elements of a line, from the right.
    fn hops(self, line: &[u8]) -> Box<dyn Iterator<Item = Result<Hop, Malformed>> + '_> {
        match self {
            Self::XForwardedFor => Box::new(forwarded::x_forwarded_for(line)),
            Self::Forwarded => Box::new(forwarded::forwarded(line)),
        }
    }
}

impl fmt::Display for InvalidForwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.0 {
            ForwardedHeader::XForwardedFor => "a list of IP addresses",
            ForwardedHeader::Forwarded => "a list of elements like for=192.0.2.1 (RFC 7239)",
        };
        write!(f, "malformed {} from a trusted proxy; expected {expected}", self.0.name())
    }
}

impl Error for InvalidForwarded {}
