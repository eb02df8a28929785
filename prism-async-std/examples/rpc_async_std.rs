//! [The rpc example](../../examples/rpc.rs) on async-std.

use async_std::task::sleep;
use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rpc.rs"]
mod rpc;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(rpc::run())?)
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    async_std::task::spawn(future);
}
