//! [The Autobahn client](../../examples/autobahn_client.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(autobahn_client::run())
}
