//! How long a handshake takes among peers that say nothing, and come back when they are dropped.

use std::{error::Error, fmt::Write};

use super::{
    contestants::{RUNTIMES, named},
    floods::{Waited, row},
    running::{Beside, Running, said_by},
};

const SILENT: &str = "8000";

/// How many handshakes there may be at once.
const PLACES: [&str; 2] = ["1024", "4096"];

const EVERY: &str = "0.02";
const SECONDS: &str = "4";

/// Longer than the good handshakes and the last of them take.
const STAY: &str = "10";

const ROUNDS: usize = 3;

/// Measures all runtimes.
pub(super) fn silence() -> Result<String, Box<dyn Error>> {
    let mut page = format!(
        "{SILENT} peers connect, say nothing, and come back when they are dropped. A good client comes each \
         20 ms: how long from its first packet until it has its answer, the best of {ROUNDS} rounds of \
         {SECONDS} s, in milliseconds; by how many handshakes there may be at once \
         (`max_handshakes`):\n\n\
         | | handshakes | p50 | p99 | max | dropped per second | memory, MiB | server's core used |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for name in RUNTIMES {
        for places in PLACES {
            let (mut memory, mut dropped) = (f64::INFINITY, 0.0);
            let waited = Waited::best(ROUNDS, || {
                let measured = measure(name, places)?;
                memory = memory.min(measured.memory);
                dropped = measured.dropped;
                Ok(measured.waited)
            })?;
            let (row, busy) = (row(&waited), waited.busy * 100.0);
            writeln!(
                page,
                "| {name} | {places} |{row} {dropped:.0} | {memory:.1} | {busy:.0} % |"
            )?;
        }
    }
    Ok(page)
}

struct Measured {
    waited: Waited,
    /// In MiB, at most, beyond what the server has when nobody has come.
    memory: f64,
    /// How many silent peers per second.
    dropped: f64,
}

fn measure(name: &str, places: &str) -> Result<Measured, Box<dyn Error>> {
    let server = Running::start_with_handshakes(&named(name)?, places)?;
    let before = server.process().peak()?;
    let mut silent = server.attackers("renewals")?;
    silent.args(["--connections", SILENT, "--seconds", STAY]);
    let mut silent = Beside::start(&mut silent)?;
    let mut arrivals = server.load("arrivals")?;
    arrivals.args(["--every", EVERY, "--seconds", SECONDS]);
    let waited = Waited::parse(&said_by(&mut arrivals)?)?;
    let memory = (server.process().peak()?.saturating_sub(before)) as f64 / f64::from(1 << 20);
    let dropped = silent.line()?.parse::<f64>()? / (STAY.parse::<f64>()? + 1.0);
    Ok(Measured { waited, memory, dropped })
}
