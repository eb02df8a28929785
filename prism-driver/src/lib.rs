//! The runtime-neutral driver of Prism: handlers, connections, sessions, servers and clients over
//! [`prism_core`].
//!
//! Users take an adapter (`prism-tokio`, `prism-smol`, `prism-async-std`), which gives these to a
//! runtime and exports them again.
//! Whoever has another runtime implements [`Runtime`], and [`Network`] if it has TCP: that is all
//! that an adapter does. (The network of a runtime on `async-io` is here, with the feature `async-io`.)
//!
//! # The contract
//!
//! What a [`Handler`] may rely on, on every runtime:
//!
//! 1. `on_connect` runs first, once. It may send before anything was read.
//! 2. `on_message` runs one at a time per connection, in wire order. Different connections run in
//!    parallel.
//! 3. `on_disconnect` runs exactly once if `on_connect` ran, last, with the reason (code, reason
//!    text, who closed, or the error).
//! 4. Prism never drops a handler's future half-way. Closing makes its pending sends fail instead. When
//!    the close timeout passes while a handler runs, the transport is dropped and
//!    [`closed`](Connection::closed) returns; a handler that hangs on keeps its place, and is
//!    [counted](Counts::stuck).
//! 5. What was accepted before `close()` is written before the close frame, unless
//!    [`when_slow`](Handler::when_slow) drops it; after it `send` returns `Closed`, and `on_message` is
//!    not called any more.
//! 6. A panic in a handler ends only its own connection (1011); `on_disconnect` still runs, unless
//!    [`when_slow`](Handler::when_slow) panicked, before `on_connect`; the server lives. That takes
//!    unwinding: a program built with `panic = "abort"` ends at its first panic.
//! 7. A `send` future that is dropped while waiting has sent nothing. Reading is cancel-safe
//!    everywhere.
//! 8. A handler may be slow; while it runs its peer's pings wait, and the buffer is kept that its
//!    message lies in, 64 KiB at least. Spawn long work: the handle is `Clone`.
//! 9. An outbox is never larger than its high-water mark plus one message (and a few control
//!    frames). Nothing is dropped unseen: `send` waits, `try_send` says that it is full, or as the
//!    handler [wants it](Handler::when_slow); what a connection misses is [counted](Connection::missed).
//!    What all connections of a server hold for peers that do not read is [bounded
//!    together](ServerOptions::max_buffered): beyond that, the one that has stalled for longest is aborted.
//!
//! "Never" and "always" end with the task: a runtime that is dropped drops its tasks, and with them
//! what ran in them.
//!
//! # How it works
//!
//! ```text
//!   Server ── accept ──► accept_handshake ── 101 ──► Session ◄── owns ── ConnectionDriver ◄──► transport
//!                          │                 │ lends events     │ timers
//!                          └─ Router         ▼                  ▼
//!                                         Handler ── send ──► Outbox ◄── send ── Connection,
//!                                                                                anywhere
//! ```
//!
//! One task owns a connection. It lends each event to the handler, and while the handler waits it
//! keeps writing; it does not read meanwhile, which is how a slow handler slows its peer down. Who
//! sends encodes straight into the connection's [outbox](Connection::send), and all that has gathered
//! there is written at once: by its task, or by the session of the handler that sent it, when that
//! handler waits or is done. An idle connection holds no buffer.

mod buffer_pool;
mod client;
mod connection;
mod error;
mod handler;
mod handshake;
mod options;
mod outbox;
mod runtime;
mod serve;
mod server;
mod session;
mod socket;

pub use client::Client;
pub use client::url::InvalidUrl;
pub use connection::Connection;
pub use connection::id::{ConnectionId, origin};
pub use connection::send::Sending;
pub use error::AcceptError;
pub use error::TrySendError;
pub use error::connect::{ConnectError, Refusal};
pub use error::{Disconnect, Failure};
pub use handler::Handler;
pub use options::{
    Options, client::ClientOptions, rate::Rate, server::ServerOptions, when_slow::WhenSlow,
};
pub use prism_core::{
    CloseCode, Config, HandshakeError, InvalidHeader, InvalidPath, InvalidRequest, Message,
    OwnedMessage, PreparedMessage, ProtocolError, Reply, Request, SendError, normalize_path,
    percent_decode,
};
#[cfg(feature = "async-io")]
pub use runtime::async_io::{AsyncIo, AsyncIoStream};
pub use runtime::close_write::CloseWrite;
#[doc(hidden)]
pub use runtime::contain::contain;
#[doc(hidden)] // for prism-rooms
pub use runtime::notice::Deferring;
pub use runtime::wakeups::{HeldWakeups, hold_wakeups};
pub use runtime::{Network, Runtime, Transport};
pub use serve::{serve_stream, serve_upgraded};
#[cfg(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
))]
pub use server::listener::shared_listeners;
pub use server::origins::{InvalidOrigin, Origins};
pub use server::stats::{Counts, Refused, ServerStats};
pub use server::{Server, stats::Shutdown};
pub use socket::Socket;
pub use socket::split::{RecvHalf, SendHalf};
