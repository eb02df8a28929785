//! The opening handshake (RFC 6455 §4): one HTTP request, and its response.
//!
//! ```text
//!   ClientRequest                                                     Config
//!        |                                                               |
//!   ClientHandshake ------ GET /chat, Sec-WebSocket-Key -------> ServerHandshake
//!        |                                                               |
//!        |                                                            Request
//!        |                                                               | upgrade
//!        |                                                             Offer
//!        |                                                               | accept
//!     Accepted <------------ 101, Sec-WebSocket-Accept ------------------+----> WebSocket
//!        | into_websocket                                                |
//!    WebSocket                                                           |
//!        |                                                               |
//!     Refused  <------------ any other status: a Reply ------------------+
//! ```
//!
//! Heads are read from a [`RecvBuffer`](crate::RecvBuffer), and requests and responses borrow it.
//! What the peer sent after its head stays there for the [`WebSocket`](crate::WebSocket).

mod accept_key;
mod client;
mod error;
mod http;
mod server;

pub use accept_key::{AcceptKey, accept_key};
pub use client::{
    ClientHandshake,
    answer::{Accepted, Answer},
    request::{ClientRequest, InvalidRequest},
    response::Response,
};
pub use error::HandshakeError;
pub use http::{
    header_block::InvalidHeader,
    headers::{Headers, HeadersIter, OwnedHeaders},
    path::{InvalidPath, normalize_path, percent_decode},
};
pub use server::{ServerHandshake, switching_protocols::Accept, offer::Offer, reply::Reply, request::Request};
