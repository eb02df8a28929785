//! [The feed example](../../examples/feed.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/feed.rs"]
mod feed;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(feed::run(signals::shutdown_signal()?).await?)
}
