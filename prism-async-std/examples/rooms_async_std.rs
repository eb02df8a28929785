//! [The rooms example](../../examples/rooms.rs) on async-std. Run it, and open the page in two windows.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rooms.rs"]
mod rooms;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(rooms::serve(prism::AsyncStd, signals::shutdown_signal()?))?)
}
