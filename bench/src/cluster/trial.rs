//! One run: Redis and two nodes on one core, and the load generator on the other.

use std::{env, error::Error, time::Duration};

use super::{Contestant, Measurement, redis::Redis};
use crate::report::running::{LOAD_CORE, Running, SERVER_CORE, pinned, said_by};

/// How long a run takes, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The warm-up, before it counts.
    pub warm_up: f64,
    /// The measured time.
    pub seconds: f64,
}

/// How often a run is repeated if something else had the load generator's core meanwhile.
const ATTEMPTS: usize = 3;

/// By how much messages may be sent too late: the 99th percentile.
const LATEST: Duration = Duration::from_micros(100);

/// Measures once. If messages were sent late, it tries again, and returns the least late.
///
/// # Errors
/// If a process fails.
pub fn measure(
    contestant: &Contestant,
    rate: f64,
    timing: Timing,
) -> Result<Measurement, Box<dyn Error>> {
    let mut best = measure_once(contestant, rate, timing)?;
    for _ in 1..ATTEMPTS {
        if best.late < LATEST {
            break;
        }
        let again = measure_once(contestant, rate, timing)?;
        if again.late < best.late {
            best = again;
        }
    }
    Ok(best)
}

/// Starts a Redis server and two nodes, publishes at this rate, and ends them.
///
/// # Errors
/// If a process fails.
pub fn measure_once(
    contestant: &Contestant,
    rate: f64,
    timing: Timing,
) -> Result<Measurement, Box<dyn Error>> {
    let redis = Redis::start(SERVER_CORE)?;
    let node = || Running::spawn(&mut contestant.command(SERVER_CORE, &redis.url())?);
    let (a, b) = (node()?, node()?);
    let processes = [a.process(), b.process(), redis.process()];
    let mut load = pinned(LOAD_CORE);
    load.arg(env::current_exe()?).arg("load");
    load.args([a.address().to_string(), b.address().to_string()]).arg(contestant.protocol.name());
    load.args(processes.map(|process| process.0.to_string()));
    load.args([rate, timing.warm_up, timing.seconds].map(|number| number.to_string()));
    said_by(&mut load)?.parse()
}
