//! Members that do not read, among ten thousand that do, and what the others notice.

use std::{error::Error, fmt};

use super::{
    contestants::rooms,
    running::{Running, SERVER_CORE},
    table::grouped,
};
use crate::{Spread, servers::Mode};

const MEMBERS: &str = "10000";
const SILENT: &str = "50";

const PAYLOAD: &str = "512";

/// Less than the write timeout in all, which would drop the members that do not read.
const WARM_UP: &str = "2";
const SECONDS: &str = "15";

/// The number of rounds with and without silent members, in turn.
const ROUNDS: usize = 5;

/// How long the last reader waits for a message, with and without members that do not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    without: Waits,
    with: Waits,
}

/// The times in milliseconds, and the server's memory in MiB, over the rounds.
#[derive(Clone, Copy, Debug)]
struct Waits {
    p50: Spread,
    p99: Spread,
    memory: Spread,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "A room of {} readers, with and without {SILENT} more members that do not read and whose \
             outboxes are full. The times are from the publication of a message of {PAYLOAD} B until the \
             last reader has it, with one in flight, over {ROUNDS} rounds of {SECONDS} s:\n",
            grouped(MEMBERS.parse().unwrap_or_default()),
        )?;
        writeln!(f, "| | p50, ms | p99, ms | memory, MiB |\n|---|--:|--:|--:|")?;
        writeln!(f, "| all read |{}", self.without)?;
        write!(f, "| {SILENT} do not |{}", self.with)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Spread { low, median, high } in [self.p50, self.p99, self.memory] {
            write!(f, " {median:.1} ({low:.1}–{high:.1}) |")?;
        }
        Ok(())
    }
}

/// Measures both, in turn.
///
/// # Errors
/// If a process fails.
pub(super) fn slow() -> Result<Slow, Box<dyn Error>> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        without.push(measure("0")?);
        let measured @ [.., dropped] = measure(SILENT)?;
        eprintln!("round {round} of {ROUNDS}: {} deliveries were dropped", grouped(dropped));
        with.push(measured);
    }
    Ok(Slow { without: waits(&without)?, with: waits(&with)? })
}

fn waits(rounds: &[[f64; 4]]) -> Result<Waits, Box<dyn Error>> {
    let spread = |column: usize, unit: f64| {
        let values = rounds.iter().map(|round| round[column] / unit);
        Spread::of(values.collect()).ok_or("no round")
    };
    Ok(Waits { p50: spread(0, 1e6)?, p99: spread(1, 1e6)?, memory: spread(2, f64::from(1 << 20))? })
}

/// Returns the quantiles, the memory, and how many deliveries were dropped.
fn measure(silent: &str) -> Result<[f64; 4], Box<dyn Error>> {
    let server = Running::start(&rooms()?, Mode::Broadcast, SERVER_CORE, "127.0.0.1:0")?;
    let output = server
        .load("slow")?
        .args(["--connections", MEMBERS, "--silent", silent, "--payload", PAYLOAD])
        .args(["--warm-up", WARM_UP, "--seconds", SECONDS])
        .output()?;
    let line = String::from_utf8(output.stdout)?;
    let values: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let failed = || String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(values.try_into().map_err(|_| failed())?)
}
