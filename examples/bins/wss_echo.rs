//! [The echo server over TLS](../wss_echo.rs) on tokio.

use command_line::Failure;
use prism_tokio as prism;

#[path = "../command_line.rs"]
mod command_line;
#[path = "../signals_tokio.rs"]
mod signals;
#[path = "../wss_echo.rs"]
mod wss_echo;

fn main() -> Result<(), Failure> {
    let arguments = wss_echo::Arguments::parse()?;
    let mut runtime = match arguments.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.worker_threads(arguments.threads).enable_all().build()?.block_on(async {
        let server = prism::Server::bind(&arguments.address).await?;
        wss_echo::serve(server, arguments, signals::shutdown_signal()?).await?;
        Ok(())
    })
}
