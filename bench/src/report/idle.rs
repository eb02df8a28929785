//! Fifty thousand idle connections to Prism on tokio, with its default keepalive.

use std::{error::Error, fmt, process::Stdio};

use super::{
    contestants::{Contestant, prism},
    running::{Running, SERVER_CORE},
    table::grouped,
};
use crate::{load::Sample, servers::Mode};

/// A process may have 20,000 open files, and each end of a connection is one.
const PROCESSES: usize = 3;

/// How long opening the connections may take.
const SETTLE: &str = "20";

/// How long to watch: two of Prism's ping intervals.
const SECONDS: &str = "40";

/// What many idle connections cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct ManyIdle {
    /// The number of connections.
    pub connections: usize,
    /// The number of server processes.
    pub servers: usize,
    /// The memory of those processes, in bytes.
    pub memory: u64,
    /// How many pings were sent and answered per second.
    pub pings_per_second: f64,
    /// The share of a core that the pings took.
    pub cpu: f64,
}

impl fmt::Display for ManyIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, servers, memory, pings_per_second, cpu } = *self;
        write!(
            f,
            "{} connections to Prism on tokio with its default options, in {servers} processes \
             because of the limit on open files: {} MiB in all, {} bytes for each (with all memory of the \
             processes, without the kernel's). Keepalive took {:.1} ms of CPU per second, for \
             {} pings and their answers.",
            grouped(connections as f64),
            grouped(memory as f64 / f64::from(1 << 20)),
            grouped(memory as f64 / connections as f64),
            cpu * 1000.0,
            grouped(pings_per_second),
        )
    }
}

/// Opens this many connections, and measures.
///
/// # Errors
/// If a process fails.
pub(super) fn many_idle(connections: usize) -> Result<ManyIdle, Box<dyn Error>> {
    let contestant: Contestant = prism()?;
    let (mut servers, mut loads) = (Vec::new(), Vec::new());
    for number in 0..PROCESSES {
        // Each address has its own ports.
        let address = format!("127.0.0.{}:0", number + 1);
        let server = Running::start(&contestant, Mode::Echo, SERVER_CORE, &address)?;
        let share = connections / PROCESSES + usize::from(number < connections % PROCESSES);
        let load = server
            .load("idle")?
            .args(["--connections", &share.to_string()])
            .args(["--warm-up", SETTLE, "--seconds", SECONDS])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        servers.push(server); // runs until all are done
        loads.push(load);
    }
    let (mut memory, mut cpu, mut pings_per_second) = (0, 0.0, 0.0);
    for load in loads {
        let output = load.wait_with_output()?;
        let line = String::from_utf8(output.stdout)?;
        let failed = || String::from_utf8_lossy(&output.stderr).into_owned();
        let (sample, bytes) = line.trim().rsplit_once(' ').ok_or_else(failed)?;
        let sample: Sample = sample.parse()?;
        memory += bytes.parse::<u64>()?;
        cpu += sample.busy();
        pings_per_second += sample.per_second();
    }
    Ok(ManyIdle { connections, servers: PROCESSES, memory, pings_per_second, cpu })
}
