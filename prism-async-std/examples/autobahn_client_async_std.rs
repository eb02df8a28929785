//! [The Autobahn client](../../examples/autobahn_client.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_std::task::block_on(autobahn_client::run())
}
