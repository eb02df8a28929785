//! One measurement of one server: two processes, each on its own core.

use std::{error::Error, time::Duration};

use super::{
    Cell, Contestant,
    outcome::{Figure, Outcome},
    running::Running,
};
use crate::load::Peak;

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

/// Starts a new server, puts the cell's load on it (at this rate, if the cell has a fixed one), and ends it. If
/// messages were sent late, tries again, and returns the outcome in which they were least late.
///
/// # Errors
/// If either process fails.
pub fn measure(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
    rate: Option<f64>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = measure_once(cell, contestant, timing, rate)?;
    for _ in 1..ATTEMPTS {
        let Some(late) = outcome.figure(Figure::Late).filter(|late| *late >= LATEST) else { break };
        let again = measure_once(cell, contestant, timing, rate)?;
        if again.figure(Figure::Late).is_some_and(|again| again < late) {
            outcome = again;
        }
    }
    Ok(outcome)
}

fn measure_once(
    cell: &Cell,
    contestant: &Contestant,
    timing: Timing,
    rate: Option<f64>,
) -> Result<Outcome, Box<dyn Error>> {
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
        return memory(&line);
    }
    if cell.is_latency() {
        return at_rate(&line);
    }
    let (line, peak) = match cell.has_peak() {
        true => split_peak(&line).map(|(line, peak)| (line, Some(peak)))?,
        false => (line.as_str(), None),
    };
    Ok(Outcome::Work { measured: line.parse()?, peak })
}

fn memory(line: &str) -> Result<Outcome, Box<dyn Error>> {
    let mut words = line.split_whitespace();
    let first = words.next().ok_or("no memory")?.parse()?;
    let second = words.next().map(str::parse).transpose()?;
    Ok(Outcome::Memory { first, second })
}

fn at_rate(line: &str) -> Result<Outcome, Box<dyn Error>> {
    let mut parts = line.trim().rsplitn(3, ' ');
    let mut next = || parts.next().ok_or("too short for a latency");
    let (busy, late) = (next()?.parse()?, Duration::from_nanos(next()?.parse()?));
    Ok(Outcome::AtRate { latency: next()?.parse()?, late, busy })
}

/// Splits memory at the peak from the rest of the line.
fn split_peak(line: &str) -> Result<(&str, Peak), Box<dyn Error>> {
    let mut parts = line.trim().rsplitn(3, ' ');
    let mut next = || parts.next().ok_or("no memory at the peak");
    let (all, each) = (next()?.parse()?, next()?.parse()?);
    Ok((next()?, Peak { each, all }))
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
        assert_eq!((measured, peak), ("3 0.5 7 2 5", Peak { each: 1024.5, all: 4096 }));
    }

    #[test]
    fn latencies_are_in_microseconds() {
        let outcome = at_rate("100 1000 2000 3000 4000 5000 0.25\n").unwrap();
        let figures = [Figure::P50, Figure::P99, Figure::P999, Figure::Late, Figure::Busy];
        let expected = [1.0, 2.0, 3.0, 5.0, 0.25].map(Some);
        assert_eq!(figures.map(|figure| outcome.figure(figure)), expected);
    }

    #[test]
    fn memory_may_have_been_measured_in_one_state_only() {
        for (line, expected) in [("7.5\n", [Some(7.5), None]), ("7.5 9\n", [Some(7.5), Some(9.0)])]
        {
            let outcome = memory(line).unwrap();
            let figures = [Figure::FirstMemory, Figure::SecondMemory];
            assert_eq!(figures.map(|figure| outcome.figure(figure)), expected);
        }
    }
}
