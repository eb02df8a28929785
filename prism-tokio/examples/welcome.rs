//! [The welcome example](../../examples/welcome.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/signals_tokio.rs"]
mod signals;
#[path = "../../examples/welcome.rs"]
mod welcome;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(welcome::serve(&command_line::address()?, signals::shutdown_signal()?).await?)
}
