//! How long a good client of the example `rooms` waits while attackers send requests that cost the server far more
//! than their senders.

use std::{error::Error, fmt::Write};

use super::{
    floods::{Waited, row},
    running::{Background, Running, said_by},
    table::grouped,
};

/// How many are in the same 32 rooms that attackers join, ask about, and change. They read all of it.
const TOGETHER: &str = "190";

const ATTACKERS: &str = "4";

/// How many requests each attacker sends at once: none, one in each room, or as many as a connection may without a
/// pause. Before that, it joins 32 rooms.
const REQUESTS: [&str; 3] = ["0", "32", "67"];

const WARM_UP: &str = "0.5";
const SECONDS: &str = "4";

/// How long the attackers send requests, and how long the residents stay for all rounds.
const ASK: &str = "5.5";
const STAY: &str = "120";

const ROUNDS: usize = 3;

const TABLE: &str =
    "| | p50 | p99 | max | requests per second | server's core used |\n|---|--:|--:|--:|--:|--:|\n";

/// Measures with and without attackers.
pub(super) fn questions() -> Result<String, Box<dyn Error>> {
    let server = Running::start_example("rooms")?;
    let mut residents = server.attackers("residents")?;
    residents.args(["--connections", TOGETHER, "--together", "--seconds", STAY]);
    let _residents = Background::start(&mut residents)?;
    let mut page = format!(
        "The example `rooms` with 32 rooms of {TOGETHER} members, who read, and {ATTACKERS} attackers that join all of \
         them, ask for the state of a room this many times at once (0: they only join), and then reconnect. The times \
         are how long a good client waits for the pong to a ping, of which it sends one every 5 ms; the best of \
         {ROUNDS} rounds of {SECONDS} s, in milliseconds:\n\n{TABLE}"
    );
    measure(&server, "state", &REQUESTS, &mut page)?;
    write!(page, "\nThe same, but the attackers change their metadata:\n\n{TABLE}")?;
    measure(&server, "change", &REQUESTS, &mut page)?;
    Ok(page)
}

/// Measures without attackers, and with attackers that send each number of these requests.
fn measure(
    server: &Running,
    kind: &str,
    numbers: &[&str],
    page: &mut String,
) -> Result<(), Box<dyn Error>> {
    let quiet = Waited::best(ROUNDS, || ping(server))?;
    writeln!(page, "| no attackers |{} | {:.0} % |", row(&quiet), quiet.busy * 100.0)?;
    for number in numbers {
        let mut answers = String::new();
        let asked = Waited::best(ROUNDS, || {
            let mut askers = server.attackers("askers")?;
            askers.args(["--kind", kind, "--connections", ATTACKERS, "--depth", number]);
            let mut askers = Background::start(askers.args(["--seconds", ASK]))?;
            let waited = ping(server)?;
            answers = grouped(askers.line()?.parse()?);
            Ok(waited)
        })?;
        let (row, busy) = (row(&asked), asked.busy * 100.0);
        writeln!(page, "| each {number} |{row} {answers} | {busy:.0} % |")?;
    }
    Ok(())
}

fn ping(server: &Running) -> Result<Waited, Box<dyn Error>> {
    let mut ping = server.load("ping")?;
    ping.args(["--path", "/ws", "--warm-up", WARM_UP, "--seconds", SECONDS]);
    Waited::parse(&said_by(&mut ping)?)
}
