//! [The example `proxied`](../../examples/proxied.rs) on async-std.

use command_line::Failure;
use prism_async_std as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(async_std::task::block_on(proxied::serve(signals::shutdown_signal()?))?)
}
