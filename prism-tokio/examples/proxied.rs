//! [The example `proxied`](../../examples/proxied.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/proxied.rs"]
mod proxied;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(proxied::serve(signals::shutdown_signal()?).await?)
}
