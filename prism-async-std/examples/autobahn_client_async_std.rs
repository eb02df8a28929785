//! [The Autobahn client](../../examples/autobahn_client.rs) on async-std.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;
#[path = "../../examples/command_line.rs"]
mod command_line;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(autobahn_client::run())?)
}
