//! What an attack on a server's memory costs the attacker.

use std::{error::Error, fmt::Write};

use super::{
    contestants::named,
    running::{Running, SERVER_CORE, said_by},
    table::grouped,
};

/// Who is attacked.
#[derive(Clone, Copy)]
enum Victim {
    /// One of Prism's examples.
    Example(&'static str),
    /// A server of this package.
    Server(&'static str),
}

/// Each attack by its name, who is attacked, and what the table says of it.
const ATTACKS: &[(&str, Victim, &str)] = &[
    (
        "chat",
        Victim::Example("chat"),
        "`chat`: 2,000 members that do not read, and one message of 1 MiB",
    ),
    ("pages", Victim::Example("rooms"), "`rooms`: 1,000 requests for its page, unread"),
    ("rate", Victim::Example("rooms"), "`rooms`: 1,000 peers above the rate of messages"),
    (
        "say",
        Victim::Example("rooms"),
        "`rooms`: 60 members that do not read, and ten who say 16 KiB fifty times",
    ),
    (
        "presence",
        Victim::Server("prism-presence"),
        "presence: 60 watchers that do not read, and ten people who change 4 KiB of metadata",
    ),
    (
        "watch-again",
        Victim::Server("prism-presence"),
        "presence: the same, but the watchers ask for the state again and again",
    ),
    ("crowd", Victim::Server("prism-tokio"), "echo: 4,096 peers that talk in step"),
    ("busy", Victim::Server("prism-busy"), "2,000 peers that send a byte to a busy handler"),
    (
        "empty-fragments",
        Victim::Server("prism-tokio"),
        "echo: 1,000 messages of 496 empty fragments, unfinished",
    ),
    ("unfinished", Victim::Server("prism-tokio"), "echo: 100 messages of 1 MiB - 1 B, unfinished"),
    ("pings", Victim::Server("prism-tokio"), "echo: 200 peers that ping, and do not read"),
    ("silent", Victim::Server("prism-tokio"), "8,000 silent handshakes"),
];

const ROUNDS: usize = 3;

/// Measures all attacks.
pub(super) fn amplification() -> Result<String, Box<dyn Error>> {
    let mut page = String::from(
        "What was sent counts as bytes on the connections, requests included, and 112 bytes for each of \
         them, a SYN and an ACK. Memory is that of the server's process, without the kernel's, at its \
         peak, beyond what it had before the attack; the least of three rounds.\n\n\
         | attack | sent, KB | memory, KB | ratio |\n|---|--:|--:|--:|\n",
    );
    for &(name, victim, title) in ATTACKS {
        eprint!("\r{name}                ");
        let mut rounds =
            (0..ROUNDS).map(|_| measure(name, victim)).collect::<Result<Vec<_>, _>>()?;
        rounds.sort_by(|a, b| a[1].total_cmp(&b[1]));
        let [sent, memory] = rounds[0];
        let (ratio, [sent, memory]) = (memory / sent, [sent, memory].map(|it| grouped(it / 1e3)));
        writeln!(page, "| {title} | {sent} | {memory} | {ratio:.1} |")?;
    }
    eprintln!();
    Ok(page)
}

fn measure(name: &str, victim: Victim) -> Result<[f64; 2], Box<dyn Error>> {
    let server = match victim {
        Victim::Example(example) => Running::start_example(example)?,
        Victim::Server(server) => {
            Running::start(&named(server)?, false, SERVER_CORE, "127.0.0.1:0")?
        }
    };
    let line = said_by(server.load("attack")?.args(["--kind", name]))?;
    let (sent, memory) = line.split_once(' ').ok_or("two numbers")?;
    Ok([sent.parse()?, memory.parse()?])
}
