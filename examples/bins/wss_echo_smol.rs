//! [The echo server over TLS](../wss_echo.rs) on smol.

use std::{future::pending, sync::Arc, thread};

use command_line::Failure;
use prism_smol as prism;

#[path = "../command_line.rs"]
mod command_line;
#[path = "../signals_async_io.rs"]
mod signals;
#[path = "../wss_echo.rs"]
mod wss_echo;

fn main() -> Result<(), Failure> {
    let arguments = wss_echo::Arguments::parse()?;
    let executor = Arc::new(smol::Executor::new());
    // The main thread runs the executor as well.
    for _ in 1..arguments.threads {
        let executor = executor.clone();
        thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
    }
    smol::block_on(executor.run(async {
        let runtime = prism::Smol::on(executor.clone());
        let server = prism::Server::bind_on(runtime, &arguments.address).await?;
        wss_echo::serve(server, arguments, signals::shutdown_signal()?).await?;
        Ok(())
    }))
}
