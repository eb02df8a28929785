//! The command line of the example `rooms`, and the node that it asks for.

use std::error::Error;

use prism_rooms::{Cluster, MemoryBroker, RoomsOptions};
use prism_rooms_nats::Nats;
use prism_rooms_redis::Redis;

use crate::{command_line::Words, prism::Network};

const HELP: &str = "\
A chat with several rooms, and a page for the browser.

Usage: rooms [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8080.

  --redis URL      be one chat with other processes, over a Redis or Valkey server
                   (default: this process is alone, and keeps messages in memory)
  --nats URL       the same over a NATS server, which keeps no messages: pages that were
                   offline, or that are loaded again, do not get what they have missed
  --prefix NAME    what keeps several chats on one server apart (default: prism-chat)
  --node URL       another process of the chat, to which pages connect when they have lost
                   this one; once for each (default: none)

Two processes that are one chat, each in a terminal of its own:

  rooms 127.0.0.1:8080 --redis redis://127.0.0.1/ --node http://127.0.0.1:8081
  rooms 127.0.0.1:8081 --redis redis://127.0.0.1/ --node http://127.0.0.1:8080
";

pub(crate) struct Arguments {
    pub(crate) address: String,
    broker: Broker,
    /// What keeps several chats on the server apart.
    prefix: String,
    /// The addresses of other nodes, to which pages may connect.
    pub(crate) nodes: Vec<String>,
}

/// What carries messages between the nodes, with the URL of its server.
enum Broker {
    Memory,
    Redis(String),
    Nats(String),
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, String> {
        let mut address = "127.0.0.1:8080".to_owned();
        let (mut redis, mut nats) = (None, None);
        let (mut prefix, mut nodes) = ("prism-chat".to_owned(), Vec::new());
        let mut words = Words::new(HELP);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--redis" => redis = Some(words.value()?),
                "--nats" => nats = Some(words.value()?),
                "--prefix" => prefix = words.value()?,
                "--node" => nodes.push(node(words.value()?)?),
                _ => address = words.address()?,
            }
        }
        let broker = match (redis, nats) {
            (None, None) => Broker::Memory,
            (Some(url), None) => Broker::Redis(url),
            (None, Some(url)) => Broker::Nats(url),
            (Some(_), Some(_)) => return Err("expected --redis or --nats, got both".into()),
        };
        Ok(Self { address, broker, prefix, nodes })
    }

    /// Returns whether the broker keeps messages.
    pub(crate) fn keeps_messages(&self) -> bool {
        !matches!(self.broker, Broker::Nats(_))
    }

    /// Returns this node of the cluster, and prints what happens there. In memory, it is alone.
    pub(crate) fn cluster<N: Network>(
        &self,
        runtime: &N,
        options: RoomsOptions,
    ) -> Result<Cluster, Box<dyn Error>> {
        let prefix = self.prefix.as_str();
        let cluster = match &self.broker {
            Broker::Memory => {
                let backplane = MemoryBroker::new().backplane();
                return Ok(Cluster::with_options(runtime.clone(), backplane, options));
            }
            Broker::Redis(url) => {
                let redis = Redis::new(runtime.clone(), url)?.prefix(prefix);
                Cluster::with_options(runtime.clone(), redis, options)
            }
            Broker::Nats(url) => {
                let nats = Nats::new(runtime.clone(), url)?.prefix(prefix)?;
                Cluster::with_options(runtime.clone(), nats, options)
            }
        };
        let events = cluster.events();
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                println!("{event}");
            }
        });
        Ok(cluster)
    }
}

fn node(url: String) -> Result<String, String> {
    if url.starts_with("http://") || url.starts_with("https://") {
        Ok(url)
    } else {
        Err(format!("--node {url}: expected a URL such as http://127.0.0.1:8081"))
    }
}
