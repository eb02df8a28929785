//! [The welcome example](../../examples/welcome.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

fn main() -> std::io::Result<()> {
    smol::block_on(welcome::serve(signals::shutdown_signal()?))
}
