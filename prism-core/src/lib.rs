//! WebSocket (RFC 6455) as a pure state machine: bytes in, events out.
#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

extern crate alloc;

mod buffer;
mod close;
mod config;
mod error;
mod frame;
mod handshake;
mod inbound;
mod keepalive;
mod message;
mod outbound;
mod websocket;

pub use buffer::RecvBuffer;
pub use close::{CloseCode, CloseFrame};
pub use config::Config;
pub use error::{ProtocolError, SendError};
pub use frame::{
    header::{Header, OpCode},
    mask::{MaskKeys, apply_mask},
};
pub use handshake::*;
pub use inbound::Inbound;
pub use message::{Event, Message, OwnedMessage};
pub use outbound::Outbound;
pub use websocket::{Role, State, WebSocket};
