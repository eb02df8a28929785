//! [The rpc example](../../examples/rpc.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;
use tokio::time::sleep;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rpc.rs"]
mod rpc;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(rpc::run().await?)
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}
