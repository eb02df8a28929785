//! [The login example](../../examples/login.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/login.rs"]
mod login;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    login::serve(signals::shutdown_signal()?).await
}
