//! Writes `RESULTS.md`, or a page with a part of it.

use std::{
    fmt::{self, Write},
    fs,
    path::Path,
};

use super::{
    Table, Timing,
    cell::Kind,
    contestants::not_built,
    machine::{machine, versions},
    once::Section,
    plots,
    table::grouped,
};
use crate::servers::SERVERS;

/// The text before the figures.
const RULES: &str = "\
Every server has one thread, pinned to one core, and the load generator has another core (but see *One
thread and two*, where the names give the number of threads, on both cores). Servers take turns, with
one short run each per round (A B C A B C), and a new server process for each run. A value is the
median over the rounds, followed by the quartiles. CPU is that of the server's process, as counted by
the scheduler; *user* and *kernel* are its parts, by the kernel's ticks in all rounds together, and **~** marks those from
less than 30 s of CPU time, which are rough. Throughput is meaningful only where the server's core is fully used. No
compression except where it is named, `TCP_NODELAY`, messages of 64 MiB allowed, text checked. *floor* and *bare* are
yardsticks, not libraries: see [README.md](README.md). *tuned* answers all ready messages with one
flush; *split* reads and writes in two tasks. **Bold** is the best library. Less than 10 % is a tie.";

/// Fewer rounds are only a trial of the page.
const ROUNDS: usize = 10;

/// A difference up to here is a tie.
const TIE: f64 = 1.1;

/// The groups of the page: the heading, the plot's file, and the kind of its cells.
const GROUPS: &[(&str, &str, Kind)] = &[
    ("Echo, 64 connections, one message in flight on each", "echo-x1.svg", Kind::Echo),
    ("Echo, 64 connections, 16 messages in flight on each", "echo-x16.svg", Kind::DeepEcho),
    ("One connection, with one message in flight", "one.svg", Kind::Single),
    (
        "The leaderboard's shape: many connections, with one text of 5 B in flight on each",
        "board.svg",
        Kind::Board,
    ),
    ("Latency at a fixed rate, on 1,000 connections", "latency.svg", Kind::Latency),
    ("Handshakes, 64 at once", "handshakes.svg", Kind::Handshakes),
    ("Broadcast of 512 B", "broadcast.svg", Kind::Broadcast),
    ("One thread and two", "threads.svg", Kind::Threads),
    (
        "Memory of 2,000 idle connections, fresh and after one echo of 16 KiB",
        "memory.svg",
        Kind::Memory,
    ),
    ("Memory of 4,096 connections that all echo 5 bytes at once", "crowd.svg", Kind::Crowd),
    (
        "Compressed echo of JSON, 64 connections, one message in flight on each",
        "deflate-x1.svg",
        Kind::DeflateEcho,
    ),
    (
        "Compressed echo of JSON, 64 connections, 16 messages in flight on each",
        "deflate-x16.svg",
        Kind::DeepDeflateEcho,
    ),
    ("Compressed broadcast of JSON of 1 KiB", "deflate-broadcast.svg", Kind::DeflateBroadcast),
    (
        "Memory of 2,000 idle connections that compress, fresh and after one echo of 16 KiB",
        "deflate-memory.svg",
        Kind::DeflateMemory,
    ),
    ("Echo over TLS, 64 connections, one message in flight on each", "tls-echo.svg", Kind::TlsEcho),
    ("Handshakes over TLS, 64 at once", "tls-handshakes.svg", Kind::TlsHandshakes),
    (
        "Memory of 2,000 idle connections over TLS, fresh and after one echo of 16 KiB",
        "tls-memory.svg",
        Kind::TlsMemory,
    ),
    (
        "Echo under axum, 64 connections, one message in flight on each",
        "axum-x1.svg",
        Kind::AxumEcho,
    ),
    (
        "Echo under axum, 64 connections, 16 messages in flight on each",
        "axum-x16.svg",
        Kind::DeepAxumEcho,
    ),
    (
        "Memory of 2,000 idle connections under axum, fresh and after one echo of 16 KiB",
        "axum-memory.svg",
        Kind::AxumMemory,
    ),
    (
        "Memory of 2,000 idle WebSockets over HTTP/2, fresh and after one echo of 16 KiB",
        "http2-memory.svg",
        Kind::Http2Memory,
    ),
    (
        "Memory of 200 WebSockets over HTTP/2 whose clients stop reading",
        "http2-stalled.svg",
        Kind::Http2Stalled,
    ),
];

/// The text before the first table of the leaderboard's shape.
const BOARD: &str = "\
The load of the test `echo-ws` of HttpArena, for a server with one thread. The peak is that of the server's anonymous memory
while this runs: for each connection, by how much it has grown since 64 other connections were opened and used, which stay; and
in all. (Bun has threads besides the one that serves, on the same core.)";

/// The text before the first table of latency.
const LATENCY: &str = "\
Messages are sent at fixed times, whether or not earlier ones have been answered, on one connection after the other. A time is
from when a message was due until its answer was read, so a late answer also counts for those that wait behind it. First, each
server's maximum is measured on the same connections, with one message in flight on each. *Sent late* is by how much the load
generator was late itself.";

/// The text before the first table of compressed messages.
const DEFLATE: &str = "\
*Bytes sent* is the median length of the payloads that the server sends. Compare both: a lower level takes less time, and
sends more. *Window* is what a message may refer back to, as far as the server and the client have agreed on it. Prism's
default is level 2; *l1*, *l3* and *l6* are its levels 1, 3 and 6, and *32K* has windows of 32 KiB. Without context
takeover, no message refers to another one. sockudo-ws and yawc use level 6, and wtx level 5. *pool* is yawc with codecs
that connections share. Other libraries do not compress: see [README.md](README.md).";

/// The text before the first table of TLS.
const TLS: &str = "\
TLS 1.3 with AES-128-GCM, X25519 and a certificate on the curve P-256, by rustls with `ring`, for all. Others use tokio-rustls,
or futures-rustls. A handshake is that of TCP, TLS and WebSocket together; a resumed one uses the ticket of an earlier
connection.";

/// The text before the first table under axum.
const AXUM: &str = "\
`prism-axum` and `axum-ws` (`axum::extract::ws`) have the same route under `axum::serve`. `prism-tokio` is Prism's own server.";

/// The text before the first table of HTTP/2.
const HTTP2: &str = "\
Each WebSocket is a stream of a connection of HTTP/2 (RFC 8441), under `axum::serve`.";

/// The text before the first table of clients that stop reading.
const STALLED: &str = "\
The handler sends the message that it has received again and again. The client reads only the 64 KiB that it has allowed. So
Prism holds the message, with the 64 KiB that it receives into; as many unsent bytes as the high-water mark (64 KiB) and one
message; and hyper holds four writes, for Prism of 16 KiB each. axum's own WebSockets write each message
at once, so hyper holds four messages.";

/// Writes the page into the file, and its plots into the folder `plots` beside it.
///
/// # Errors
/// If they cannot be written.
pub fn write_page(
    file: &Path,
    tables: &[Table],
    sections: &[Section],
    rounds: usize,
    timing: Timing,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut page = String::new();
    head(&mut page, rounds, timing)?;
    summary(&mut page, tables)?;
    let plots = file.with_file_name("plots");
    fs::create_dir_all(&plots)?;
    for &(heading, plot, kind) in GROUPS {
        let tables: Vec<_> = tables.iter().filter(|table| table.cell.kind == kind).collect();
        if tables.is_empty() {
            continue;
        }
        plots::draw(&plots.join(plot), &tables)?;
        writeln!(page, "\n## {heading}\n\n![{heading}](plots/{plot})")?;
        if let Some(text) = text_before(kind) {
            writeln!(page, "\n{text}")?;
        }
        for table in tables {
            write!(page, "\n### {}\n\n{table}", table.cell.title)?;
        }
    }
    for Section { heading, text } in sections {
        writeln!(page, "\n## {heading}\n\n{text}")?;
    }
    Ok(fs::write(file, page)?)
}

/// Returns the text before the first table of these cells.
const fn text_before(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Board => Some(BOARD),
        Kind::Latency => Some(LATENCY),
        Kind::DeflateEcho => Some(DEFLATE),
        Kind::TlsEcho => Some(TLS),
        Kind::AxumEcho => Some(AXUM),
        Kind::Http2Memory => Some(HTTP2),
        Kind::Http2Stalled => Some(STALLED),
        _ => None,
    }
}

fn head(page: &mut String, rounds: usize, timing: Timing) -> fmt::Result {
    writeln!(page, "# Results\n\n{RULES}\n")?;
    if rounds < ROUNDS {
        writeln!(page, "**A quick run, with too few rounds to quote.**\n")?;
    }
    let Timing { warm_up, seconds } = timing;
    writeln!(page, "- {rounds} rounds of {seconds} s, after {warm_up} s of warm-up")?;
    machine().iter().try_for_each(|line| writeln!(page, "- {line}"))?;
    let others = SERVERS.iter().filter_map(|server| server.program?.version());
    let versions = versions().into_iter().map(|(name, version)| format!("{name} {version}"));
    let versions = versions.chain(others);
    writeln!(page, "- {}", versions.collect::<Vec<_>>().join(", "))?;
    let missing = not_built();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        writeln!(
            page,
            "- Not measured, because not built: {missing} (see [README.md](README.md))"
        )?;
    }
    Ok(())
}

/// Writes the comparison of Prism on tokio, and of `prism-rooms`, with the best peer.
fn summary(page: &mut String, tables: &[Table]) -> fmt::Result {
    writeln!(page, "\n## Prism on tokio and the best peer\n")?;
    writeln!(page, "| | Prism | best peer | | ratio | |\n|---|--:|--:|---|--:|---|")?;
    for table in tables {
        for (figure, what) in table.judged() {
            for (label, by) in [
                ("prism-tokio", ""),
                ("prism-rooms", ", by `prism-rooms`"),
                ("prism-axum", ", by `prism-axum`"),
            ] {
                let (Some(prism), Some(peer)) =
                    (table.value_of(label, figure), table.best_peer(figure))
                else {
                    continue;
                };
                write!(page, "| {}{by}: {what} |", table.cell.title)?;
                compare(page, prism, peer)?;
            }
        }
    }
    Ok(())
}

/// Writes the rest of a line of the summary.
fn compare(page: &mut String, prism: f64, (peer, best): (&str, f64)) -> fmt::Result {
    let ratio = prism / best;
    let verdict = match ratio {
        ratio if ratio > TIE => "behind",
        ratio if ratio * TIE < 1.0 => "ahead",
        _ => "tie",
    };
    let (prism, best) = (grouped(prism), grouped(best));
    writeln!(page, " {prism} | {best} | {peer} | {ratio:.2} | {verdict} |")
}
