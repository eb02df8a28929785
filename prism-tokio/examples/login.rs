//! [The login example](../../examples/login.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/login.rs"]
mod login;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(login::serve(&command_line::address()?, signals::shutdown_signal()?).await?)
}
