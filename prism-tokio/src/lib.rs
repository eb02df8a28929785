//! WebSocket servers and clients on tokio.
//!
//! An echo server is a handler, and a server that gives it a route:
//!
//! ```no_run
//! use prism_tokio::{Connection, Handler, Message, Server};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let _ = connection.send(message).await; // fails only if the connection is closing
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     Server::bind("127.0.0.1:8080").await?.websocket("/ws", Echo).serve().await;
//!     Ok(())
//! }
//! ```
//!
//! A client runs a handler too ([`Client::run`]), or sends and receives by itself:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let socket = prism_tokio::connect("ws://127.0.0.1:8080/ws").await?;
//! socket.send("hello").await?;
//! println!("{:?}", socket.recv().await?);
//! # Ok(()) }
//! ```
//!
//! What a handler may rely on is [the contract](prism_driver#the-contract).

mod io;
mod runtime;
mod shards;
mod tcp;

pub use prism_driver::*;
use tokio::io::{AsyncRead, AsyncWrite};

pub use crate::{io::Io, runtime::Tokio, shards::serve_sharded, tcp::Tcp};

/// A server of WebSocket routes, and of plain pages beside them, on tokio.
pub type Server = prism_driver::Server<Tokio>;

/// What to connect to, and how, on tokio.
pub type Client = prism_driver::Client<Tokio>;

/// Opens a connection to an address such as `ws://example.org/chat`. For headers, sub-protocols,
/// limits, or to run a handler, see [`Client`].
///
/// # Errors
/// If the URL is invalid, or the server cannot be reached, refuses, or is not a WebSocket server.
pub async fn connect(url: &str) -> Result<Socket, ConnectError> {
    Client::new(url)?.connect().await
}

/// Does a server's handshake on a connected stream of any kind, then runs the handler on it until
/// the connection is over. No origin is checked and no server's limit is kept: see
/// [`prism_driver::serve_stream`].
///
/// # Errors
/// If the peer sent no valid handshake; it has been told why.
pub async fn serve_stream<T>(
    stream: T,
    options: &Options,
    handler: &impl Handler,
) -> Result<Disconnect, AcceptError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    prism_driver::serve_stream(Tokio, Io(stream), options, handler).await
}

/// Runs the handler on a stream whose handshake somebody else has done, such as a web framework;
/// `path` is what [`Connection::path`] will say. It returns when the transport has ended too: see
/// [`prism_driver::serve_stream`].
pub async fn serve_upgraded<T>(
    stream: T,
    path: &str,
    options: &Options,
    handler: &impl Handler,
) -> Disconnect
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    prism_driver::serve_upgraded(Tokio, Io(stream), path, options, handler).await
}

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
