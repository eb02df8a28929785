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
//! | word | side | what it is |
//! |---|---|---|
//! | request | both | asks for an upgrade, or (on a server) for a page |
//! | offer | server | a request that is a valid opening handshake, not yet accepted |
//! | reply | server | any response other than a 101, to be written |
//! | response | client | what the server sent, as read: status, headers, body |
//! | answer | client | what the response means: accepted or refused ([`Answer`]) |
//! | refusal | client | a response with a final status other than 101 |
//!
//! Heads are read from a [`RecvBuffer`](crate::RecvBuffer), and requests and responses borrow it.
//! What the peer sent after its head stays there for the [`WebSocket`](crate::WebSocket). (If
//! another library speaks HTTP, [`RequestParts`] become the request, and the response is a
//! [`ResponseHead`].) A server that answers later copies the request or the offer out of the buffer with `into_owned`.

mod accept_key;
mod client;
mod error;
mod http;
mod permessage_deflate;
mod server;

pub use accept_key::{AcceptKey, accept_key};
pub use client::{
    ClientHandshake,
    answer::{Accepted, Answer},
    credentials::BasicCredentials,
    request::{ClientRequest, InvalidRequest},
    response::Response,
    tunnel::TunnelHandshake,
};
pub use error::HandshakeError;
pub use http::{
    header_block::InvalidHeader,
    headers::{Headers, HeadersIter, OwnedHeaders},
    path::{InvalidPath, normalize_path, percent_decode},
};
pub use permessage_deflate::DeflateAnswer;
pub use server::{
    ServerHandshake, into_reply::IntoReply, offer::Offer, owned_offer::OwnedOffer,
    owned_request::OwnedRequest, reply::Reply, request::Request, request_parts::RequestParts,
    response_head::ResponseHead, switching_protocols::Accept,
};
