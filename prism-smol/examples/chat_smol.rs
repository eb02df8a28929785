//! [The chat](../../examples/chat.rs) on smol: run it, open the page, talk.

use prism_smol as prism;

#[path = "../../examples/chat.rs"]
mod chat;

fn main() -> std::io::Result<()> {
    smol::block_on(chat::serve())
}
