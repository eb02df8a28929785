//! [The connect example](../../examples/connect.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/connect.rs"]
mod connect;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(connect::run())?)
}
