//! The processes of a measurement: servers, the load on them, and attackers.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use super::{Contestant, contestants::sibling};
use crate::{load::Process, servers::Mode};

/// The core of a server with one thread.
pub(crate) const SERVER_CORE: &str = "0";
/// The core of the load generator.
pub(crate) const LOAD_CORE: &str = "1";

/// A server that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    pub(super) fn start(
        contestant: &Contestant,
        mode: Mode,
        cores: &str,
        address: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = pinned(cores);
        command.arg(&contestant.program).args([contestant.server.name, address]);
        Self::spawn(command.args(mode.argument()))
    }

    /// Starts a server that the machine's other programs do not delay, if this program may do so.
    pub(super) fn start_with_real_time_priority(
        contestant: &Contestant,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = pinned(SERVER_CORE);
        if may_use_real_time_priority() {
            command.args(["chrt", "--rr", "1"]);
        }
        Self::spawn(command.arg(&contestant.program).args([contestant.server.name, "127.0.0.1:0"]))
    }

    /// Starts an echo server with this limit on handshakes.
    pub(super) fn start_with_handshakes(
        contestant: &Contestant,
        handshakes: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = pinned(SERVER_CORE);
        command.arg(&contestant.program).args([contestant.server.name, "127.0.0.1:0"]);
        Self::spawn(command.env("PRISM_MAX_HANDSHAKES", handshakes))
    }

    /// Starts a server on the load's core, with idle priority, so that flooding it is as much work for the
    /// attackers as flooding the measured one.
    pub(super) fn start_aside(contestant: &Contestant, mode: Mode) -> Result<Self, Box<dyn Error>> {
        let mut command = yielding();
        command.arg(&contestant.program).args([contestant.server.name, "127.0.0.1:0"]);
        Self::spawn(command.args(mode.argument()))
    }

    /// Starts one of Prism's examples, on tokio.
    pub(super) fn start_example(name: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = pinned(SERVER_CORE);
        command.arg(sibling(&format!("example-{name}"))?).arg("127.0.0.1:0");
        Self::spawn(&mut command)
    }

    /// Starts a server with this command, and waits until it prints its address.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output of the server")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("listening on ").ok_or("the server did not start")?;
        let address = address.trim_start_matches("http://").parse()?;
        Ok(Self { child, address })
    }

    /// Returns the command of the load generator for this server.
    pub(super) fn load(&self, mode: &str) -> Result<Command, Box<dyn Error>> {
        let mut command = pinned(LOAD_CORE);
        self.find(command.arg(sibling("load")?), mode);
        Ok(command)
    }

    /// Returns the command of the load generator as attackers, which run only when its core is idle.
    pub(super) fn attackers(&self, mode: &str) -> Result<Command, Box<dyn Error>> {
        let mut command = yielding();
        self.find(command.arg(sibling("load")?), mode);
        Ok(command)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    fn find(&self, command: &mut Command, mode: &str) {
        command.args([mode, &self.address.to_string(), "--pid", &self.child.id().to_string()]);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A program in the background, until it ends or this is dropped.
pub(super) struct Background {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Background {
    /// Starts a program, and waits until it prints that it has begun.
    pub(super) fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().ok_or("no output of the load")?;
        let mut this = Self { child, lines: BufReader::new(stdout) };
        this.line()?;
        Ok(this)
    }

    /// Waits for the next line of its output.
    pub(super) fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        match self.lines.read_line(&mut line)? {
            0 => Err("the load has failed".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Runs a program, and returns the single line of its output.
pub(crate) fn said_by(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Kills a process.
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn may_use_real_time_priority() -> bool {
    let status = Command::new("chrt").args(["--rr", "1", "true"]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Returns a command that runs on these cores.
pub(crate) fn pinned(cores: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]);
    command
}

/// Returns a command on the load's core that runs only when it is idle. (`SCHED_IDLE` needs no privileges.)
fn yielding() -> Command {
    let mut command = pinned(LOAD_CORE);
    command.args(["chrt", "--idle", "0"]);
    command
}
