//! [The chat example](../../examples/chat.rs) on smol. Run it, and open the page.

use prism_smol as prism;

#[path = "../../examples/chat.rs"]
mod chat;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    smol::block_on(chat::serve(signals::shutdown_signal()?))
}
