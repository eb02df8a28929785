//! [The example `proxied`](../../examples/proxied.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(proxied::serve(signals::shutdown_signal()?))?)
}
