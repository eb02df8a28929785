//! [The feed example](../../examples/feed.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/feed.rs"]
mod feed;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(feed::run(signals::shutdown_signal()?))
}
