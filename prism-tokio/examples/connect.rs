//! [The connect example](../../examples/connect.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../../examples/command_line.rs"]
mod command_line;
#[path = "../../examples/connect.rs"]
mod connect;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Ok(connect::run().await?)
}
