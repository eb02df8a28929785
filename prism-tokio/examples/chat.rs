//! [The chat example](../../examples/chat.rs) on tokio. Run it, and open the page.

use prism_tokio as prism;

#[path = "../../examples/chat.rs"]
mod chat;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    chat::serve(signals::shutdown_signal()?).await
}
