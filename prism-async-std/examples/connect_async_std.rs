//! [The connect example](../../examples/connect.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/connect.rs"]
mod connect;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_std::task::block_on(connect::run())
}
