//! The test suite over real sockets. It is written once and runs on every runtime.
//!
//! ```text
//!   tokio.rs, smol.rs, async_std.rs
//!      ├──► runtimes/   block_on, spawn, pipe ...      what differs
//!      └──► suite/      the scenarios                  what does not
//!             └── support/   raw peers, test servers, recording handlers
//! ```
//!
//! The file of a runtime imports its adapter as `prism` and the rest as `runtime`, and includes the
//! suite. A new test goes into the suite and runs on every runtime without further changes. Most
//! peers are plain [`std::net::TcpStream`]s, so that Prism is not only tested against itself.
//!
//! `suite/interop/` tests against tungstenite, `interop/` against libraries in other languages, for
//! some of which `echo_endpoint/` is the other end. `compile/` is a package of its own: what the
//! compiler accepts of Prism's users, and how it explains what it does not.
//!
//! This library holds what other programs share: a fault-injecting proxy, hand-made frames, process
//! statistics and subprocesses. `soak/` is one of these programs: see `README.md`. `security.rs` compares
//! `SECURITY.md` with the code.

pub mod broker_process;
pub mod nats_server;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis_server;
pub mod sentinels;
pub mod subprocess;
