//! [The rpc example](../../examples/rpc.rs) on smol.

use std::time::Duration;

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rpc.rs"]
mod rpc;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(rpc::run())?)
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(future).detach();
}

async fn sleep(span: Duration) {
    smol::Timer::after(span).await;
}
