//! [The notifications example](../../examples/notifications.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(notifications::serve(signals::shutdown_signal()?))
}
