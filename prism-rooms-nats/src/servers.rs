//! [`Servers`]: the servers of a cluster, in the order in which they are tried.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use crate::url::Server;

/// The servers that the URL names: at first in random order, so that the processes spread over them.
pub(crate) struct Servers {
    named: Vec<Server>,
}

impl Servers {
    pub(crate) fn new(mut named: Vec<Server>) -> Self {
        shuffle(&mut named);
        Self { named }
    }

    /// Returns all servers. The one that was tried last is the last.
    pub(crate) fn in_order(&self) -> Vec<Server> {
        self.named.clone()
    }

    /// Records that a server is tried: the others have their turn before it is tried again.
    pub(crate) fn tried(&mut self, server: &Server) {
        if let Some(at) = self.named.iter().position(|other| other == server) {
            self.named[at..].rotate_left(1);
        }
    }
}

/// Puts items in random order.
fn shuffle<T>(items: &mut [T]) {
    let (random, mut number) = (RandomState::new(), 0);
    items.sort_by_cached_key(|_| {
        number += 1;
        random.hash_one(number)
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Servers;
    use crate::url::Target;

    fn servers(urls: &str) -> Servers {
        Servers::new(Target::parse(urls).unwrap().servers)
    }

    /// Returns the first letters of the hosts, in their order.
    fn hosts(servers: &Servers) -> String {
        let hosts = servers.in_order().into_iter().map(|server| server.address.to_string());
        hosts.filter_map(|host| host.chars().next()).collect()
    }

    #[test]
    fn the_order_is_random() {
        let orders: HashSet<_> = (0..200).map(|_| hosts(&servers("nats://a,b,c"))).collect();
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn each_server_has_its_turn() {
        let mut servers = servers("nats://a,b,c");
        let began = hosts(&servers);
        for _ in 0..3 {
            let first = servers.in_order().remove(0);
            servers.tried(&first);
            assert!(servers.in_order().last() == Some(&first));
        }
        assert_eq!(hosts(&servers), began);
    }
}
