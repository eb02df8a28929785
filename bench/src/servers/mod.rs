//! One server for each library, all with the same structure. [`run`] starts one by its name in [`SERVERS`].

use std::{io, net::SocketAddr};

mod attacked;
mod authorizing;
mod bare;
#[cfg(feature = "peers")]
mod echo;
#[cfg(feature = "peers")]
mod fastwebsockets;
mod floor;
#[cfg(feature = "peers")]
mod hub;
#[cfg(feature = "peers")]
mod hyper_upgrade;
mod on_tokio;
mod prism;
#[cfg(feature = "peers")]
mod sockudo;
#[cfg(feature = "peers")]
mod tokio_websockets;
#[cfg(feature = "peers")]
mod tungstenite;
#[cfg(feature = "peers")]
mod wtx;
#[cfg(feature = "peers")]
mod yawc;

/// The largest message that each accepts, where it is configurable.
const MAX_MESSAGE: usize = 64 << 20;

/// Starts a server, with its address and its number of threads.
pub type Run = fn(&str, usize) -> io::Result<()>;

/// A server program in this package.
pub struct Server {
    /// Its name on the command line and in the tables.
    pub name: &'static str,
    /// Echoes until the process ends, if the server can.
    pub echo: Option<Run>,
    /// Sends each message to all connections, if the server can.
    pub broadcast: Option<Run>,
    /// Does something else, as a target of attacks.
    pub attacked: Option<Run>,
}

/// All servers.
pub const SERVERS: &[Server] = &[
    Server::new("prism-tokio", prism::echo_on_tokio).with_broadcast(prism::broadcast_on_tokio),
    Server::new("prism-tokio-2", |address, _| prism::echo_on_tokio(address, 2)),
    Server::new("prism-tokio-sharded-2", |address, _| prism::echo_sharded_on_tokio(address, 2)),
    Server::that_broadcasts("prism-rooms", prism::rooms_on_tokio),
    Server::that_is_attacked("prism-busy", attacked::busy),
    Server::that_is_attacked("prism-page", attacked::page),
    Server::that_is_attacked("prism-presence", attacked::presence),
    Server::that_is_attacked("prism-authorize-tokio", authorizing::on_tokio),
    Server::that_is_attacked("prism-authorize-smol", authorizing::on_smol),
    Server::new("prism-smol", prism::echo_on_smol),
    Server::new("prism-async-std", prism::echo_on_async_std),
    Server::new("floor-tokio", floor::echo).with_broadcast(floor::broadcast),
    Server::new("bare-tokio", bare::on_tokio),
    Server::new("bare-smol", bare::on_smol),
    Server::new("bare-async-std", bare::on_async_std),
    #[cfg(feature = "peers")]
    Server::new("fastwebsockets", fastwebsockets::echo),
    #[cfg(feature = "peers")]
    Server::new("sockudo-ws", sockudo::echo),
    #[cfg(feature = "peers")]
    Server::new("sockudo-ws-tuned", sockudo::echo_tuned),
    #[cfg(feature = "peers")]
    Server::new("tokio-tungstenite", tungstenite::echo).with_broadcast(tungstenite::broadcast),
    #[cfg(feature = "peers")]
    Server::that_broadcasts("tokio-tungstenite-split", tungstenite::broadcast_split),
    #[cfg(feature = "peers")]
    Server::new("tokio-tungstenite-tuned", tungstenite::echo_tuned),
    #[cfg(feature = "peers")]
    Server::new("tokio-websockets", tokio_websockets::echo)
        .with_broadcast(tokio_websockets::broadcast),
    #[cfg(feature = "peers")]
    Server::that_broadcasts("tokio-websockets-split", tokio_websockets::broadcast_split),
    #[cfg(feature = "peers")]
    Server::new("tokio-websockets-tuned", tokio_websockets::echo_tuned),
    #[cfg(feature = "peers")]
    Server::new("wtx", wtx::echo),
    #[cfg(feature = "peers")]
    Server::new("yawc", yawc::echo),
    #[cfg(feature = "peers")]
    Server::new("yawc-tuned", yawc::echo_tuned),
];

/// Runs a server forever, in the requested mode.
///
/// # Errors
/// If no server has this name and mode, or it cannot listen.
pub fn run(name: &str, address: &str, threads: usize, broadcast: bool) -> io::Result<()> {
    let unknown = || io::Error::other(format!("no such server, or not in that mode: {name}"));
    let server = SERVERS.iter().find(|server| server.name == name).ok_or_else(unknown)?;
    let run = if broadcast { server.broadcast } else { server.echo.or(server.attacked) };
    let run = run.ok_or_else(unknown)?;
    run(address, threads)
}

impl Server {
    const fn new(name: &'static str, echo: Run) -> Self {
        Self { name, echo: Some(echo), broadcast: None, attacked: None }
    }

    const fn that_broadcasts(name: &'static str, run: Run) -> Self {
        Self { name, echo: None, broadcast: Some(run), attacked: None }
    }

    const fn that_is_attacked(name: &'static str, run: Run) -> Self {
        Self { name, echo: None, broadcast: None, attacked: Some(run) }
    }

    /// Returns whether it is a variant with two threads, to be compared with one thread.
    #[must_use]
    pub fn has_two_threads(&self) -> bool {
        self.name.ends_with("-2")
    }

    const fn with_broadcast(mut self, run: Run) -> Self {
        self.broadcast = Some(run);
        self
    }
}

/// Prints the address, for the process that started this one.
fn announce(address: SocketAddr) {
    println!("listening on {address}");
}
