//! [The notifications example](../../examples/notifications.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(notifications::serve(&command_line::address()?, signals::shutdown_signal()?).await?)
}
