//! [The rooms example](../../examples/rooms.rs) on tokio. Run it, and open the page in two windows.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/rooms.rs"]
mod rooms;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(rooms::serve(prism::Tokio, signals::shutdown_signal()?).await?)
}
