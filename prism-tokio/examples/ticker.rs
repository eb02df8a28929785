//! [The ticker example](../../examples/ticker.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/signals_tokio.rs"]
mod signals;
#[path = "../../examples/ticker.rs"]
mod ticker;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    ticker::serve(signals::shutdown_signal()?).await
}
