//! [The login example](../../examples/login.rs) on async-std.

use prism_async_std as prism;

#[path = "../../examples/login.rs"]
mod login;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    async_std::task::block_on(login::serve(signals::shutdown_signal()?))
}
