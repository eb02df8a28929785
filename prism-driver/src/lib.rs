//! The runtime-neutral driver of Prism.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod greet;
mod handler;
mod id;
mod link;
mod options;
mod outbox;
mod pool;
mod registry;
mod request;
mod router;
mod runtime;
mod serve;
mod server;
mod session;
mod socket;

pub use client::{Client, ConnectError, Refusal};
pub use connection::{Connection, TrySendError};
pub use greet::AcceptError;
pub use handler::{Disconnect, Failure, Handler};
pub use id::ConnectionId;
pub use options::Options;
pub use prism_core::{
    CloseCode, Config, HandshakeError, Message, OwnedMessage, ProtocolError, Reply, Request,
    SendError,
};
pub use runtime::{Listener, Network, Runtime, Transport};
pub use serve::{serve_stream, serve_upgraded};
pub use server::{Server, Shutdown};
pub use socket::Socket;
