//! One server for each library, all with the same structure. [`run`] starts one by its name in [`SERVERS`].

use std::{io, net::SocketAddr};

mod attacked;
mod authorizing;
#[cfg(feature = "peers")]
mod axum_ws;
mod bare;
#[cfg(feature = "peers")]
mod echo;
#[cfg(feature = "peers")]
mod fastwebsockets;
pub(crate) mod floor;
#[cfg(feature = "peers")]
mod hub;
#[cfg(feature = "peers")]
mod hyper_upgrade;
mod on_axum;
pub(crate) mod on_tokio;
mod other_program;
mod prism;
mod prism_axum;
#[cfg(feature = "peers")]
mod sockudo;
mod tls;
#[cfg(feature = "peers")]
mod tokio_websockets;
#[cfg(feature = "peers")]
mod tungstenite;
#[cfg(feature = "peers")]
mod wtx;
#[cfg(feature = "peers")]
mod yawc;

pub use self::other_program::OtherProgram;

/// The largest message that each accepts, where it is configurable.
const MAX_MESSAGE: usize = 64 << 20;

/// Starts a server, with its address and its number of threads.
pub type Run = fn(&str, usize) -> io::Result<()>;

/// What a server does until the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Echoes each message, without compression.
    Echo,
    /// Sends each message to all connections.
    Broadcast,
    /// Echoes each message, compressed, without context takeover if the client wants that.
    Deflate,
    /// Echoes each message, compressed, with context takeover.
    Takeover,
    /// Sends each message to all connections, compressed, without context takeover if the client wants that.
    DeflateBroadcast,
    /// Echoes each message, over TLS.
    Tls,
    /// Sends the first message again and again.
    Repeat,
    /// Does something else, as a target of attacks.
    Attacked,
}

/// A server program in this package.
pub struct Server {
    /// Its name on the command line and in the tables.
    pub name: &'static str,
    modes: [Option<Run>; Mode::COUNT],
    /// The program that it needs, if it is not in this package.
    pub program: Option<OtherProgram>,
}

/// All servers.
pub const SERVERS: &[Server] = &[
    Server::new("prism-tokio", prism::echo_on_tokio)
        .with(Mode::Tls, prism::tls_on_tokio)
        .with(Mode::Broadcast, prism::broadcast_on_tokio)
        .with(Mode::Deflate, |address, threads| prism::deflate_on_tokio(address, threads, 2))
        .with(Mode::Takeover, |address, threads| prism::takeover_on_tokio(address, threads, 2))
        .with(Mode::DeflateBroadcast, prism::deflate_broadcast_on_tokio),
    Server::that("prism-l1")
        .with(Mode::Deflate, |address, threads| prism::deflate_on_tokio(address, threads, 1))
        .with(Mode::Takeover, |address, threads| prism::takeover_on_tokio(address, threads, 1)),
    Server::that("prism-l3")
        .with(Mode::Deflate, |address, threads| prism::deflate_on_tokio(address, threads, 3))
        .with(Mode::Takeover, |address, threads| prism::takeover_on_tokio(address, threads, 3)),
    Server::that("prism-l6")
        .with(Mode::Deflate, |address, threads| prism::deflate_on_tokio(address, threads, 6))
        .with(Mode::Takeover, |address, threads| prism::takeover_on_tokio(address, threads, 6)),
    Server::that("prism-32K").with(Mode::Takeover, prism::large_takeover_on_tokio),
    Server::new("prism-tokio-2", |address, _| prism::echo_on_tokio(address, 2)),
    Server::new("prism-tokio-sharded-2", |address, _| prism::echo_sharded_on_tokio(address, 2)),
    Server::new("prism-tokio-spin", prism::spin_on_tokio),
    Server::that("prism-loop").with(Mode::Broadcast, prism::loop_on_tokio),
    Server::that("prism-rooms")
        .with(Mode::Broadcast, prism::rooms_on_tokio)
        .with(Mode::DeflateBroadcast, prism::deflate_rooms_on_tokio),
    Server::that("prism-busy").with(Mode::Attacked, attacked::busy),
    Server::that("prism-page").with(Mode::Attacked, attacked::page),
    Server::that("prism-presence").with(Mode::Attacked, attacked::presence),
    Server::that("prism-authorize-tokio").with(Mode::Attacked, authorizing::on_tokio),
    Server::that("prism-authorize-smol").with(Mode::Attacked, authorizing::on_smol),
    Server::new("prism-smol", prism::echo_on_smol)
        .with(Mode::Tls, prism::tls_on_smol)
        .with(Mode::Deflate, prism::deflate_on_smol),
    Server::new("prism-smol-spin", prism::spin_on_smol),
    Server::new("prism-async-std", prism::echo_on_async_std)
        .with(Mode::Tls, prism::tls_on_async_std)
        .with(Mode::Deflate, prism::deflate_on_async_std),
    Server::new("prism-axum", prism_axum::echo).with(Mode::Repeat, prism_axum::repeat),
    #[cfg(feature = "peers")]
    Server::new("axum-ws", axum_ws::echo).with(Mode::Repeat, axum_ws::repeat),
    #[cfg(feature = "peers")]
    Server::new("axum-ws-tuned", axum_ws::echo_tuned),
    Server::new("floor-tokio", floor::echo).with(Mode::Broadcast, floor::broadcast),
    Server::new("bare-tokio", bare::on_tokio).with(Mode::Tls, bare::tls_on_tokio),
    Server::new("bare-smol", bare::on_smol).with(Mode::Tls, bare::tls_on_smol),
    Server::new("bare-async-std", bare::on_async_std).with(Mode::Tls, bare::tls_on_async_std),
    Server::new("actix-ws", other_program::actix_ws).by(other_program::ACTIX_WS),
    Server::new("bun", other_program::bun)
        .by(other_program::BUN)
        .with(Mode::Broadcast, other_program::bun_broadcast),
    Server::new("uwebsockets", other_program::uwebsockets)
        .by(other_program::UWEBSOCKETS)
        .with(Mode::Broadcast, other_program::uwebsockets_broadcast)
        .with(Mode::Deflate, other_program::uwebsockets_deflate)
        .with(Mode::Takeover, other_program::uwebsockets_takeover)
        .with(Mode::DeflateBroadcast, other_program::uwebsockets_deflate_broadcast),
    #[cfg(feature = "peers")]
    Server::new("fastwebsockets", fastwebsockets::echo),
    #[cfg(feature = "peers")]
    Server::new("sockudo-ws", sockudo::echo)
        .with(Mode::Tls, sockudo::tls)
        .with(Mode::Deflate, sockudo::deflate)
        .with(Mode::Takeover, sockudo::takeover)
        .with(Mode::DeflateBroadcast, sockudo::deflate_broadcast),
    #[cfg(feature = "peers")]
    Server::new("sockudo-ws-tuned", sockudo::echo_tuned)
        .with(Mode::Deflate, sockudo::deflate_tuned)
        .with(Mode::Takeover, sockudo::takeover_tuned),
    #[cfg(feature = "peers")]
    Server::new("tokio-tungstenite", tungstenite::echo)
        .with(Mode::Tls, tungstenite::tls)
        .with(Mode::Broadcast, tungstenite::broadcast),
    #[cfg(feature = "peers")]
    Server::that("tokio-tungstenite-split").with(Mode::Broadcast, tungstenite::broadcast_split),
    #[cfg(feature = "peers")]
    Server::new("tokio-tungstenite-tuned", tungstenite::echo_tuned),
    #[cfg(feature = "peers")]
    Server::new("tokio-websockets", tokio_websockets::echo)
        .with(Mode::Broadcast, tokio_websockets::broadcast),
    #[cfg(feature = "peers")]
    Server::that("tokio-websockets-split").with(Mode::Broadcast, tokio_websockets::broadcast_split),
    #[cfg(feature = "peers")]
    Server::new("tokio-websockets-tuned", tokio_websockets::echo_tuned),
    #[cfg(feature = "peers")]
    Server::new("wtx", wtx::echo).with(Mode::Deflate, wtx::deflate),
    #[cfg(feature = "peers")]
    Server::new("yawc", yawc::echo)
        .with(Mode::Tls, yawc::tls)
        .with(Mode::Deflate, yawc::compressed)
        .with(Mode::Takeover, yawc::compressed)
        .with(Mode::DeflateBroadcast, yawc::compressed_broadcast),
    #[cfg(feature = "peers")]
    Server::that("yawc-pool")
        .with(Mode::Deflate, yawc::pooled)
        .with(Mode::DeflateBroadcast, yawc::pooled_broadcast),
    #[cfg(feature = "peers")]
    Server::new("yawc-tuned", yawc::echo_tuned)
        .with(Mode::Tls, yawc::tls_tuned)
        .with(Mode::Deflate, yawc::compressed_tuned)
        .with(Mode::Takeover, yawc::compressed_tuned),
];

/// Runs a server forever, in the requested mode.
///
/// # Errors
/// If no server has this name and mode, or it cannot listen.
pub fn run(name: &str, address: &str, threads: usize, mode: Mode) -> io::Result<()> {
    let unknown = || io::Error::other(format!("no such server, or not in that mode: {name}"));
    let server = SERVERS.iter().find(|server| server.name == name).ok_or_else(unknown)?;
    let attacked = server.modes[Mode::Attacked as usize].filter(|_| mode == Mode::Echo);
    let run = server.modes[mode as usize].or(attacked).ok_or_else(unknown)?;
    run(address, threads)
}

impl Mode {
    const COUNT: usize = 8;

    /// The modes that have to be named on the command line.
    const NAMED: [(&str, Self); 6] = [
        ("--broadcast", Self::Broadcast),
        ("--deflate", Self::Deflate),
        ("--takeover", Self::Takeover),
        ("--deflate-broadcast", Self::DeflateBroadcast),
        ("--tls", Self::Tls),
        ("--repeat", Self::Repeat),
    ];

    /// Returns the mode with this name on the command line.
    #[must_use]
    pub fn named(argument: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(name, _)| *name == argument).map(|(_, mode)| *mode)
    }

    /// Returns its name on the command line; `None` for a mode that needs none, because no server has both of
    /// those.
    #[must_use]
    pub fn argument(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, mode)| *mode == self).map(|(name, _)| *name)
    }
}

impl Server {
    /// Creates a server that echoes.
    const fn new(name: &'static str, echo: Run) -> Self {
        Self::that(name).with(Mode::Echo, echo)
    }

    /// Creates a server that does nothing yet.
    const fn that(name: &'static str) -> Self {
        Self { name, modes: [None; Mode::COUNT], program: None }
    }

    const fn by(mut self, program: OtherProgram) -> Self {
        self.program = Some(program);
        self
    }

    /// Returns whether everything that it needs has been built.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.program.is_none_or(OtherProgram::is_there)
    }

    const fn with(mut self, mode: Mode, run: Run) -> Self {
        self.modes[mode as usize] = Some(run);
        self
    }

    /// Returns whether it has this mode.
    #[must_use]
    pub fn has(&self, mode: Mode) -> bool {
        self.modes[mode as usize].is_some()
    }

    /// Returns whether its HTTP is that of axum, in version 1.1 and 2.
    #[must_use]
    pub fn is_under_axum(&self) -> bool {
        self.name.contains("axum")
    }

    /// Returns whether it is a variant with two threads, to be compared with one thread.
    #[must_use]
    pub fn has_two_threads(&self) -> bool {
        self.name.ends_with("-2")
    }
}

/// Prints the address, for the process that started this one.
pub(crate) fn announce(address: SocketAddr) {
    println!("listening on {address}");
}
