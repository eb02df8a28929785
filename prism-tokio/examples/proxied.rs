//! [The example `proxied`](../../examples/proxied.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    proxied::serve(signals::shutdown_signal()?).await
}
