//! [The connect example](../../examples/connect.rs) on async-std.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/connect.rs"]
mod connect;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(connect::run())?)
}
