//! [The connect example](../../examples/connect.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/connect.rs"]
mod connect;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(connect::run())
}
