//! [The example `proxied`](../../examples/proxied.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_std::task::block_on(proxied::serve(signals::shutdown_signal()?))
}
