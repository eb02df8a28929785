//! [`Servers`]: the servers of a cluster, in the order in which they are tried.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
};

use crate::url::Server;

/// The most servers that are discovered.
const MAX_DISCOVERED: usize = 32;

/// Each list is in random order at first, so that the processes spread over the servers.
pub(crate) struct Servers {
    /// Those that the user names. They are tried first.
    named: Vec<Server>,
    /// Those that other servers name.
    discovered: Vec<Server>,
}

impl Servers {
    pub(crate) fn new(mut named: Vec<Server>) -> Self {
        shuffle(&mut named);
        Self { named, discovered: Vec::new() }
    }

    /// Returns all servers. The one of a list that was tried last is the last of it.
    pub(crate) fn in_order(&self) -> Vec<Server> {
        self.named.iter().chain(&self.discovered).cloned().collect()
    }

    /// Records that a server is tried: the others have their turn before it is tried again.
    pub(crate) fn tried(&mut self, server: &Server) {
        for servers in [&mut self.named, &mut self.discovered] {
            if let Some(at) = servers.iter().position(|other| other == server) {
                servers[at..].rotate_left(1);
            }
        }
    }

    /// Replaces the servers that were discovered by those that a server names, unless it names none. Invalid addresses
    /// are ignored.
    pub(crate) fn discover(&mut self, addresses: &[String], by: &Server) {
        let addresses: BTreeSet<&String> = addresses.iter().collect();
        if addresses.is_empty() {
            return;
        }
        let is_named =
            |server: &Server| self.named.iter().any(|other| other.address == server.address);
        let found = addresses.into_iter().filter_map(|address| by.another(address));
        let mut found: Vec<_> = found.filter(|server| !is_named(server)).collect();
        shuffle(&mut found);
        found.truncate(MAX_DISCOVERED);
        self.discovered.retain(|known| found.contains(known));
        found.retain(|server| !self.discovered.contains(server));
        found.append(&mut self.discovered);
        self.discovered = found;
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

    use super::{MAX_DISCOVERED, Servers};
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

    fn discover(servers: &mut Servers, addresses: &[&str]) {
        let by = servers.in_order().remove(0);
        let addresses: Vec<_> = addresses.iter().map(|&address| address.to_owned()).collect();
        servers.discover(&addresses, &by);
    }

    #[test]
    fn servers_that_others_name_come_after_those_that_the_user_names() {
        let mut servers = servers("nats://a");
        discover(&mut servers, &["a:4222", "b:4222", "c:4222", "b:4222"]);
        assert!(["abc", "acb"].contains(&hosts(&servers).as_str()), "{}", hosts(&servers));
        for server in servers.in_order() {
            servers.tried(&server);
        }
        assert!(hosts(&servers).starts_with('a'));
    }

    #[test]
    fn the_last_list_counts_and_new_servers_are_tried_first() {
        let mut servers = servers("nats://a");
        discover(&mut servers, &["b:4222", "c:4222"]);
        discover(&mut servers, &["c:4222", "d:4222"]);
        assert_eq!(hosts(&servers), "adc");
        discover(&mut servers, &[]);
        assert_eq!(hosts(&servers), "adc", "the server does not say");
        discover(&mut servers, &["a:4222"]);
        assert_eq!(hosts(&servers), "a");
    }

    #[test]
    fn a_list_may_be_long_and_invalid() {
        let mut servers = servers("nats://a");
        let many: Vec<_> = (0..1000).map(|number| format!("b{number}:4222")).collect();
        discover(&mut servers, &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(servers.in_order().len(), 1 + MAX_DISCOVERED);
        discover(&mut servers, &["", "nats://d", "d:99999", "ann:secret@d", "d d", "e"]);
        assert_eq!(hosts(&servers), "ae");
    }

    /// The list may come from somebody on the way: it is sent before TLS begins. And a server of a cluster is as good
    /// as any.
    #[test]
    fn a_server_that_another_names_has_the_same_users_and_the_same_name_in_its_certificate() {
        let mut servers = servers("nats://ann:secret@a");
        discover(&mut servers, &["b:4222"]);
        let [named, discovered] = &servers.in_order()[..] else { panic!("two servers") };
        assert!(named.login.is_some() && discovered.login == named.login);
        assert_eq!(discovered.certified.to_string(), "a:4222");
    }
}
