//! [The login example](../../examples/login.rs) on smol.

use prism_smol as prism;

#[path = "../../examples/login.rs"]
mod login;
#[path = "../../examples/signals_async_io.rs"]
mod signals;

fn main() -> std::io::Result<()> {
    smol::block_on(login::serve(signals::shutdown_signal()?))
}
