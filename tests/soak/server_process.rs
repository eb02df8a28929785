//! [`ServerProcess`]: a handle to the server process.

use std::{env, net::SocketAddr, process::Command};

use prism_tests::subprocess::Subprocess;

use crate::metrics::Metrics;

pub(crate) struct ServerProcess {
    process: Subprocess,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts this program as a server on a runtime.
    pub(crate) fn start(runtime: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        let process = Subprocess::start(command.args(["server", runtime]));
        let address = process.wait_for_line("listening on ").parse().expect("an address");
        Self { process, address }
    }

    pub(crate) fn metrics(&mut self) -> Result<Metrics, String> {
        self.process.send_line()?;
        self.process.next_line()?.parse()
    }

    /// Shuts the server down, and returns its remaining output.
    pub(crate) fn stop(self) -> Result<String, String> {
        let (output, status) = self.process.finish()?;
        if status.success() { Ok(output.join("\n")) } else { Err(status.to_string()) }
    }
}
