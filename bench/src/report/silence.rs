//! How long a handshake takes among silent peers that reconnect when they are dropped.

use std::{error::Error, fmt::Write};

use super::{
    contestants::{RUNTIMES, named},
    floods::{Waited, row},
    running::{Background, Running, said_by},
};

const SILENT: &str = "8000";

/// The limits on handshakes.
const LIMITS: [&str; 2] = ["1024", "4096"];

const EVERY: &str = "0.02";
const SECONDS: &str = "4";

/// Longer than all good handshakes take.
const STAY: &str = "10";

const ROUNDS: usize = 3;

/// Measures all runtimes.
pub(super) fn silence() -> Result<String, Box<dyn Error>> {
    let mut page = format!(
        "{SILENT} peers connect, send nothing, and reconnect when they are dropped. A good client connects \
         every 20 ms. The times are from its first packet until its answer, for the best of {ROUNDS} rounds \
         of {SECONDS} s, in milliseconds, by the limit on handshakes (`max_handshakes`):\n\n\
         | | handshakes | p50 | p99 | max | dropped per second | memory, MiB | server's core used |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for name in RUNTIMES {
        for limit in LIMITS {
            let (mut memory, mut dropped) = (f64::INFINITY, 0.0);
            let waited = Waited::best(ROUNDS, || {
                let measured = measure(name, limit)?;
                memory = memory.min(measured.memory);
                dropped = measured.dropped;
                Ok(measured.waited)
            })?;
            let (row, busy) = (row(&waited), waited.busy * 100.0);
            writeln!(page, "| {name} | {limit} |{row} {dropped:.0} | {memory:.1} | {busy:.0} % |")?;
        }
    }
    Ok(page)
}

struct Measured {
    waited: Waited,
    /// The growth of the server's peak memory, in MiB.
    memory: f64,
    /// How many silent peers were dropped per second.
    dropped: f64,
}

fn measure(name: &str, limit: &str) -> Result<Measured, Box<dyn Error>> {
    let server = Running::start_with_handshakes(&named(name)?, limit)?;
    let before = server.process().peak()?;
    let mut silent = server.attackers("renewals")?;
    silent.args(["--connections", SILENT, "--seconds", STAY]);
    let mut silent = Background::start(&mut silent)?;
    let mut arrivals = server.load("arrivals")?;
    arrivals.args(["--every", EVERY, "--seconds", SECONDS]);
    let waited = Waited::parse(&said_by(&mut arrivals)?)?;
    let memory = (server.process().peak()?.saturating_sub(before)) as f64 / f64::from(1 << 20);
    let dropped = silent.line()?.parse::<f64>()? / (STAY.parse::<f64>()? + 1.0);
    Ok(Measured { waited, memory, dropped })
}
