//! [The chat example](../../examples/chat.rs) on tokio. Run it, and open the page.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/chat.rs"]
mod chat;
#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(chat::serve(&command_line::address()?, signals::shutdown_signal()?).await?)
}
