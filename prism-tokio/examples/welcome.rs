//! [The welcome example](../../examples/welcome.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/signals_tokio.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    welcome::serve(signals::shutdown_signal()?).await
}
