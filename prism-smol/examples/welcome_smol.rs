//! [The welcome example](../../examples/welcome.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(welcome::serve(&command_line::address()?, signals::shutdown_signal()?))?)
}
