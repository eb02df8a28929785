//! [The feed example](../../examples/feed.rs) on smol.

use command_line::Failure;
use prism_smol as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/feed.rs"]
mod feed;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> Result<(), Failure> {
    Ok(smol::block_on(feed::run(signals::shutdown_signal()?))?)
}
