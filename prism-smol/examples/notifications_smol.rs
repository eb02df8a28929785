//! [The notifications example](../../examples/notifications.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    smol::block_on(notifications::serve(signals::shutdown_signal()?))
}
