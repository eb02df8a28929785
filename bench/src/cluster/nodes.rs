//! The nodes that are part of this program.

use std::io;

use crate::servers::on_tokio;

mod floor;
mod prism;

/// Runs a node forever. `redis` is the URL of the Redis server.
///
/// # Errors
/// If there is no node with this name, or it cannot listen, or cannot connect to Redis.
pub fn run_node(name: &str, address: &str, redis: &str) -> io::Result<()> {
    match name {
        "prism-rooms" => on_tokio::block_on(1, prism::serve(address, redis))?,
        "floor-tokio" => on_tokio::block_on(1, floor::serve(address, redis))?,
        _ => {
            Err(io::Error::other(format!("unknown node {name}: it is prism-rooms or floor-tokio")))
        }
    }
}
