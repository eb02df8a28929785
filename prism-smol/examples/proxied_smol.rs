//! [The example `proxied`](../../examples/proxied.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(proxied::serve(signals::shutdown_signal()?))
}
