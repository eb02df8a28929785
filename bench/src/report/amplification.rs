//! Attacks on a server's memory, and what they cost the attacker.

use std::{error::Error, fmt::Write};

use super::{
    contestants::named,
    running::{Running, SERVER_CORE, said_by},
    table::grouped,
};
use crate::servers::Mode;

/// The target of an attack.
#[derive(Clone, Copy)]
enum Target {
    /// One of Prism's examples.
    Example(&'static str),
    /// A server of this package.
    Server(&'static str),
}

/// Each attack: its name, its target, and its title in the table.
const ATTACKS: &[(&str, Target, &str)] = &[
    (
        "chat",
        Target::Example("chat"),
        "`chat`: 2,000 members that do not read, and one message of 1 MiB",
    ),
    (
        "chat-small",
        Target::Example("chat"),
        "`chat`: 2,000 members that do not read, and one that sends 1 B 30,000 times",
    ),
    (
        "chat-bombs",
        Target::Example("chat"),
        "`chat`: 2,000 members that do not read, and one that sends 1 MiB of zeros twenty times, compressed",
    ),
    ("pages", Target::Example("rooms"), "`rooms`: 1,000 requests for its page, unread"),
    ("large-pages", Target::Server("prism-page"), "1,000 requests for a page of 1 MiB, unread"),
    ("rate", Target::Example("rooms"), "`rooms`: 1,000 peers above the rate of messages"),
    (
        "say",
        Target::Example("rooms"),
        "`rooms`: 60 members that do not read, and ten that send 16 KiB fifty times",
    ),
    (
        "rooms-small",
        Target::Example("rooms"),
        "`rooms`: 950 members that do not read, and 50 that send 1 B a hundred times",
    ),
    (
        "states-unread",
        Target::Example("rooms"),
        "`rooms`: 1,000 peers that request the state of a full room 60 times, and do not read",
    ),
    (
        "states-at-once",
        Target::Example("rooms"),
        "`rooms`: 2,000 peers that request the state of a full room at the same moment",
    ),
    (
        "presence",
        Target::Server("prism-presence"),
        "presence: 60 watchers that do not read, and ten people who change 4 KiB of metadata",
    ),
    (
        "watch-again",
        Target::Server("prism-presence"),
        "presence: the same, but the watchers request the state again and again",
    ),
    ("crowd", Target::Server("prism-tokio"), "echo: 4,096 peers that send at the same moment"),
    ("crowd", Target::Server("prism-smol"), "the same, on smol"),
    ("crowd", Target::Server("prism-async-std"), "the same, on async-std"),
    ("busy", Target::Server("prism-busy"), "2,000 peers that send a byte to a busy handler"),
    (
        "busy-bombs",
        Target::Server("prism-busy"),
        "100 peers that send 1 MiB of zeros to a busy handler, compressed",
    ),
    (
        "empty-fragments",
        Target::Server("prism-tokio"),
        "echo: 1,000 messages of 496 empty fragments, unfinished",
    ),
    ("unfinished", Target::Server("prism-tokio"), "echo: 100 messages of 1 MiB - 1 B, unfinished"),
    ("pings", Target::Server("prism-tokio"), "echo: 200 peers that ping, and do not read"),
    ("silent", Target::Server("prism-tokio"), "8,000 silent handshakes"),
];

const ROUNDS: usize = 3;

/// Measures all attacks.
pub(super) fn amplification() -> Result<String, Box<dyn Error>> {
    let mut page = String::from(
        "Sent are the bytes on the connections, including requests, and 112 bytes for each connection, for a \
         SYN and an ACK. Memory is the growth of the server process's peak since before the attack, without \
         the kernel's memory; the least of three rounds.\n\n\
         | attack | sent, KB | memory, KB | ratio |\n|---|--:|--:|--:|\n",
    );
    for &(name, target, title) in ATTACKS {
        eprint!("\r{name}                ");
        let mut rounds =
            (0..ROUNDS).map(|_| measure(name, target)).collect::<Result<Vec<_>, _>>()?;
        rounds.sort_by(|a, b| a[1].total_cmp(&b[1]));
        let [sent, memory] = rounds[0];
        let (ratio, [sent, memory]) = (memory / sent, [sent, memory].map(|it| grouped(it / 1e3)));
        writeln!(page, "| {title} | {sent} | {memory} | {ratio:.1} |")?;
    }
    eprintln!();
    Ok(page)
}

fn measure(name: &str, target: Target) -> Result<[f64; 2], Box<dyn Error>> {
    let server = match target {
        Target::Example(example) => Running::start_example(example)?,
        Target::Server(server) => {
            Running::start(&named(server)?, Mode::Echo, SERVER_CORE, "127.0.0.1:0")?
        }
    };
    let line = said_by(server.load("attack")?.args(["--kind", name]))?;
    let (sent, memory) = line.split_once(' ').ok_or("two numbers")?;
    Ok([sent.parse()?, memory.parse()?])
}
