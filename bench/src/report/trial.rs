//! One measurement of one server: two processes, each on a core of its own.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use super::{Cell, Contestant, contestants::sibling};
use crate::load::Sample;

/// Of a server with one thread.
pub(super) const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// How long a trial runs, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Before it counts.
    pub warm_up: f64,
    /// While it counts.
    pub seconds: f64,
}

/// Starts the server anew, puts the cell's load on it, and ends it. For memory the values are bytes
/// per connection, fresh and after an echo; else CPU time in nanoseconds for each thing done, things
/// done per second, and the share of its core that the server used.
///
/// # Errors
/// If either process fails.
pub fn measure(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let server =
        Running::start(contestant, cell.is_broadcast(), cell.server_cores(), "127.0.0.1:0")?;
    let (mode, arguments) = cell.load(contestant.server);
    let output = server.load(mode)?.args(arguments).args(timing.arguments()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    let line = String::from_utf8(output.stdout)?;
    if cell.is_memory() {
        return Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
    }
    let sample: Sample = line.parse()?;
    Ok(vec![sample.cpu_ns_each(), sample.per_second(), sample.busy()])
}

/// A server that runs, until this is dropped.
pub(super) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    pub(super) fn start(
        contestant: &Contestant,
        broadcast: bool,
        cores: &str,
        address: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new("taskset")
            .args(["-c", cores])
            .arg(&contestant.program)
            .args([contestant.server.name, address])
            .args(broadcast.then_some("--broadcast"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output of the server")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("listening on ").ok_or("the server did not start")?;
        let address = address.parse()?;
        Ok(Self { child, address })
    }

    /// The load generator, with all it needs to find the server.
    pub(super) fn load(&self, mode: &str) -> Result<Command, Box<dyn Error>> {
        let mut command = Command::new("taskset");
        command.args(["-c", LOAD_CORE]).arg(sibling("load")?);
        command.args([mode, &self.address.to_string(), "--pid", &self.child.id().to_string()]);
        Ok(command)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Timing {
    fn arguments(self) -> [String; 4] {
        let Self { warm_up, seconds } = self;
        ["--warm-up".into(), warm_up.to_string(), "--seconds".into(), seconds.to_string()]
    }
}
