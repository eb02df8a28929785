//! What is measured: one cell is one kind of load.

use crate::servers::Server;

/// One kind of load.
#[derive(Debug)]
pub struct Cell {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for a heading.
    pub title: &'static str,
    /// What is counted, in the singular.
    pub unit: &'static str,
    pub(super) kind: Kind,
    /// Arguments of the load generator: its mode, and what to send.
    load: &'static [&'static str],
}

/// What is done, and which group of the page it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One message under way.
    Echo,
    /// Several, so that servers which gather replies can show it.
    DeepEcho,
    Handshakes,
    Memory,
    Broadcast,
}

/// All of them, in the order of the page.
pub const CELLS: &[Cell] = &[
    echo("echo-32-x1", "Echo 32 B", &["echo", "--payload", "32"]),
    echo("echo-512-x1", "Echo 512 B", &["echo", "--payload", "512"]),
    echo("echo-4K-x1", "Echo 4 KiB", &["echo", "--payload", "4096"]),
    echo("echo-64K-x1", "Echo 64 KiB", &["echo", "--payload", "65536"]),
    echo("echo-1M-x1", "Echo 1 MiB", &["echo", "--payload", "1048576"]),
    echo("text-64K-x1", "Echo text 64 KiB", &["echo", "--payload", "text-65536"]),
    deep("echo-32-x16", "Echo 32 B, 16 in flight", &["echo", "--payload", "32", "--depth", "16"]),
    deep(
        "echo-512-x16",
        "Echo 512 B, 16 in flight",
        &["echo", "--payload", "512", "--depth", "16"],
    ),
    deep(
        "echo-4K-x16",
        "Echo 4 KiB, 16 in flight",
        &["echo", "--payload", "4096", "--depth", "16"],
    ),
    Cell {
        name: "handshakes",
        title: "Handshakes",
        unit: "handshake",
        kind: Kind::Handshakes,
        load: &["handshakes"],
    },
    broadcast("broadcast-x1", "Broadcast to 1,000", "1"),
    broadcast("broadcast-x16", "Broadcast to 1,000, 16 in flight", "16"),
    Cell {
        name: "memory",
        title: "Memory per idle connection",
        unit: "connection",
        kind: Kind::Memory,
        load: &["memory", "--connections", "2000", "--payload", "16384"],
    },
];

impl Cell {
    /// Whether the server takes part in this.
    #[must_use]
    pub fn admits(&self, server: &Server) -> bool {
        let bare = server.name.starts_with("bare");
        match self.kind {
            Kind::Echo | Kind::DeepEcho | Kind::Handshakes => !bare,
            Kind::Memory => true,
            Kind::Broadcast => server.broadcast.is_some(),
        }
    }

    /// Whether it has something to show in this that its plain variant has not.
    #[must_use]
    pub fn suits(&self, server: &Server) -> bool {
        match server.name {
            // It has larger buffers as well.
            "yawc-tuned" => self.kind != Kind::Handshakes,
            // One shard is what Prism on tokio is.
            "prism-tokio-sharded" => false,
            name => self.kind == Kind::DeepEcho || !name.ends_with("-tuned"),
        }
    }

    /// Whether the outcome is memory, rather than time.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.kind == Kind::Memory
    }

    /// Whether the server runs in its broadcast mode.
    pub(super) fn is_broadcast(&self) -> bool {
        self.kind == Kind::Broadcast
    }

    /// The load generator's arguments, without address and process.
    pub(super) fn load(&self, server: &Server) -> (&'static str, Vec<&'static str>) {
        let (mode, rest) = self.load.split_first().expect("a mode");
        let mut rest = rest.to_vec();
        if self.is_memory() && server.name.starts_with("bare") {
            rest.push("--fresh"); // it echoes nothing
        }
        (mode, rest)
    }
}

const fn echo(name: &'static str, title: &'static str, load: &'static [&'static str]) -> Cell {
    Cell { name, title, unit: "message", kind: Kind::Echo, load }
}

const fn deep(name: &'static str, title: &'static str, load: &'static [&'static str]) -> Cell {
    Cell { name, title, unit: "message", kind: Kind::DeepEcho, load }
}

const fn broadcast(name: &'static str, title: &'static str, depth: &'static str) -> Cell {
    let load: &'static [&'static str] = match depth.as_bytes() {
        b"16" => &["broadcast", "--connections", "1000", "--payload", "512", "--depth", "16"],
        _ => &["broadcast", "--connections", "1000", "--payload", "512"],
    };
    Cell { name, title, unit: "delivery", kind: Kind::Broadcast, load }
}
