//! The command line of the example `rooms`, and the node that it asks for.

use std::error::Error;

use prism_rooms::{Cluster, MemoryBroker, RoomsOptions};
use prism_rooms_redis::Redis;

use crate::{command_line::Words, prism::Network};

const HELP: &str = "\
A chat with several rooms, and a page for the browser.

Usage: rooms [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8080.

  --redis URL      be one chat with other processes, over a Redis or Valkey server
                   (default: this process is alone, and keeps messages in memory)
  --prefix NAME    what keeps several chats on one server apart (default: prism-chat)
  --node URL       another process of the chat, to which pages connect when they have lost
                   this one; once for each (default: none)

Two processes that are one chat, each in a terminal of its own:

  rooms 127.0.0.1:8080 --redis redis://127.0.0.1/ --node http://127.0.0.1:8081
  rooms 127.0.0.1:8081 --redis redis://127.0.0.1/ --node http://127.0.0.1:8080
";

pub(crate) struct Arguments {
    pub(crate) address: String,
    /// The URL of the server.
    redis: Option<String>,
    /// What keeps several chats on the server apart.
    prefix: String,
    /// The addresses of other nodes, to which pages may connect.
    pub(crate) nodes: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, String> {
        let mut address = "127.0.0.1:8080".to_owned();
        let (mut redis, mut prefix, mut nodes) = (None, "prism-chat".to_owned(), Vec::new());
        let mut words = Words::new(HELP);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--redis" => redis = Some(words.value()?),
                "--prefix" => prefix = words.value()?,
                "--node" => nodes.push(node(words.value()?)?),
                _ => address = words.address()?,
            }
        }
        Ok(Self { address, redis, prefix, nodes })
    }

    /// Returns this node of the cluster, and prints what happens there. Without Redis, it is alone, and keeps messages
    /// in memory.
    pub(crate) fn cluster<N: Network>(
        &self,
        runtime: &N,
        options: RoomsOptions,
    ) -> Result<Cluster, Box<dyn Error>> {
        let Some(url) = &self.redis else {
            let backplane = MemoryBroker::new().backplane();
            return Ok(Cluster::with_options(runtime.clone(), backplane, options));
        };
        let redis = Redis::new(runtime.clone(), url)?.prefix(self.prefix.as_str());
        let cluster = Cluster::with_options(runtime.clone(), redis, options);
        let events = cluster.events();
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                println!("{event:?}");
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
