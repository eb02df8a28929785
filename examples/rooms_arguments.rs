//! The command line of the example `rooms`, and the cluster that it asks for.

use std::io;

use prism_rooms::{Cluster, RoomsOptions};
use prism_rooms_redis::Redis;

use crate::prism::Network;

pub(crate) struct Arguments {
    pub(crate) address: String,
    /// The URL of the server.
    redis: Option<String>,
    /// What keeps several chats on the server apart.
    prefix: String,
}

impl Arguments {
    pub(crate) fn parse() -> io::Result<Self> {
        let mut address = "127.0.0.1:8080".to_owned();
        let (mut redis, mut prefix) = (None, "prism-chat".to_owned());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| io::Error::other(format!("no value for {word}")));
            match word.as_str() {
                "--redis" => redis = Some(value()?),
                "--prefix" => prefix = value()?,
                _ => address = word,
            }
        }
        Ok(Self { address, redis, prefix })
    }

    /// Returns this node of the cluster, if there is to be one, and prints what happens there.
    pub(crate) fn cluster<N: Network>(
        &self,
        runtime: &N,
        options: RoomsOptions,
    ) -> io::Result<Option<Cluster>> {
        let Some(url) = &self.redis else { return Ok(None) };
        let redis = Redis::new(runtime.clone(), url).map_err(io::Error::other)?;
        let redis = redis.prefix(self.prefix.as_str());
        let cluster = Cluster::with_options(runtime.clone(), redis, options);
        let events = cluster.events();
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                println!("{event:?}");
            }
        });
        Ok(Some(cluster))
    }
}
