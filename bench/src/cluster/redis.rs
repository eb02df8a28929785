//! [`Redis`]: a Redis server of a run's own, which keeps nothing.

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use crate::{
    load::Process,
    report::running::{end, pinned},
};

/// The ports to choose from: not those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried.
const ATTEMPTS: usize = 20;

/// A server on 127.0.0.1, until this is dropped.
pub(super) struct Redis {
    child: Child,
    port: u16,
    /// Open, so that the server can write what it logs.
    _log: BufReader<ChildStdout>,
}

impl Redis {
    /// Starts a server on this core, and waits until it is ready.
    pub(super) fn start(core: &str) -> Result<Self, Box<dyn Error>> {
        for _ in 0..ATTEMPTS {
            if let Some(redis) = Self::try_start(core, random_port()?)? {
                return Ok(redis);
            }
        }
        Err("`redis-server` does not start: is it installed?".into())
    }

    /// Returns `None` if the server ends, such as when somebody else has the port.
    fn try_start(core: &str, port: u16) -> Result<Option<Self>, Box<dyn Error>> {
        let mut command = pinned(core);
        command.args(["redis-server", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]);
        command.arg(env::temp_dir()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut log = BufReader::new(child.stdout.take().ok_or("no output of Redis")?);
        let mut line = String::new();
        while log.read_line(&mut line)? > 0 {
            if line.contains("Ready to accept connections") {
                return Ok(Some(Self { child, port, _log: log }));
            }
            line.clear();
        }
        end(&mut child);
        Ok(None)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(super) fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn random_port() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(PORTS.start + u16::from_ne_bytes(bytes) % PORTS.len() as u16)
}
