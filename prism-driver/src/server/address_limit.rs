//! [`AddressLimit`]: how many connections each client address may have.
//!
//! A connection in its handshake holds a [`Place`]. An open one does not, because it should not take more memory: the
//! [registry](crate::server::registry), which knows the address of each connection, reports its end.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::server::proxies::Proxies;

/// Counts the connections of each address, of which there is a maximum.
#[derive(Debug)]
pub(crate) struct AddressLimit {
    limit: usize,
    /// These have no limit: a proxy that does not name its client must not lock out everyone behind it.
    exempt: Proxies,
    counts: Mutex<HashMap<Subnet, Count>>,
}

/// The addresses that count as one: an IPv4 address, or the /64 network of an IPv6 address. (RFC 6177 §2: "it should be
/// easy for an end site to obtain [...] more than a single /64".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subnet {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

/// The numbers of connections of one [`Subnet`]. An entry with two zeros is removed.
#[derive(Debug, Default)]
struct Count {
    admitted: usize,
    /// Those that are being told that there are too many.
    refused: usize,
}

/// What becomes of another connection of an address.
pub(crate) enum Admitted {
    Yes(Place),
    /// It gets an answer, and meanwhile holds this place.
    No(Place),
    /// It gets no answer: too many others are getting theirs.
    Dropped,
}

/// A connection that is counted, until it is dropped. The default is one that is not counted.
#[derive(Default)]
pub(crate) struct Place(Option<Counted>);

struct Counted {
    by: Arc<AddressLimit>,
    subnet: Subnet,
    is_refused: bool,
}

impl AddressLimit {
    /// Limits each address that is not a proxy's to `limit` connections, and to at least one.
    pub(crate) fn new(limit: usize, exempt: Proxies) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), exempt, counts: Mutex::default() })
    }

    /// Counts one more connection of an address, if there may be one.
    pub(crate) fn admit(self: &Arc<Self>, addr: IpAddr) -> Admitted {
        if self.exempt.contains(addr) {
            return Admitted::Yes(Place::default());
        }
        let subnet = Subnet::of(addr);
        let mut counts = self.lock();
        let count = counts.entry(subnet).or_default();
        let is_refused = count.admitted >= self.limit;
        if is_refused && count.refused >= self.limit {
            return Admitted::Dropped;
        }
        *count.of(is_refused) += 1;
        let place = Place(Some(Counted { by: self.clone(), subnet, is_refused }));
        if is_refused { Admitted::No(place) } else { Admitted::Yes(place) }
    }

    /// Counts an open connection as ended.
    pub(crate) fn leave(&self, addr: IpAddr) {
        if !self.exempt.contains(addr) {
            self.uncount(Subnet::of(addr), false);
        }
    }

    fn uncount(&self, subnet: Subnet, is_refused: bool) {
        let mut counts = self.lock();
        let Entry::Occupied(mut entry) = counts.entry(subnet) else { return };
        *entry.get_mut().of(is_refused) -= 1;
        if entry.get().admitted + entry.get().refused == 0 {
            entry.remove();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subnet, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns whether the connection is one too many.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.as_ref().is_some_and(|counted| counted.is_refused)
    }

    /// Gives the place to the open connection. It is counted until [`AddressLimit::leave`].
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(Counted { by, subnet, is_refused }) = self.0.take() {
            by.uncount(subnet, is_refused);
        }
    }
}

impl Count {
    const fn of(&mut self, is_refused: bool) -> &mut usize {
        if is_refused { &mut self.refused } else { &mut self.admitted }
    }
}

impl Subnet {
    fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Self::V4(addr),
            IpAddr::V6(addr) => {
                let [a, b, c, d, e, f, g, h, ..] = addr.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressLimit, Admitted, Place, Proxies};

    fn admitted(limit: &std::sync::Arc<AddressLimit>, addr: &str) -> Option<Place> {
        match limit.admit(addr.parse().unwrap()) {
            Admitted::Yes(place) | Admitted::No(place) => Some(place),
            Admitted::Dropped => None,
        }
    }

    #[test]
    fn an_entry_exists_while_its_address_has_connections() {
        let limit = AddressLimit::new(1, Proxies::default());
        let first = admitted(&limit, "2001:db8::1").unwrap();
        let second = admitted(&limit, "2001:db8::ffff:0:0:2").unwrap();
        assert!(!first.is_refused() && second.is_refused(), "they share a /64");
        assert!(admitted(&limit, "2001:db8::3").is_none());
        let other = admitted(&limit, "2001:db8:0:1::1").unwrap();
        assert!(!other.is_refused());
        assert_eq!(limit.lock().len(), 2);
        drop((second, other));
        assert_eq!(limit.lock().len(), 1);
        first.keep();
        assert_eq!(limit.lock().len(), 1);
        limit.leave("2001:db8::1".parse().unwrap());
        assert_eq!(limit.lock().len(), 0);
        limit.leave("2001:db8::1".parse().unwrap());
    }

    #[test]
    fn a_limit_of_zero_counts_as_one() {
        let limit = AddressLimit::new(0, Proxies::default());
        assert!(!admitted(&limit, "192.0.2.1").unwrap().is_refused());
    }
}
