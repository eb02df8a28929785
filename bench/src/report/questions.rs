//! How long a good client of the example `rooms` waits while others ask which rooms there are.

use std::{error::Error, fmt::Write};

use super::{
    floods::{Waited, row},
    running::{Beside, Running, said_by},
    table::grouped,
};

/// Each is in 32 rooms, as many as it may be. (Both ends are descriptors, of which a process has 20,000.)
const RESIDENTS: &str = "5000";

const ATTACKERS: &str = "4";

/// How often each asks at once: the most is what a connection may send without a pause.
const QUESTIONS: [&str; 2] = ["1", "100"];

const WARM_UP: &str = "0.5";
const SECONDS: &str = "4";

/// How long the attackers ask, and how long the residents stay for all rounds.
const ASK: &str = "5.5";
const STAY: &str = "120";

const ROUNDS: usize = 3;

/// Measures both, with and without those who ask.
pub(super) fn questions() -> Result<String, Box<dyn Error>> {
    let server = Running::start_example("rooms")?;
    let mut residents = server.load("residents")?;
    residents.args(["--connections", RESIDENTS, "--seconds", STAY]);
    let _residents = Beside::start(&mut residents)?;
    let memory = server.process().memory()? >> 20;
    let mut page = format!(
        "The example `rooms` with 160,000 rooms of one member, whose names are as long as they may be \
         ({memory} MiB), and {ATTACKERS} attackers that ask `/rooms` so often at once, and then come back on \
         new connections. How long a good client waits for the pong to a ping, of which it sends one each \
         5 ms; the best of {ROUNDS} rounds of {SECONDS} s, in milliseconds:\n\n\
         | | p50 | p99 | max | answers per second | server's core used |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let quiet = Waited::best(ROUNDS, || ping(&server))?;
    writeln!(page, "| nobody asks |{} | {:.0} % |", row(&quiet), quiet.busy * 100.0)?;
    for questions in QUESTIONS {
        let mut answers = String::new();
        let asked = Waited::best(ROUNDS, || {
            let mut askers = server.attackers("askers")?;
            askers.args(["--connections", ATTACKERS, "--depth", questions, "--seconds", ASK]);
            let mut askers = Beside::start(&mut askers)?;
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
