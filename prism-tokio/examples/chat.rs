//! [The chat](../../examples/chat.rs) on tokio: run it, open the page, talk.

use prism_tokio as prism;

#[path = "../../examples/chat.rs"]
mod chat;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    chat::serve().await
}
