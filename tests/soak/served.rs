//! [`Served`]: the process that serves, as the other one sees it.

use std::{env, net::SocketAddr, process::Command};

use prism_tests::part::Part;

use crate::figures::Figures;

pub(crate) struct Served {
    part: Part,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Runs this program again, as a server on this runtime.
    pub(crate) fn start(runtime: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        let part = Part::start(command.args(["server", runtime]));
        let address = part.hear("listening on ").parse().expect("an address");
        Self { part, address }
    }

    pub(crate) fn figures(&mut self) -> Result<Figures, String> {
        self.part.nudge()?;
        self.part.next()?.parse()
    }

    /// Has it shut down, and says what it said before it ended.
    pub(crate) fn stop(self) -> Result<String, String> {
        let (said, status) = self.part.end()?;
        if status.success() { Ok(said.join("\n")) } else { Err(status.to_string()) }
    }
}
