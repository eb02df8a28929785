//! How long a good client waits for its echoes while many others are authorized.

use std::{error::Error, fmt::Write};

use super::{
    contestants::named,
    floods::{Waited, milliseconds, row},
    running::{Background, Running, SERVER_CORE, said_by},
};
use crate::{load::Latency, servers::Mode};

const SERVERS: [&str; 2] = ["prism-authorize-tokio", "prism-authorize-smol"];

const CLIENTS: &str = "10000";

/// The time over which they connect.
const SECONDS: &str = "2";

/// The good client's warm-up and measurement, while the others connect.
const WARM_UP: &str = "0.2";
const MEASURED: &str = "1.8";
const EVERY: &str = "0.004";

const ROUNDS: usize = 3;

/// What the clients do: the title, and the arguments of the load.
const CASES: [(&str, &[&str]); 3] = [
    ("without authorization", &["--path", "/"]),
    ("authorized in 100 ms", &["--path", "/authorized"]),
    ("the same, and a third leaves after 50 ms", &["--path", "/authorized", "--some-leave"]),
];

/// Measures all cases.
pub(super) fn authorize() -> Result<String, Box<dyn Error>> {
    let mut page = format!(
        "{CLIENTS} clients connect within {SECONDS} s. A good client sends 32 B every 4 ms on its own \
         connection. The first times are until its echo arrives, the second ones until a handshake is \
         done, in milliseconds, for the round with the best p99 of echoes among {ROUNDS}. Nobody was \
         refused, and nothing was left of those that had left. Growth is how much more memory the server \
         has than after the same clients were there before, in KiB:\n\n\
         | | clients | echo: p50 | p99 | max | handshake: p50 | p99 | max | server's core used | growth |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for name in SERVERS {
        for (title, arguments) in CASES {
            let mut clients = Vec::new();
            let waited = Waited::best(ROUNDS, || {
                let (waited, said) = measure(name, arguments)?;
                clients.push((waited.latency.p99, said));
                Ok(waited)
            })?;
            clients.sort();
            let (handshakes, growth) = clients[0].1.rsplit_once(' ').ok_or("no growth")?;
            let (handshakes, _left) = handshakes.rsplit_once(' ').ok_or("no number of clients")?;
            let Latency { p50, p99, max, .. } = handshakes.parse()?;
            let [p50, p99, max] = [p50, p99, max].map(milliseconds);
            let (echo, busy) = (row(&waited), waited.busy * 100.0);
            let growth = growth.parse::<i64>()? / 1024;
            writeln!(
                page,
                "| {name} | {title} |{echo} {p50} | {p99} | {max} | {busy:.0} % | {growth} |"
            )?;
        }
    }
    Ok(page)
}

/// Returns the good client's result, and what the load says of the others.
fn measure(name: &str, arguments: &[&str]) -> Result<(Waited, String), Box<dyn Error>> {
    let server = Running::start(&named(name)?, Mode::Echo, SERVER_CORE, "127.0.0.1:0")?;
    let mut clients = server.attackers("authorize")?;
    clients.args(["--connections", CLIENTS, "--seconds", SECONDS]).args(arguments);
    let mut clients = Background::start(&mut clients)?;
    let mut talk = server.load("talk")?;
    talk.args(["--every", EVERY, "--warm-up", WARM_UP, "--seconds", MEASURED]);
    let waited = Waited::parse(&said_by(&mut talk)?)?;
    Ok((waited, clients.line()?))
}
