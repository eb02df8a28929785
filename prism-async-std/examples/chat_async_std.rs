//! [The chat](../../examples/chat.rs) on async-std: run it, open the page, talk.

use prism_async_std as prism;

#[path = "../../examples/chat.rs"]
mod chat;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(chat::serve())
}
