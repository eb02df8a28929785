//! [The Autobahn client](../../examples/autobahn_client.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;
#[path = "../../examples/command_line.rs"]
mod command_line;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(autobahn_client::run())?)
}
