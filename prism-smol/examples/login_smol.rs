//! [The login example](../../examples/login.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/login.rs"]
mod login;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(login::serve(&command_line::address()?, signals::shutdown_signal()?))?)
}
