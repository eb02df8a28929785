//! [The rooms example](../../examples/rooms.rs) on tokio. Run it, and open the page in two windows.

use prism_tokio as prism;

#[path = "../../examples/rooms.rs"]
mod rooms;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    rooms::serve(prism::Tokio, signals::shutdown_signal()?).await
}
