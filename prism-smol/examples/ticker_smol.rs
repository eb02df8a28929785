//! [The ticker example](../../examples/ticker.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/ticker.rs"]
mod ticker;

fn main() -> std::io::Result<()> {
    smol::block_on(ticker::serve(signals::shutdown_signal()?))
}
