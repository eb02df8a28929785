//! [The rpc example](../../examples/rpc.rs) on tokio.

use prism_tokio as prism;
use tokio::time::sleep;

#[path = "../../examples/rpc.rs"]
mod rpc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rpc::run().await
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}
