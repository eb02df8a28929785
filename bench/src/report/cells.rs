//! The cells, in the order of the page.

use super::cell::{Cell, Kind};
use crate::servers::Mode;

/// All cells, in the order of the page.
pub const CELLS: &[Cell] = &[
    Cell::new("echo-32-x1", "Echo 32 B", Kind::Echo, &["echo", "--payload", "32"]),
    Cell::new("echo-512-x1", "Echo 512 B", Kind::Echo, &["echo", "--payload", "512"]),
    Cell::new("echo-4K-x1", "Echo 4 KiB", Kind::Echo, &["echo", "--payload", "4096"]),
    Cell::new("echo-64K-x1", "Echo 64 KiB", Kind::Echo, &["echo", "--payload", "65536"]),
    Cell::new("echo-1M-x1", "Echo 1 MiB", Kind::Echo, &["echo", "--payload", "1048576"]),
    Cell::new("text-64K-x1", "Echo text 64 KiB", Kind::Echo, &["echo", "--payload", "text-65536"]),
    Cell::new(
        "echo-32-x16",
        "Echo 32 B, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "32", "--depth", "16"],
    ),
    Cell::new(
        "echo-512-x16",
        "Echo 512 B, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "512", "--depth", "16"],
    ),
    Cell::new(
        "echo-4K-x16",
        "Echo 4 KiB, 16 in flight",
        Kind::DeepEcho,
        &["echo", "--payload", "4096", "--depth", "16"],
    ),
    Cell::new(
        "one-x1",
        "Echo 32 B on one connection",
        Kind::Single,
        &["echo", "--connections", "1", "--payload", "32", "--poll"],
    ),
    Cell::new(
        "board-512",
        "Echo of a text of 5 B on 512 connections",
        Kind::Board,
        &["echo", "--connections", "512", "--payload", "text-5", "--poll", "--peak"],
    ),
    Cell::new(
        "board-4096",
        "Echo of a text of 5 B on 4,096 connections",
        Kind::Board,
        &["echo", "--connections", "4096", "--payload", "text-5", "--poll", "--peak"],
    ),
    Cell::new(
        "latency-50",
        "Echo 32 B at half of the slowest server's maximum",
        Kind::Latency,
        &["open-loop", "--connections", "1000", "--payload", "32"],
    )
    .at(0.5),
    Cell::new(
        "latency-80",
        "Echo 32 B at 80 % of the slowest server's maximum",
        Kind::Latency,
        &["open-loop", "--connections", "1000", "--payload", "32"],
    )
    .at(0.8),
    Cell::new("handshakes", "Handshakes", Kind::Handshakes, &["handshakes"]),
    Cell::new(
        "broadcast-x1",
        "Broadcast to 1,000",
        Kind::Broadcast,
        &["broadcast", "--connections", "1000", "--payload", "512"],
    )
    .in_mode(Mode::Broadcast),
    Cell::new(
        "broadcast-x16",
        "Broadcast to 1,000, 16 in flight",
        Kind::Broadcast,
        &["broadcast", "--connections", "1000", "--payload", "512", "--depth", "16"],
    )
    .in_mode(Mode::Broadcast),
    Cell::new(
        "broadcast-10K-x1",
        "Broadcast to 10,000",
        Kind::Broadcast,
        &["broadcast", "--connections", "10000", "--payload", "512"],
    )
    .in_mode(Mode::Broadcast),
    Cell::new(
        "broadcast-10K-x16",
        "Broadcast to 10,000, 16 in flight",
        Kind::Broadcast,
        &["broadcast", "--connections", "10000", "--payload", "512", "--depth", "16"],
    )
    .in_mode(Mode::Broadcast),
    Cell::new(
        "threads-x1",
        "Echo 32 B with one thread and two",
        Kind::Threads,
        &["echo", "--payload", "32"],
    ),
    Cell::new(
        "threads-x16",
        "Echo 32 B with one thread and two, 16 in flight",
        Kind::Threads,
        &["echo", "--payload", "32", "--depth", "16"],
    ),
    Cell::new(
        "memory",
        "Memory per idle connection",
        Kind::Memory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    ),
    Cell::new(
        "crowd",
        "Memory of a crowd that sends at the same moment",
        Kind::Crowd,
        &["crowd", "--connections", "4096", "--payload", "5"],
    ),
    Cell::new(
        "deflate-1K-x1",
        "Compressed echo of 1 KiB",
        Kind::DeflateEcho,
        &["echo", "--payload", "1024"],
    )
    .in_mode(Mode::Deflate),
    Cell::new(
        "deflate-64K-x1",
        "Compressed echo of 64 KiB",
        Kind::DeflateEcho,
        &["echo", "--payload", "65536"],
    )
    .in_mode(Mode::Deflate),
    Cell::new(
        "takeover-1K-x1",
        "Compressed echo of 1 KiB, with context takeover",
        Kind::DeflateEcho,
        &["echo", "--payload", "1024"],
    )
    .in_mode(Mode::Takeover),
    Cell::new(
        "takeover-64K-x1",
        "Compressed echo of 64 KiB, with context takeover",
        Kind::DeflateEcho,
        &["echo", "--payload", "65536"],
    )
    .in_mode(Mode::Takeover),
    Cell::new(
        "deflate-1K-x16",
        "Compressed echo of 1 KiB, 16 in flight",
        Kind::DeepDeflateEcho,
        &["echo", "--payload", "1024", "--depth", "16"],
    )
    .in_mode(Mode::Deflate),
    Cell::new(
        "deflate-64K-x16",
        "Compressed echo of 64 KiB, 16 in flight",
        Kind::DeepDeflateEcho,
        &["echo", "--payload", "65536", "--depth", "16"],
    )
    .in_mode(Mode::Deflate),
    Cell::new(
        "deflate-broadcast",
        "Compressed broadcast to 1,000",
        Kind::DeflateBroadcast,
        &["broadcast", "--connections", "1000", "--payload", "1024"],
    )
    .in_mode(Mode::DeflateBroadcast),
    Cell::new(
        "deflate-memory",
        "Memory per idle connection that compresses",
        Kind::DeflateMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Deflate),
    Cell::new(
        "takeover-memory",
        "Memory per idle connection that compresses, with context takeover",
        Kind::DeflateMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Takeover),
    Cell::new("tls-32-x1", "Echo 32 B over TLS", Kind::TlsEcho, &["echo", "--payload", "32"])
        .in_mode(Mode::Tls),
    Cell::new("tls-4K-x1", "Echo 4 KiB over TLS", Kind::TlsEcho, &["echo", "--payload", "4096"])
        .in_mode(Mode::Tls),
    Cell::new("tls-64K-x1", "Echo 64 KiB over TLS", Kind::TlsEcho, &["echo", "--payload", "65536"])
        .in_mode(Mode::Tls),
    Cell::new("tls-full", "Full handshakes over TLS", Kind::TlsHandshakes, &["handshakes"])
        .in_mode(Mode::Tls),
    Cell::new(
        "tls-resumed",
        "Resumed handshakes over TLS",
        Kind::TlsHandshakes,
        &["handshakes", "--resume"],
    )
    .in_mode(Mode::Tls),
    Cell::new(
        "tls-memory",
        "Memory per idle connection over TLS",
        Kind::TlsMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    )
    .in_mode(Mode::Tls),
    Cell::new("axum-32-x1", "Echo 32 B under axum", Kind::AxumEcho, &["echo", "--payload", "32"]),
    Cell::new(
        "axum-64K-x1",
        "Echo 64 KiB under axum",
        Kind::AxumEcho,
        &["echo", "--payload", "65536"],
    ),
    Cell::new(
        "axum-32-x16",
        "Echo 32 B under axum, 16 in flight",
        Kind::DeepAxumEcho,
        &["echo", "--payload", "32", "--depth", "16"],
    ),
    Cell::new(
        "axum-64K-x16",
        "Echo 64 KiB under axum, 16 in flight",
        Kind::DeepAxumEcho,
        &["echo", "--payload", "65536", "--depth", "16"],
    ),
    Cell::new(
        "axum-memory",
        "Memory per idle connection under axum",
        Kind::AxumMemory,
        &["memory", "--connections", "2000", "--payload", "16384"],
    ),
    Cell::new(
        "http2-memory-x1",
        "One stream on each connection",
        Kind::Http2Memory,
        &["memory", "--connections", "2000", "--payload", "16384", "--http2", "1"],
    ),
    Cell::new(
        "http2-memory-x100",
        "100 streams on each connection",
        Kind::Http2Memory,
        &["memory", "--connections", "2000", "--payload", "16384", "--http2", "100"],
    ),
    Cell::new(
        "http2-stalled-1K",
        "Messages of 1 KiB",
        Kind::Http2Stalled,
        &["stalled", "--connections", "200", "--payload", "1024", "--http2", "1"],
    )
    .in_mode(Mode::Repeat),
    Cell::new(
        "http2-stalled-64K",
        "Messages of 64 KiB",
        Kind::Http2Stalled,
        &["stalled", "--connections", "200", "--payload", "65536", "--http2", "1"],
    )
    .in_mode(Mode::Repeat),
];

/// Finds the maximum of a server, for the cells with a fixed rate.
pub(super) const MAXIMUM: Cell = Cell::new(
    "latency-maximum",
    "Echo 32 B on 1,000 connections",
    Kind::Echo,
    &["echo", "--connections", "1000", "--payload", "32", "--poll"],
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::SERVERS;

    #[test]
    fn prism_takes_part_in_each_cell() {
        for cell in CELLS {
            let mut servers =
                SERVERS.iter().filter(|server| cell.admits(server) && cell.suits(server));
            assert!(servers.any(|server| server.name.starts_with("prism")), "{}", cell.name);
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
