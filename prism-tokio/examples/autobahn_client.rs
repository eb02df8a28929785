//! [The Autobahn client](../../examples/autobahn_client.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;
#[path = "../../examples/command_line.rs"]
mod command_line;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(autobahn_client::run().await?)
}
