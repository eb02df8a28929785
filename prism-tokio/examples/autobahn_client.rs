//! [The Autobahn client](../../examples/autobahn_client.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/autobahn_client.rs"]
mod autobahn_client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    autobahn_client::run().await
}
