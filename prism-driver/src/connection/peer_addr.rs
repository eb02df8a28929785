//! [`PeerAddr`]: a peer's address in 24 bytes, because every idle connection holds one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An `Option<SocketAddr>` without the flow label, which belongs to packets, not to the peer. An IPv4-mapped address is
/// stored as IPv4.
#[derive(Clone, Copy)]
pub(crate) enum PeerAddr {
    None,
    V4 { ip: Ipv4Addr, port: u16 },
    V6 { ip: Ipv6Addr, scope_id: u32, port: u16 },
}

/// Returns an address as applications see it: without the flow label, and as IPv4 if it is IPv4-mapped.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    Option::<SocketAddr>::from(PeerAddr::from(Some(addr)))
        .expect("the address of a peer that has one")
}

impl From<Option<SocketAddr>> for PeerAddr {
    fn from(addr: Option<SocketAddr>) -> Self {
        match addr {
            None => Self::None,
            Some(SocketAddr::V4(addr)) => Self::V4 { ip: *addr.ip(), port: addr.port() },
            // A dual-stack listener reports IPv4 peers with IPv4-mapped addresses (RFC 4291 §2.5.5.2).
            Some(SocketAddr::V6(addr)) => match addr.ip().to_ipv4_mapped() {
                Some(ip) => Self::V4 { ip, port: addr.port() },
                None => Self::V6 { ip: *addr.ip(), scope_id: addr.scope_id(), port: addr.port() },
            },
        }
    }
}

impl From<PeerAddr> for Option<SocketAddr> {
    fn from(addr: PeerAddr) -> Self {
        match addr {
            PeerAddr::None => None,
            PeerAddr::V4 { ip, port } => Some(SocketAddr::new(IpAddr::V4(ip), port)),
            PeerAddr::V6 { ip, scope_id, port } => {
                Some(SocketAddrV6::new(ip, port, 0, scope_id).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, SocketAddrV6};

    use super::PeerAddr;

    #[test]
    fn an_address_survives_the_round_trip() {
        let local = SocketAddrV6::new("fe80::1".parse().unwrap(), 8, 0, 3);
        let others = ["1.2.3.4:5", "[::1.2.3.4]:6", "[2001:db8::7]:65535"];
        let others = others.map(|addr| Some(addr.parse().unwrap()));
        for addr in [None, Some(SocketAddr::from(local))].into_iter().chain(others) {
            assert_eq!(Option::<SocketAddr>::from(PeerAddr::from(addr)), addr);
        }
        assert!(size_of::<PeerAddr>() <= 24);
    }

    #[test]
    fn an_ipv4_mapped_address_becomes_ipv4() {
        let mapped: SocketAddr = "[::ffff:1.2.3.4]:6".parse().unwrap();
        let expected = Some("1.2.3.4:6".parse().unwrap());
        assert_eq!(Option::<SocketAddr>::from(PeerAddr::from(Some(mapped))), expected);
    }
}
