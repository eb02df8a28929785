//! [The chat example](../../examples/chat.rs) on async-std. Run it, and open the page.

use prism_async_std as prism;

#[path = "../../examples/chat.rs"]
mod chat;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(chat::serve(signals::shutdown_signal()?))
}
