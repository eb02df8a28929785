//! [The connect example](../../examples/connect.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/connect.rs"]
mod connect;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    connect::run().await
}
