//! [The chat example](../../examples/chat.rs) on async-std. Run it, and open the page.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/chat.rs"]
mod chat;
#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(chat::serve(
        &command_line::address()?,
        signals::shutdown_signal()?,
    ))?)
}
