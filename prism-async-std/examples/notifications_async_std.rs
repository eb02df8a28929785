//! [The notifications example](../../examples/notifications.rs) on async-std.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(notifications::serve(
        &command_line::address()?,
        signals::shutdown_signal()?,
    ))?)
}
