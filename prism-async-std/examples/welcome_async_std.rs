//! [The welcome example](../../examples/welcome.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/signals_async_io.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(welcome::serve(signals::shutdown_signal()?))
}
