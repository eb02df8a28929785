//! How long a good client waits for its echoes while others flood the server.

use std::{error::Error, fmt::Write, time::Duration};

use super::{
    contestants::{RUNTIMES, named},
    running::{Background, Running, SERVER_CORE, said_by},
};
use crate::{load::Latency, servers::Mode};

const ATTACKERS: &str = "20";

/// Each flood, and its title in the table.
const FLOODS: &[(&str, &str)] = &[
    ("empty", "empty messages"),
    ("fragments", "fragments of one byte"),
    ("large", "messages of 1 MB"),
    ("pings", "pings, pongs unread"),
];

/// The floods of servers that compress.
const COMPRESSED: &[(&str, &str)] = &[
    ("bombs", "compressed messages of 1 MiB of zeros"),
    ("blocks", "compressed messages of 2,000 blocks without content"),
    ("final-blocks", "compressed messages of 32 KiB and 32 final blocks"),
];

/// How long an attack lasts, and the good client's warm-up and measurement during it.
const FLOOD: &str = "3.5";
const WARM_UP: &str = "0.5";
const SECONDS: &str = "2.5";

const EVERY: &str = "0.004";

/// The best of these rounds counts, because other load on the machine only adds to the times.
const ROUNDS: usize = 3;

/// The good client's result, and the share of its core that the server used.
pub(super) struct Waited {
    pub(super) latency: Latency,
    pub(super) busy: f64,
}

impl Waited {
    /// Parses the output of `load` for a good client.
    pub(super) fn parse(line: &str) -> Result<Self, Box<dyn Error>> {
        let (latency, busy) = line.rsplit_once(' ').ok_or("no share of a core")?;
        Ok(Self { latency: latency.parse()?, busy: busy.parse()? })
    }

    /// Measures some rounds, and returns the best.
    pub(super) fn best(
        rounds: usize,
        mut measure: impl FnMut() -> Result<Self, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let all = (0..rounds).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
        all.into_iter().min_by_key(|waited| waited.latency.p99).ok_or_else(|| "no round".into())
    }
}

/// The server that is flooded.
#[derive(Clone, Copy)]
enum Flooded {
    None,
    Measured,
    /// Another server, on another core than the measured one.
    Other,
}

/// Measures all runtimes.
pub(super) fn floods() -> Result<String, Box<dyn Error>> {
    let mut page = format!(
        "{ATTACKERS} attackers send as fast as the server accepts it, and a good client sends 32 B every \
         4 ms on its own connection. The times are until its echo arrives. *Floor* is the same while the \
         attackers flood another server, on the load's core: this is what the machine and the load \
         generator add. The best of {ROUNDS} rounds of {SECONDS} s, in milliseconds:\n\n\
         | | flood | p50 | p99 | max | floor: p99 | max | server's core used |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n"
    );
    for name in RUNTIMES {
        let quiet = best(name, Mode::Echo, "", Flooded::None)?;
        writeln!(page, "| {name} | none |{}  |  | {:.0} % |", row(&quiet), quiet.busy * 100.0)?;
        let plain = FLOODS.iter().map(|it| (Mode::Echo, it));
        let compressed = COMPRESSED.iter().map(|it| (Mode::Deflate, it));
        for (mode, (flood, title)) in plain.chain(compressed) {
            eprint!("\r{name}: {title}            ");
            let flooded = best(name, mode, flood, Flooded::Measured)?;
            let floor = best(name, mode, flood, Flooded::Other)?.latency;
            let [p99, max] = [floor.p99, floor.max].map(milliseconds);
            let (row, busy) = (row(&flooded), flooded.busy * 100.0);
            writeln!(page, "| {name} | {title} |{row} {p99} | {max} | {busy:.0} % |")?;
        }
    }
    eprintln!();
    Ok(page)
}

fn best(name: &str, mode: Mode, flood: &str, flooded: Flooded) -> Result<Waited, Box<dyn Error>> {
    Waited::best(ROUNDS, || measure(name, mode, flood, flooded))
}

fn measure(
    name: &str,
    mode: Mode,
    flood: &str,
    flooded: Flooded,
) -> Result<Waited, Box<dyn Error>> {
    let contestant = named(name)?;
    let server = Running::start(&contestant, mode, SERVER_CORE, "127.0.0.1:0")?;
    let other = match flooded {
        Flooded::Other => Some(Running::start_aside(&contestant, mode)?),
        Flooded::None | Flooded::Measured => None,
    };
    let attackers = match flooded {
        Flooded::None => None,
        Flooded::Measured | Flooded::Other => {
            let mut attackers = other.as_ref().unwrap_or(&server).attackers("flood")?;
            attackers.args(["--kind", flood, "--connections", ATTACKERS, "--seconds", FLOOD]);
            Some(Background::start(&mut attackers)?)
        }
    };
    let mut talk = server.load("talk")?;
    talk.args(["--every", EVERY, "--warm-up", WARM_UP, "--seconds", SECONDS]);
    let waited = Waited::parse(&said_by(&mut talk)?)?;
    if let Some(mut attackers) = attackers {
        attackers.line()?; // none of them was closed
    }
    Ok(waited)
}

/// Returns the quantiles as cells of a table.
pub(super) fn row(waited: &Waited) -> String {
    let Latency { p50, p99, max, .. } = waited.latency;
    let [p50, p99, max] = [p50, p99, max].map(milliseconds);
    format!(" {p50} | {p99} | {max} |")
}

pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}
