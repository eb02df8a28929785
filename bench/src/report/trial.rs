//! One measurement of one server: two processes, each on its own core.

use std::error::Error;

use super::{Cell, Contestant, running::Running};
use crate::load::Measured;

/// How long a trial runs, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The warm-up, before it counts.
    pub warm_up: f64,
    /// The measured time.
    pub seconds: f64,
}

/// Starts a new server, puts the cell's load on it, and ends it. For memory the values are bytes per
/// connection, fresh and after an echo. Otherwise they are CPU nanoseconds per operation, operations per
/// second, the share of its core that the server used, its ticks of CPU time in user mode and in the kernel and, for
/// compressed messages, the median length of their payloads and the bits of their window.
///
/// # Errors
/// If either process fails.
pub fn measure(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let server = Running::start(contestant, cell.mode, cell.server_cores(), "127.0.0.1:0")?;
    let (mode, arguments) = cell.load(contestant.server);
    let output = server.load(mode)?.args(arguments).args(timing.arguments()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    let line = String::from_utf8(output.stdout)?;
    if cell.memory().is_some() {
        return Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
    }
    let Measured { sample, replies } = line.parse()?;
    let [user, kernel] = [sample.cpu.user_ticks, sample.cpu.kernel_ticks].map(|ticks| ticks as f64);
    let mut values = vec![sample.cpu_ns_each(), sample.per_second(), sample.busy(), user, kernel];
    if let Some(replies) = replies {
        values.extend([replies.len as f64, f64::from(replies.window_bits)]);
    }
    Ok(values)
}

impl Timing {
    fn arguments(self) -> [String; 4] {
        let Self { warm_up, seconds } = self;
        ["--warm-up".into(), warm_up.to_string(), "--seconds".into(), seconds.to_string()]
    }
}
