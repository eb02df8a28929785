//! The command line of the example `rooms`, and the node that it asks for.

use std::io;

use prism_rooms::{Cluster, MemoryBroker, RoomsOptions};
use prism_rooms_redis::Redis;

use crate::prism::Network;

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
    pub(crate) fn parse() -> io::Result<Self> {
        let mut address = "127.0.0.1:8080".to_owned();
        let (mut redis, mut prefix, mut nodes) = (None, "prism-chat".to_owned(), Vec::new());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| io::Error::other(format!("no value for {word}")));
            match word.as_str() {
                "--redis" => redis = Some(value()?),
                "--prefix" => prefix = value()?,
                "--node" => nodes.push(node(value()?)?),
                _ => address = word,
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
    ) -> io::Result<Cluster> {
        let Some(url) = &self.redis else {
            let backplane = MemoryBroker::new().backplane();
            return Ok(Cluster::with_options(runtime.clone(), backplane, options));
        };
        let redis = Redis::new(runtime.clone(), url).map_err(io::Error::other)?;
        let redis = redis.prefix(self.prefix.as_str());
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

fn node(address: String) -> io::Result<String> {
    let is_address = address.starts_with("http://") || address.starts_with("https://");
    let why = || {
        io::Error::other(format!("expected a node such as http://127.0.0.1:8081, got {address}"))
    };
    if is_address { Ok(address) } else { Err(why()) }
}
