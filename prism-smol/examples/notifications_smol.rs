//! [The notifications example](../../examples/notifications.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(notifications::serve(
        &command_line::address()?,
        signals::shutdown_signal()?,
    ))?)
}
