//! [The feed example](../../examples/feed.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/feed.rs"]
mod feed;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    feed::run(signals::shutdown_signal()?).await
}
