//! Prism's suite over real sockets: one text, run once on every runtime.
//!
//! ```text
//!   tokio.rs, smol.rs, async_std.rs
//!      ├──► runtimes/   block_on, spawn, pipe ...      what differs
//!      └──► suite/      the scenarios                  what does not
//!             └── support/   raw peers, a server to talk to, handlers that tell
//! ```
//!
//! A runtime's file names the adapter `prism` and what else differs `runtime`, and includes the
//! suite. A new test goes into the suite and needs no other line. The peers in it are plain
//! [`std::net::TcpStream`]s, so that Prism is not tested against itself only.
//!
//! `suite/interop/` has tungstenite as the peer, `interop/` those in other languages.
//!
//! Here are the parts that any program may use: a proxy through which things go wrong, frames
//! made by hand, what a process has, and processes that play a part. `soak/` is such a program: see `README.md`.

pub mod part;
pub mod process;
pub mod proxy;
pub mod raw;
