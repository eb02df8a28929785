//! [The feed example](../../examples/feed.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/feed.rs"]
mod feed;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_std::task::block_on(feed::run(signals::shutdown_signal()?))
}
