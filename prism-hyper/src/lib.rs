//! WebSockets under [hyper] and tower: an HTTP server of your own reads requests, and [Prism](prism_driver) runs the
//! WebSockets, over HTTP/1.1 and HTTP/2, on any runtime.
//!
//! [`upgrade`] judges a request, and the [`Upgrade`] that it returns runs a handler:
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper::{Request, Response, body::Incoming};
//! use prism_driver::{Connection, Handler, Message, Runtime, WebSockets};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let _ = connection.send(message).await; // fails only if the connection is closing
//!     }
//! }
//!
//! async fn answer<R: Runtime>(websockets: WebSockets<R>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
//!     match request.uri().path() {
//!         "/ws" => match prism_hyper::upgrade(&mut request, &websockets).await {
//!             Ok(upgrade) => upgrade.serve(Echo),
//!             Err(refusal) => refusal, // 400, 403, 426, 503 ...
//!         },
//!         _ => Response::new(Full::from("hello")),
//!     }
//! }
//! ```
//!
//! `WebSockets` has the limits, origins, counters and the shutdown of all connections. Take it from the adapter for
//! your runtime, such as `prism_tokio::WebSockets`. [`service`] makes a [`tower_service::Service`] of a handler.
//!
//! # What your server has to do
//!
//! - Serve HTTP/1.1 connections `with_upgrades()`. Over HTTP/2, call `enable_connect_protocol()` on hyper's builder,
//!   and turn on the feature `http2` of this crate.
//! - Limit the time that a client may take for its requests: give hyper's builder a `timer`, and HTTP/1.1 has a
//!   `header_read_timeout` of 30 s. Over HTTP/2, set `keep_alive_interval` as well, so that hyper ends connections
//!   whose peer is gone.
//! - Limit the number of HTTP connections, for example with a semaphore. The example
//!   [`with_axum`](https://github.com/prism-rs/prism/blob/main/prism-axum/examples/with_axum.rs) does so, and has
//!   deadlines. Prism's own limit counts WebSockets only.
//! - Set `TCP_NODELAY` on the sockets that it accepts: messages are batched already, and Nagle's algorithm would delay
//!   them.
//! - Put the peer's [`SocketAddr`](std::net::SocketAddr) into the request's extensions, if connections should have an
//!   [address](prism_driver::Connection::peer_addr), or if there is a limit on connections of one address.
//! - With the feature `tls`, put an `Arc<TlsInfo>` there as well, if connections should have the client's
//!   [certificates](prism_driver::Connection). `TlsInfo::of_server` makes it.
//! - At a shutdown, tell the WebSockets first. With [`WebSockets::closing`](prism_driver::WebSockets::closing), the
//!   signal that stops your server does so. Over HTTP/2, the server would otherwise wait for its streams to end, which
//!   are those WebSockets. Limit the time for which you wait for HTTP/2 connections; the next section says why.
//!
//! # HTTP/2
//!
//! hyper copies each write, and queues up to four of them for a stream. So this crate writes at most 16 KiB at once,
//! which bounds that queue by 64 KiB. A reader that stops thus costs at most the
//! [high-water mark](prism_driver::Options::high_water_mark), one message, and 64 KiB. If it has allowed a large window
//! and does not read its TCP connection, hyper holds 400 KiB more for each stream (`max_send_buf_size`). What hyper
//! holds counts as written: [`flush`](prism_driver::Connection::flush) does not wait for it, and the
//! [write timeout](prism_driver::Options::write_timeout) begins later.
//!
//! hyper keeps what it holds for a reader that has stopped even after Prism has ended the WebSocket, for example at the
//! write timeout: it neither resets the stream nor drops those bytes before the peer reads or resets the stream, or its
//! connection ends. So a stream that is not read still counts towards `max_concurrent_streams` (200), and keeps a
//! graceful shutdown of hyper from ending, even if the peer answers hyper's pings. After the
//! [grace period](prism_driver::ServerOptions::shutdown_grace), drop the future that serves the connection.
//!
//! While a handler does not receive, HTTP/2 holds the peer back by bytes, not by frames. If too many short frames wait
//! to be read, hyper ends the whole connection, with `ENHANCE_YOUR_CALM`. With its default windows, that is after some
//! 2,000 frames of all WebSockets on the connection together. So a handler that receives many short messages over
//! HTTP/2 should not be slow: let it pass them on to another task.
//!
//! The peer can reset a stream. This ends the connection as a lost TCP connection does.

mod io;
mod service;
mod upgrade;

pub use prism_driver::WebSockets;

pub use crate::{
    io::Io,
    service::{WebSocketService, service},
    upgrade::{Upgrade, upgrade, with_extensions},
};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
