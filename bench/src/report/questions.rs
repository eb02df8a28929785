//! How long a good client of the example `rooms` waits while attackers list the rooms.

use std::{error::Error, fmt::Write};

use super::{
    floods::{Waited, row},
    running::{Background, Running, said_by},
    table::grouped,
};

/// Each is in 32 rooms, the maximum. (Each end of a connection is a descriptor, and a process has 20,000.)
const RESIDENTS: &str = "5000";

const ATTACKERS: &str = "4";

/// How many requests each attacker sends at once, at most what a connection may send without a pause.
const QUESTIONS: [&str; 2] = ["1", "100"];

const WARM_UP: &str = "0.5";
const SECONDS: &str = "4";

/// How long the attackers send requests, and how long the residents stay for all rounds.
const ASK: &str = "5.5";
const STAY: &str = "120";

const ROUNDS: usize = 3;

/// Measures with and without attackers.
pub(super) fn questions() -> Result<String, Box<dyn Error>> {
    let server = Running::start_example("rooms")?;
    let mut residents = server.load("residents")?;
    residents.args(["--connections", RESIDENTS, "--seconds", STAY]);
    let _residents = Background::start(&mut residents)?;
    let memory = server.process().memory()? >> 20;
    let mut page = format!(
        "The example `rooms` with 160,000 rooms of one member, whose names have the maximum length \
         ({memory} MiB), and {ATTACKERS} attackers that send `/rooms` this many times at once, and then \
         reconnect. The times are how long a good client waits for the pong to a ping, of which it sends one \
         every 5 ms; the best of {ROUNDS} rounds of {SECONDS} s, in milliseconds:\n\n\
         | | p50 | p99 | max | answers per second | server's core used |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let quiet = Waited::best(ROUNDS, || ping(&server))?;
    writeln!(page, "| no attackers |{} | {:.0} % |", row(&quiet), quiet.busy * 100.0)?;
    for questions in QUESTIONS {
        let mut answers = String::new();
        let asked = Waited::best(ROUNDS, || {
            let mut askers = server.attackers("askers")?;
            askers.args(["--connections", ATTACKERS, "--depth", questions, "--seconds", ASK]);
            let mut askers = Background::start(&mut askers)?;
            let waited = ping(&server)?;
            answers = grouped(askers.line()?.parse()?);
            Ok(waited)
        })?;
        let (row, busy) = (row(&asked), asked.busy * 100.0);
        writeln!(page, "| each {questions} |{row} {answers} | {busy:.0} % |")?;
    }
    Ok(page)
}

fn ping(server: &Running) -> Result<Waited, Box<dyn Error>> {
    let mut ping = server.load("ping")?;
    ping.args(["--path", "/ws", "--warm-up", WARM_UP, "--seconds", SECONDS]);
    Waited::parse(&said_by(&mut ping)?)
}
