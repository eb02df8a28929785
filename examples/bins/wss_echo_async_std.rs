//! [The echo server over TLS](../wss_echo.rs) on async-std.

use async_global_executor::{GlobalExecutorConfig, init_with_config};
use command_line::Failure;
use prism_async_std as prism;

#[path = "../command_line.rs"]
mod command_line;
#[path = "../signals_async_io.rs"]
mod signals;
#[path = "../wss_echo.rs"]
mod wss_echo;

fn main() -> Result<(), Failure> {
    let arguments = wss_echo::Arguments::parse()?;
    let threads = GlobalExecutorConfig::default().with_min_threads(arguments.threads);
    init_with_config(threads.with_max_threads(arguments.threads));
    async_std::task::block_on(async {
        let server = prism::Server::bind(&arguments.address).await?;
        wss_echo::serve(server, arguments, signals::shutdown_signal()?).await?;
        Ok(())
    })
}
