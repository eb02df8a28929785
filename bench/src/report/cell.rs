//! [`Cell`]: one kind of load.

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
    /// The rate, as a share of the slowest server's maximum, if it is fixed.
    pub share: Option<f64>,
}

/// The kind of load, and its group on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message in flight.
    Echo,
    /// One connection, with one message in flight.
    Single,
    /// A short text on many connections, in the shape of a public leaderboard, and the memory for it.
    Board,
    /// A fixed rate, and how long messages take.
    Latency,
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
    /// The same under axum, and by Prism's own server.
    AxumEcho,
    DeepAxumEcho,
    AxumMemory,
    /// WebSockets on streams of HTTP/2, under axum.
    Http2Memory,
    /// The same with clients that do not read.
    Http2Stalled,
    Handshakes,
    Memory,
    /// All connections send at the same moment.
    Crowd,
    Broadcast,
    /// Prism alone, with one thread and with two.
    Threads,
}

impl Cell {
    /// Creates a cell in which servers echo without compression.
    pub(super) const fn new(
        name: &'static str,
        title: &'static str,
        kind: Kind,
        load: &'static [&'static str],
    ) -> Self {
        Self { name, title, kind, mode: Mode::Echo, load, share: None }
    }

    pub(super) const fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Puts load on the server at a fixed rate, which is this share of the slowest server's maximum.
    pub(super) const fn at(mut self, share: f64) -> Self {
        self.share = Some(share);
        self
    }

    /// Returns what is counted, in the singular.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Echo
            | Kind::Single
            | Kind::Board
            | Kind::Latency
            | Kind::DeepEcho
            | Kind::DeflateEcho
            | Kind::DeepDeflateEcho
            | Kind::TlsEcho
            | Kind::AxumEcho
            | Kind::DeepAxumEcho
            | Kind::Threads => "message",
            Kind::Handshakes | Kind::TlsHandshakes => "handshake",
            Kind::Memory
            | Kind::DeflateMemory
            | Kind::TlsMemory
            | Kind::AxumMemory
            | Kind::Http2Memory
            | Kind::Http2Stalled
            | Kind::Crowd => "connection",
            Kind::Broadcast | Kind::DeflateBroadcast => "delivery",
        }
    }

    /// Returns whether the server can take part in this cell.
    #[must_use]
    pub fn admits(&self, server: &Server) -> bool {
        let (bare, axum) = (server.name.starts_with("bare"), server.is_under_axum());
        let takes_part = match self.kind {
            Kind::Echo
            | Kind::Single
            | Kind::Board
            | Kind::Latency
            | Kind::DeepEcho
            | Kind::TlsEcho
            | Kind::Handshakes
            | Kind::TlsHandshakes
            | Kind::Crowd => !bare && !axum,
            Kind::Threads => server.name == "prism-tokio" || server.has_two_threads(),
            Kind::AxumEcho | Kind::DeepAxumEcho | Kind::AxumMemory => {
                axum || server.name == "prism-tokio"
            }
            Kind::Http2Memory | Kind::Http2Stalled => axum,
            _ => !axum,
        };
        takes_part && server.has(self.mode)
    }

    /// Returns whether the server differs from its plain variant in this cell.
    #[must_use]
    pub fn suits(&self, server: &Server) -> bool {
        match server.name {
            // It has larger buffers as well.
            "yawc-tuned" => !matches!(self.kind, Kind::Handshakes | Kind::TlsHandshakes),
            // With more connections, there is always something to do.
            "prism-tokio-spin" | "prism-smol-spin" => self.kind == Kind::Single,
            // The level does not matter.
            "prism-l1" | "prism-l3" | "prism-l6" => self.kind != Kind::DeflateMemory,
            name => {
                let is_deep = matches!(
                    self.kind,
                    Kind::DeepEcho | Kind::DeepDeflateEcho | Kind::DeepAxumEcho
                );
                (is_deep || !name.ends_with("-tuned"))
                    && (self.kind == Kind::Threads || !server.has_two_threads())
            }
        }
    }

    /// Returns which memory of a connection is measured, if the result is memory rather than time.
    #[must_use]
    pub fn memory(&self) -> Option<[&'static str; 2]> {
        match self.kind {
            Kind::Http2Stalled => Some(["idle", "stalled"]),
            _ if self.judges_both() => Some(["fresh", "after an echo"]),
            Kind::Crowd => Some(["at the peak", "beyond idle"]),
            _ => None,
        }
    }

    /// Returns whether both of those are compared. (A server that holds everything when it is idle needs
    /// nothing beyond that.)
    pub(super) fn judges_both(&self) -> bool {
        matches!(
            self.kind,
            Kind::Memory
                | Kind::DeflateMemory
                | Kind::TlsMemory
                | Kind::AxumMemory
                | Kind::Http2Memory
                | Kind::Http2Stalled
        )
    }

    /// Returns whether the result is how long messages take.
    pub(super) fn is_latency(&self) -> bool {
        self.kind == Kind::Latency
    }

    /// Returns whether the memory at the peak is part of the result.
    pub(super) fn has_peak(&self) -> bool {
        self.kind == Kind::Board
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
            Mode::Tls | Mode::Echo | Mode::Broadcast | Mode::Repeat | Mode::Attacked => {}
        }
        if self.judges_both() && server.name.starts_with("bare") {
            rest.push("--fresh"); // the server echoes nothing
        }
        (mode, rest)
    }
}
