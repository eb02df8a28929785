//! [The rpc example](../../examples/rpc.rs) on smol.

use std::time::Duration;

use prism_smol as prism;

#[path = "../../examples/rpc.rs"]
mod rpc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(rpc::run())
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(future).detach();
}

async fn sleep(span: Duration) {
    smol::Timer::after(span).await;
}
