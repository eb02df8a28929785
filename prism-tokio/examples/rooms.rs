//! [The rooms](../../examples/rooms.rs) on tokio: run it, open the page in two windows, talk.

use prism_tokio as prism;

#[path = "../../examples/rooms.rs"]
mod rooms;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    rooms::serve(prism::Tokio).await
}
