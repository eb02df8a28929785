//! The cells: each is one kind of load.

use super::running::SERVER_CORE;
use crate::servers::{Mode, Server};

/// One kind of load.
#[derive(Debug)]
pub struct Cell {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    pub(super) kind: Kind,
    /// What the servers do.
    pub(super) mode: Mode,
    /// Arguments of the load generator: its mode, and what to send.
    load: &'static [&'static str],
}

/// The kind of load, and its group on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message in flight.
    Echo,
    /// Several messages in flight, so that gathering replies shows.
    DeepEcho,
    /// The same with compressed JSON.
    DeflateEcho,
    DeepDeflateEcho,
    DeflateBroadcast,
    DeflateMemory,
    /// The same over TLS.
    TlsEcho,
    TlsHandshakes,
    TlsMemory,
    Handshakes,
    Memory,
    /// All connections send at the same moment.
    Crowd,
    Broadcast,
    /// Prism alone, with one thread and with two.
    Threads,
}

/// All cells, in the order of the page.
pub const CELLS: &[Cell] = &[
    cell("echo-32-x1", "Echo 32 B", Kind::Echo, &["echo", "--payload", "32"]),
    cell("echo-512-x1", "Echo 512 B", Kind::Echo, &["echo", "--payload", "512"]),
    cell("echo-4K-x1", "Echo 4 KiB", Kind::Echo, &["echo", "--payload", "4096"]),
    cell("echo-64K-x1", "Echo 64 KiB", Kind::Echo, &["echo", "--payload", "65536"]),
    cell("echo-1M-x1", "Echo 1 MiB", Kind::Echo, &["echo", "--payload", "1048576"]),
    cell("text-64K-x1", "Echo text 64 KiB", Kind::Echo, &["echo", "--payload", "text-65536"]),
    cell(
        "echo-32-x16",
        "Echo 32 B, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "32", "--depth", "16"],
    ),
    cell(
        "echo-512-x16",
        "Echo 512 B, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "512", "--depth", "16"],
    ),
    cell(
        "echo-4K-x16",
        "Echo 4 KiB, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "4096", "--depth", "16"],
    ),
    cell("handshakes", "Handshakes", Kind::Handshakes, &["handshakes"]),
    cell(
        "broadcast-x1",
        "Broadcast to 1,000",
        Kind::Broadcast,
        &["broadcast", "--connections", "1000", "--payload", "512"],
    )
    .in_mode(Mode::Broadcast),
    cell(
        "broadcast-x16",
        "Broadcast to 1,000, 16 in flight",
        Kind::Broadcast,
        &["broadcast", "--connections", "1000", "--payload", "512", "--depth", "16"],
    )
    .in_mode(Mode::Broadcast),
    cell(
        "broadcast-10K-x1",
        "Broadcast to 10,000",
        Kind::Broadcast,
        &["broadcast", "--connections", "10000", "--payload", "512"],
    )
    .in_mode(Mode::Broadcast),
    cell(
        "broadcast-10K-x16",
        "Broadcast to 10,000, 16 in flight",
        Kind::Broadcast,
        &["broadcast", "--connections", "10000", "--payload", "512", "--depth", "16"],
    )
    .in_mode(Mode::Broadcast),
    cell(
        "threads-x1",
        "Echo 32 B with one thread and two",
        Kind::Threads,
        &["echo", "--payload", "32"],
    ),
    cell(
        "threads-x16",
        "Echo 32 B with one thread and two, 16 in flight",
        Kind::Threads,
        &["echo", "--payload", "32", "--depth", "16"],
    ),
    cell(
        "memory",
        "Memory per idle connection",
        Kind::Memory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    ),
    cell(
        "crowd",
        "Memory of a crowd that sends at the same moment",
        Kind::Crowd,
        &["crowd", "--connections", "4096", "--payload", "5"],
    ),
    cell(
        "deflate-1K-x1",
        "Compressed echo of 1 KiB",
        Kind::DeflateEcho,
        &["echo", "--payload", "1024"],
    )
    .in_mode(Mode::Deflate),
    cell(
        "deflate-64K-x1",
        "Compressed echo of 64 KiB",
        Kind::DeflateEcho,
        &["echo", "--payload", "65536"],
    )
    .in_mode(Mode::Deflate),
    cell(
        "takeover-1K-x1",
        "Compressed echo of 1 KiB, with context takeover",
        Kind::DeflateEcho,
        &["echo", "--payload", "1024"],
    )
    .in_mode(Mode::Takeover),
    cell(
        "takeover-64K-x1",
        "Compressed echo of 64 KiB, with context takeover",
        Kind::DeflateEcho,
        &["echo", "--payload", "65536"],
    )
    .in_mode(Mode::Takeover),
    cell(
        "deflate-1K-x16",
        "Compressed echo of 1 KiB, 16 in flight",
        Kind::DeepDeflateEcho,
        &["echo", "--payload", "1024", "--depth", "16"],
    )
    .in_mode(Mode::Deflate),
    cell(
        "deflate-64K-x16",
        "Compressed echo of 64 KiB, 16 in flight",
        Kind::DeepDeflateEcho,
        &["echo", "--payload", "65536", "--depth", "16"],
    )
    .in_mode(Mode::Deflate),
    cell(
        "deflate-broadcast",
        "Compressed broadcast to 1,000",
        Kind::DeflateBroadcast,
        &["broadcast", "--connections", "1000", "--payload", "1024"],
    )
    .in_mode(Mode::DeflateBroadcast),
    cell(
        "deflate-memory",
        "Memory per idle connection that compresses",
        Kind::DeflateMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Deflate),
    cell(
        "takeover-memory",
        "Memory per idle connection that compresses, with context takeover",
        Kind::DeflateMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Takeover),
    cell("tls-32-x1", "Echo 32 B over TLS", Kind::TlsEcho, &["echo", "--payload", "32"])
        .in_mode(Mode::Tls),
    cell("tls-4K-x1", "Echo 4 KiB over TLS", Kind::TlsEcho, &["echo", "--payload", "4096"])
        .in_mode(Mode::Tls),
    cell("tls-64K-x1", "Echo 64 KiB over TLS", Kind::TlsEcho, &["echo", "--payload", "65536"])
        .in_mode(Mode::Tls),
    cell("tls-full", "Full handshakes over TLS", Kind::TlsHandshakes, &["handshakes"])
        .in_mode(Mode::Tls),
    cell(
        "tls-resumed",
        "Resumed handshakes over TLS",
        Kind::TlsHandshakes,
        &["handshakes", "--resume"],
    )
    .in_mode(Mode::Tls),
    cell(
        "tls-memory",
        "Memory per idle connection over TLS",
        Kind::TlsMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Tls),
];

impl Cell {
    const fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Returns what is counted, in the singular.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Echo
            | Kind::DeepEcho
            | Kind::DeflateEcho
            | Kind::DeepDeflateEcho
            | Kind::TlsEcho
            | Kind::Threads => "message",
            Kind::Handshakes | Kind::TlsHandshakes => "handshake",
            Kind::Memory | Kind::DeflateMemory | Kind::TlsMemory | Kind::Crowd => "connection",
            Kind::Broadcast | Kind::DeflateBroadcast => "delivery",
        }
    }

    /// Returns whether the server can take part in this cell.
    #[must_use]
    pub fn admits(&self, server: &Server) -> bool {
        let bare = server.name.starts_with("bare");
        let takes_part = match self.kind {
            Kind::Echo
            | Kind::DeepEcho
            | Kind::TlsEcho
            | Kind::Handshakes
            | Kind::TlsHandshakes
            | Kind::Crowd => !bare,
            Kind::Threads => server.name == "prism-tokio" || server.has_two_threads(),
            _ => true,
        };
        takes_part && server.has(self.mode)
    }

    /// Returns whether the server differs from its plain variant in this cell.
    #[must_use]
    pub fn suits(&self, server: &Server) -> bool {
        match server.name {
            // It has larger buffers as well.
            "yawc-tuned" => !matches!(self.kind, Kind::Handshakes | Kind::TlsHandshakes),
            // They are compared with each other, and only if they are named.
            "prism-axum" | "axum-ws" => false,
            // The level does not matter.
            "prism-l1" | "prism-l3" | "prism-l6" => self.kind != Kind::DeflateMemory,
            name => {
                let is_deep = matches!(self.kind, Kind::DeepEcho | Kind::DeepDeflateEcho);
                (is_deep || !name.ends_with("-tuned"))
                    && (self.kind == Kind::Threads || !server.has_two_threads())
            }
        }
    }

    /// Returns which memory of a connection is measured, if the result is memory rather than time.
    #[must_use]
    pub fn memory(&self) -> Option<[&'static str; 2]> {
        match self.kind {
            _ if self.judges_both() => Some(["fresh", "after an echo"]),
            Kind::Crowd => Some(["at the peak", "beyond idle"]),
            _ => None,
        }
    }

    /// Returns whether both of those are compared. (A server that holds everything when it is idle needs
    /// nothing beyond that.)
    pub(super) fn judges_both(&self) -> bool {
        matches!(self.kind, Kind::Memory | Kind::DeflateMemory | Kind::TlsMemory)
    }

    /// Returns whether the length of compressed messages is part of the result.
    pub(super) fn has_lengths(&self) -> bool {
        matches!(self.kind, Kind::DeflateEcho | Kind::DeepDeflateEcho | Kind::DeflateBroadcast)
    }

    /// Returns the server's cores. (The load generator shares its core with the second of two threads,
    /// because that cell is about CPU time per message.)
    pub(super) fn server_cores(&self) -> &'static str {
        if self.kind == Kind::Threads { "0,1" } else { SERVER_CORE }
    }

    /// Returns the load generator's arguments, without address and process.
    pub(super) fn load(&self, server: &Server) -> (&'static str, Vec<&'static str>) {
        let (mode, rest) = self.load.split_first().expect("a mode");
        let mut rest = rest.to_vec();
        match self.mode {
            Mode::Deflate | Mode::DeflateBroadcast => rest.push("--deflate"),
            Mode::Takeover => rest.push("--takeover"),
            Mode::Tls if !rest.contains(&"--resume") => rest.push("--tls"),
            Mode::Tls | Mode::Echo | Mode::Broadcast | Mode::Attacked => {}
        }
        if self.judges_both() && server.name.starts_with("bare") {
            rest.push("--fresh"); // the server echoes nothing
        }
        (mode, rest)
    }
}

const fn cell(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    load: &'static [&'static str],
) -> Cell {
    Cell { name, title, kind, mode: Mode::Echo, load }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::SERVERS;

    #[test]
    fn prism_takes_part_in_each_cell() {
        for cell in CELLS {
            let mut servers =
                SERVERS.iter().filter(|server| cell.admits(server) && cell.suits(server));
            assert!(servers.any(|server| server.name == "prism-tokio"), "{}", cell.name);
        }
    }

    #[test]
    fn levels_are_compared_only_where_they_matter() {
        let server = |name| SERVERS.iter().find(|server| server.name == name).unwrap();
        let suits = |cell: &Cell, name| cell.admits(server(name)) && cell.suits(server(name));
        for cell in CELLS {
            let has_levels = matches!(cell.kind, Kind::DeflateEcho | Kind::DeepDeflateEcho);
            assert_eq!(suits(cell, "prism-l1"), has_levels, "{}", cell.name);
            assert_eq!(suits(cell, "prism-32K"), cell.mode == Mode::Takeover, "{}", cell.name);
        }
    }
}
