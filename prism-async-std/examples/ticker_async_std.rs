//! [The ticker example](../../examples/ticker.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/ticker.rs"]
mod ticker;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(ticker::serve(signals::shutdown_signal()?))
}
