//! WebSocket servers and clients on smol.
//!
//! An echo server consists of a handler and a server with a route to it:
//!
//! ```no_run
//! use prism_smol::{Connection, Handler, Message, Server};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let _ = connection.send(message).await; // fails only if the connection is closing
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     smol::block_on(async {
//!         Server::bind("127.0.0.1:8080").await?.websocket("/ws", Echo).serve().await;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Its connections run on smol's global executor, which has one thread by default. [`Smol`] shows how to use more.
//!
//! A client can run a handler as well ([`Client::run`]), or you can send and receive messages yourself:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use prism_smol::connect;
//!
//! let socket = connect("ws://127.0.0.1:8080/ws").await?;
//! socket.send("hello").await?;
//! println!("{:?}", socket.recv().await?);
//! # Ok(()) }
//! ```
//!
//! Next steps:
//!
//! - [The guides](#guides) explain one topic each, such as state, slow consumers, or shutting down.
//! - [The examples](#examples) are whole programs.
//! - [The contract](#the-contract) states what a handler may rely on.
//! - [`Server`] covers routes, plain HTTP responses ("pages"), authorization and shutdown. [`Options`] and
//!   [`ServerOptions`] contain the limits.
//! - [`Reconnect`] is a client that opens another connection when one has ended.
//! - [`Connection`] is the handle to send with, from any task. With a [`ConnectionHandler`] or a [`socket`] route, each
//!   connection has state of its own.
//! - [`Authorized`] and [`Origins`] say who may connect, and whose connection it is.
//! - [`serve_stream`] serves a single stream of your own. [`WebSockets`] is for those from a web framework: see
//!   [`prism-axum`](https://github.com/prism-rs/prism/tree/main/prism-axum) and
//!   [`prism-hyper`](https://github.com/prism-rs/prism/tree/main/prism-hyper).
//! - [`prism-rooms`](https://github.com/prism-rs/prism/tree/main/prism-rooms) adds rooms, broadcast and presence.
//!
//! The other adapters, `prism-tokio` and `prism-async-std`, use the same names. Most of these are defined in
//! [`prism_driver`] and `prism_core`, and re-exported here. You do not have to depend on those crates: where an example
//! imports from them, import from this one.
//!
#![doc = include_str!("../docs/links.md")]
#![doc = include_str!("../docs/guides.md")]
#![doc = include_str!("../docs/examples.md")]
#![doc = include_str!("../docs/contract.md")]

mod runtime;
mod spin;

pub use prism_driver::{self, *};

pub use crate::{runtime::Smol, spin::spin};

/// A server of WebSocket routes and plain HTTP pages, on smol.
///
/// Its connections run on smol's global executor. To use an executor of your own, create the server with
/// [`bind_on`](Server::bind_on) and [`Smol::on`]. The methods are those of [`prism_driver::Server`].
///
/// ```no_run
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// use prism_smol::{Reply, Server, ServerOptions};
///
/// # async fn example() -> std::io::Result<()> {
/// Server::bind("127.0.0.1:8080")
///     .await?
///     .options(ServerOptions::default().max_connections(1000))
///     .get("/", |_| Reply::html("<h1>It works</h1>"))
///     .websocket("/rooms/{room}", Echo)
///     .serve()
///     .await;
/// # Ok(()) }
/// ```
pub type Server = prism_driver::Server<Smol>;

/// A server without a listener, for connections that reach it through another HTTP server, on smol.
///
/// Its methods are those of [`prism_driver::WebSockets`].
pub type WebSockets = prism_driver::WebSockets<Smol>;

/// A client for one WebSocket URL, on smol, with headers, subprotocols and limits.
///
/// If you need none of these settings, [`connect`] is shorter. The methods are those of [`prism_driver::Client`].
///
/// ```no_run
/// use prism_smol::{Client, Options};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = Client::new("ws://127.0.0.1:8080/chat")?
///     .header("Authorization", "Bearer TOKEN")?
///     .subprotocol("chat")?
///     .options(Options::default().max_message_size(16 << 20))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
pub type Client = prism_driver::Client<Smol>;

/// A [`Client`] that opens another connection when one has ended, on smol.
///
/// Its methods are those of [`prism_driver::Reconnect`].
///
/// ```no_run
/// use prism_smol::{Client, Reconnect};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut reconnect = Reconnect::new(Client::new("ws://127.0.0.1:8080/prices")?);
/// while let Some(socket) = reconnect.next().await {
///     socket.send("+ACME").await?;
///     while let Ok(price) = socket.recv().await {
///         println!("{price:?}");
///     }
/// }
/// # Ok(()) }
/// ```
pub type Reconnect = prism_driver::Reconnect<Smol>;

/// Connects to a URL such as `ws://example.org/chat`.
///
/// Use [`Client`] to send headers, to offer subprotocols, to set limits, or to run a handler on the connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use prism_smol::{CloseCode, connect};
///
/// let socket = connect("ws://127.0.0.1:8080/ws").await?;
/// socket.send("hello").await?;
/// println!("{:?}", socket.recv().await?);
/// socket.close(CloseCode::NORMAL, "").await;
/// # Ok(()) }
/// ```
///
/// # Cancel safety
/// If you drop the future early, the attempt is canceled, and no connection stays open.
///
/// # Errors
/// [`ConnectError`] if the URL is invalid, or if the server cannot be reached, refuses, or is not a WebSocket server. A
/// `wss://` URL needs the feature `tls`, or a TLS stream of your own, which you pass to [`Client::connect_stream`].
pub async fn connect(url: &str) -> Result<Socket, ConnectError> {
    Client::new(url)?.connect().await
}

/// Performs the server's handshake on a connected stream of any kind, runs the handler on the connection, and
/// returns how the connection ended.
///
/// Any path is accepted, no origin is checked, and the limits of a [`Server`] do not apply. The future is ready only
/// when the connection is over and the stream has ended as well. See [`prism_driver::serve_stream`] for details.
///
/// A socket of `smol::Async` has to be wrapped in an [`AsyncIoStream`]; smol's own sockets need no wrapper.
///
/// ```no_run
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// use prism_smol::{Options, serve_stream};
/// # #[cfg(unix)]
/// use smol::net::unix::UnixListener;
///
/// # #[cfg(unix)]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = UnixListener::bind("/tmp/echo.sock")?;
/// let (stream, _) = listener.accept().await?;
/// let end = serve_stream(stream, &Options::default(), Echo).await?;
/// println!("{end}");
/// # Ok(()) }
/// ```
///
/// # Cancel safety
/// The connection lives in this future. If you drop the future early, the running call of the handler is dropped before
/// it completes, `on_disconnect` does not run, and the peer gets no close frame. Call [`Connection::close`] instead.
///
/// # Errors
/// [`AcceptError::Refused`], with the status that the peer was sent, if the request is not a valid handshake or does
/// not arrive in time. [`AcceptError::Io`] if the stream fails or ends.
pub async fn serve_stream(
    stream: impl Transport,
    options: &Options,
    handler: impl ConnectionHandler,
) -> Result<Disconnect, AcceptError> {
    prism_driver::serve_stream(Smol::default(), stream, options, handler).await
}

/// Runs the handler on a stream whose handshake is already done, by a web framework for instance, and returns how
/// the connection ended.
///
/// [`Connection::path`] returns `path` exactly as it is given. The checks and limits of a [`Server`] do not apply. The
/// future is ready only when the connection is over and the stream has ended as well. See
/// [`prism_driver::serve_upgraded`] and [`prism_driver::serve_stream`] for details.
///
/// ```no_run
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// use prism_smol::{Options, serve_upgraded};
///
/// # async fn example(stream: smol::net::TcpStream) {
/// // The web framework has sent the 101 on this stream.
/// let end = serve_upgraded(stream, "/ws", &Options::default(), Echo).await;
/// println!("{end}");
/// # }
/// ```
///
/// # Cancel safety
/// The connection lives in this future. If you drop the future early, the running call of the handler is dropped before
/// it completes, `on_disconnect` does not run, and the peer gets no close frame. Call [`Connection::close`] instead.
pub async fn serve_upgraded(
    stream: impl Transport,
    path: &str,
    options: &Options,
    handler: impl ConnectionHandler,
) -> Disconnect {
    prism_driver::serve_upgraded(Smol::default(), stream, path, options, handler).await
}

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
