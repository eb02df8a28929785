//! The runtime-neutral driver of Prism: WebSocket servers and clients over the sans-IO core, [`prism_core`].
//!
//! Applications depend on the adapter for their runtime (`prism-tokio`, `prism-smol` or `prism-async-std`), which
//! re-exports everything in this crate:
//!
//! - A [`Server`] accepts connections, a [`Client`] opens one, and a [`Reconnect`] opens another when one has ended.
//! - A [`Handler`], or a [`ConnectionHandler`] for each connection, receives the events. Without a handler, send and
//!   receive on a [`Socket`].
//! - A [`Connection`] is the handle to send with, from any task or thread.
//!
//! To support another runtime, implement [`Runtime`], and [`Network`] if it has TCP. An adapter consists of little more
//! than that. The feature `async-io` adds the trait `AsyncIo`: a runtime that uses the reactor of `async-io` implements
//! it to become a [`Network`].
//!
#![doc = include_str!("../docs/links.md")]
#![doc = include_str!("../docs/guides.md")]
#![doc = include_str!("../docs/contract.md")]
//!
//! # How it works
//!
//! ```text
//!   server::accept                        accepts a TCP connection
//!         │
//!         ▼
//!   server::pending_handshake::PendingHandshake    does the handshake, and finds the route
//!         │ 101
//!         ▼
//!   session::Session ── events ──────────────────► Handler
//!         │                                           │ send
//!         ▼                                           ▼
//!   session::driver::ConnectionDriver             Connection ◄── send ── any task or thread
//!         │ moves bytes, enforces deadlines           │ encodes
//!         └────────────► outbox::Outbox ◄─────────────┘
//!                        bytes to send, and the transport, behind one lock
//! ```
//!
//! One task owns a connection, and lends each event to the handler. While the handler waits, the task keeps writing but
//! does not read, so a slow handler slows down its own peer. A sender encodes its message straight into the outbox, and
//! everything in the outbox leaves in one write. Usually the connection's own task writes. If that task sleeps while
//! the handler of another connection sends to this one, the sending handler's task writes instead, once the handler
//! waits or has returned. This is why the transport is in the outbox. An idle connection holds no buffer.

mod buffer_pool;
mod client;
mod connection;
pub mod docs;
mod error;
mod handler;
mod options;
mod outbox;
mod runtime;
mod serve;
mod server;
mod session;
mod socket;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/off.rs"]
mod tls;

pub use client::Client;
pub use client::proxy::{
    Proxy,
    error::{ProxyError, ProxyFailure},
    server::InvalidProxy,
};
pub use client::reconnect::{
    Reconnect, backoff::Backoff, ended::Ended, handle::ReconnectHandle, hooks::Retry,
};
pub use client::redirects::InvalidRedirect;
#[doc(hidden)] // for prism-rooms-redis and prism-rooms-nats
pub use client::service::{
    ServiceAddress,
    connection::{ServiceConnection, ServiceDecoder, ServiceError},
};
pub use client::task::ConnectionTask;
pub use client::url::InvalidUrl;
pub use connection::Connection;
pub use connection::id::{ConnectionId, origin};
pub use connection::outgoing::{Outgoing, Plain};
pub use connection::send::Sending;
#[doc(hidden)] // for prism-rooms
pub use connection::{batch::in_batches, compression::CompressedForm};
pub use error::connect::ConnectError;
pub use error::refusal::Refusal;
pub use error::{AcceptError, Disconnect, Failure, TrySendError};
#[cfg(feature = "tracing")]
pub use handler::traced::Traced;
pub use handler::{Handler, connection_handler::ConnectionHandler};
pub use options::{
    Options, client::ClientOptions, rate::Rate, server::ServerOptions, when_slow::WhenSlow,
};
pub use prism_core::deflate::{Deflate, DeflateParams, WindowBits};
pub use prism_core::{
    CloseCode, Config, HandshakeError, IntoReply, InvalidHeader, InvalidPath, InvalidRequest,
    Latency, Message, OwnedMessage, PreparedMessage, ProtocolError, Reply, SendError,
    normalize_path, percent_decode,
};
#[cfg(feature = "async-io")]
pub use runtime::async_io::{AsyncIo, AsyncIoStream};
pub use runtime::close_write::CloseWrite;
pub use runtime::contain::contain;
pub use runtime::notice::Deferring;
#[cfg(any(target_os = "android", target_os = "linux"))]
#[doc(hidden)] // for prism-tokio
pub use runtime::unsent_limit::UnsentLimit;
pub use runtime::wakeups::{HeldWakeups, hold_wakeups};
pub use runtime::{AdaptStream, Network, Runtime, Transport};
pub use serve::{serve_stream, serve_upgraded};
pub use server::authorized::{Authorized, IntoAuthorized};
#[cfg(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
))]
pub use server::listener::shared_listeners;
pub use server::origins::{InvalidOrigin, Origins};
pub use server::proxies::{ForwardedHeader, networks::InvalidNetwork};
pub use server::request::Request;
pub use server::route::{IntoRoute, Route, per_connection, shared, socket};
pub use server::stats::{
    Counts, Refused, ServerStats,
    ends::{CloseCounts, Ends, FailureCounts},
    opened::Opened,
    round_trips::RoundTrips,
    traffic::Traffic,
};
pub use server::websockets::{
    WebSockets, builder::WebSocketsBuilder, http_request::HttpRequest, opening::Opening,
    pending_upgrade::PendingUpgrade,
};
pub use server::{Server, stats::Shutdown};
pub use socket::Socket;
pub use socket::split::{RecvHalf, SendHalf};
