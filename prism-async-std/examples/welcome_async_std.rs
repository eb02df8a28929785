//! [The welcome example](../../examples/welcome.rs) on async-std.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(welcome::serve(
        &command_line::address()?,
        signals::shutdown_signal()?,
    ))?)
}
