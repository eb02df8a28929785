//! [The rooms example](../../examples/rooms.rs) on smol. Run it, and open the page in two windows.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rooms.rs"]
mod rooms;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(rooms::serve(prism::Smol::default(), signals::shutdown_signal()?))?)
}
