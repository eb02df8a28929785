//! One measurement of one server: two processes, each on its own core.

use std::error::Error;

use super::{Cell, Contestant, running::Running, table::LATE};
use crate::load::{Latency, Measured};

/// How long a trial runs, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The warm-up, before it counts.
    pub warm_up: f64,
    /// The measured time.
    pub seconds: f64,
}

/// How often latency is measured if something else had the load generator's core meanwhile.
const ATTEMPTS: usize = 3;

/// By how much messages may be sent too late: the 99th percentile, in microseconds.
const LATEST: f64 = 100.0;

/// Starts a new server, puts the cell's load on it (at this rate, if the cell has a fixed one), and ends it. The values are:
///
/// - for memory, bytes per connection, fresh and after an echo;
/// - for latency, the 99th, 50th and 99.9th percentile in microseconds, the share of its core that the server used, and the 99th
///   percentile of how late messages were sent. If they were late, it tries again, and returns the least late;
/// - otherwise, CPU nanoseconds per operation, operations per second, the share of its core that the server used, and its ticks
///   of CPU time in user mode and in the kernel; then, for compressed messages, the median length of their payloads and the bits
///   of their window, or, for memory at the peak, bytes per connection and in all.
///
/// # Errors
/// If either process fails.
pub fn measure(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
    rate: Option<f64>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut values = measure_once(cell, contestant, timing, rate)?;
    for _ in 1..ATTEMPTS {
        if !cell.is_latency() || values[LATE] < LATEST {
            break;
        }
        let again = measure_once(cell, contestant, timing, rate)?;
        if again[LATE] < values[LATE] {
            values = again;
        }
    }
    Ok(values)
}

fn measure_once(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
    rate: Option<f64>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let server = match cell.is_latency() {
        true => Running::start_with_real_time_priority(contestant)?,
        false => Running::start(contestant, cell.mode, cell.server_cores(), "127.0.0.1:0")?,
    };
    let (mode, arguments) = cell.load(contestant.server);
    let rate = rate.map(|rate| ["--rate".into(), rate.to_string()]);
    let timing = timing.arguments();
    let mut load = server.load(mode)?;
    let output = load.args(arguments).args(timing).args(rate.into_iter().flatten()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    let line = String::from_utf8(output.stdout)?;
    if cell.memory().is_some() {
        return Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
    }
    if cell.is_latency() {
        return latency(&line);
    }
    let (line, peak) = match cell.has_peak() {
        true => split_peak(&line)?,
        false => (line.as_str(), Vec::new()),
    };
    let Measured { sample, replies } = line.parse()?;
    let [user, kernel] = [sample.cpu.user_ticks, sample.cpu.kernel_ticks].map(|ticks| ticks as f64);
    let mut values = vec![sample.cpu_ns_each(), sample.per_second(), sample.busy(), user, kernel];
    if let Some(replies) = replies {
        values.extend([replies.len as f64, f64::from(replies.window_bits)]);
    }
    values.extend(peak);
    Ok(values)
}

/// Splits memory at the peak from the rest of the line.
fn split_peak(line: &str) -> Result<(&str, Vec<f64>), Box<dyn Error>> {
    let mut parts = line.trim().rsplitn(3, ' ');
    let mut next = || parts.next().ok_or("no memory at the peak");
    let (all, each) = (next()?.parse()?, next()?.parse()?);
    Ok((next()?, vec![each, all]))
}

fn latency(line: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut parts = line.trim().rsplitn(3, ' ');
    let mut next = || parts.next().ok_or("too short for a latency");
    let (busy, late): (f64, f64) = (next()?.parse()?, next()?.parse()?);
    let Latency { p50, p99, p999, .. } = next()?.parse()?;
    let [p50, p99, p999] = [p50, p99, p999].map(|time| time.as_secs_f64() * 1e6);
    Ok(vec![p99, p50, p999, busy, late / 1e3])
}

impl Timing {
    fn arguments(self) -> [String; 4] {
        let Self { warm_up, seconds } = self;
        ["--warm-up".into(), warm_up.to_string(), "--seconds".into(), seconds.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_at_the_peak_follows_a_measurement() {
        let (measured, peak) = split_peak("3 0.5 7 2 5 1024.5 4096\n").unwrap();
        assert_eq!((measured, peak), ("3 0.5 7 2 5", vec![1024.5, 4096.0]));
    }

    #[test]
    fn the_99th_percentile_is_the_first_value_of_a_latency() {
        let values = latency("100 1000 2000 3000 4000 5000 0.25\n").unwrap();
        assert_eq!(values, [2.0, 1.0, 3.0, 0.25, 5.0]);
    }
}
