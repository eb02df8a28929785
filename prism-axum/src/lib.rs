//! WebSockets in axum. [`WebSocketUpgrade`] is an extractor like the one of `axum::extract::ws`, and
//! [Prism](prism_tokio) runs the connections: with limits, keepalive, policies for slow consumers, counters, and a
//! shutdown that closes them.
//!
//! ```no_run
//! use axum::{Extension, Router, extract::Path, response::Response, routing::any};
//! use prism_axum::{Connection, Handler, Message, Options, WebSocketUpgrade, WebSockets};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let _ = connection.send(message).await; // fails only if the connection is closing
//!     }
//! }
//!
//! async fn handler(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.handler(Echo)
//! }
//!
//! async fn function(upgrade: WebSocketUpgrade, Path(name): Path<String>) -> Response {
//!     upgrade.on_upgrade(|socket| async move {
//!         let _ = socket.send(format!("hello, {name}")).await;
//!         while let Ok(message) = socket.recv().await {
//!             let _ = socket.send(message).await;
//!         }
//!     })
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let websockets = WebSockets::new(Options::default().max_message_size(1 << 20));
//!     let app = Router::new()
//!         .route("/echo", any(handler))
//!         .route("/hello/{name}", any(function))
//!         .layer(Extension(websockets.clone()));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let stop = async { tokio::signal::ctrl_c().await.expect("it can be awaited") };
//!     axum::serve(listener, app).with_graceful_shutdown(websockets.closing(stop)).await?;
//!     println!("{:?}", websockets.shut_down().await);
//!     Ok(())
//! }
//! ```
//!
//! # Settings
//!
//! [`WebSockets`] has the limits, the rules for requests (such as [origins](WebSocketsBuilder::origins) and
//! [proxies](WebSocketsBuilder::trust_proxies)), the counters and the shutdown. It is an [`Extension`](axum::Extension)
//! of the router. Add that layer after the routes, because a layer of axum's reaches only the routes before it. Without
//! it, connections have the default limits, and share one table for the whole process, which is never shut down: enough
//! to try this crate out.
//!
//! A limit on the connections of one address, and trusted proxies, need the address of the peer: make the server with
//! `into_make_service_with_connect_info::<SocketAddr>()`. Without it, they have no effect.
//!
//! # What a connection knows of its request
//!
//! - [`Connection::path`] is the path before routers were nested, and [`Connection::query`] the query.
//! - [`Connection::param`] is a parameter of axum's route: `{room}` in `/rooms/{room}`. A request gets a 400 if its
//!   value would be dangerous as a file name.
//! - [`Connection::header`] is a header, until [`Handler::on_connect`] has returned.
//! - [`Connection::peer_addr`] is the client's address, if the server is made with
//!   `into_make_service_with_connect_info::<SocketAddr>()`; otherwise `None`.
//! - `Connection::tls` has the client's certificates, with the feature `tls`, if what accepts TLS puts an
//!   `Arc<TlsInfo>` into the extensions of the requests. `TlsInfo::of_server` makes it.
//! - [`Connection::data`] is what the application has attached with [`WebSocketUpgrade::data`]: for example the user
//!   that another extractor has identified.
//!
//! # Shutdown
//!
//! [`WebSockets::closing`] tells the WebSockets before it lets axum end, as in the example. It matters: axum knows
//! nothing of WebSockets over HTTP/1.1, and would wait for those over HTTP/2. [`WebSockets::shut_down`] then waits
//! until all have ended, for at most the [grace period](ServerOptions::shutdown_grace) and a second.
//!
//! Over HTTP/2, axum itself may take longer: if a peer does not read a stream, hyper waits for it
//! [even after Prism has cut the WebSocket](prism_hyper#http2). So a server with the feature `http2` should limit that
//! time:
//!
//! ```no_run
//! # use std::{future::IntoFuture, time::Duration};
//! # use axum::Router;
//! # use prism_axum::WebSockets;
//! # use tokio::{net::TcpListener, sync::oneshot, time::timeout};
//! # async fn example(listener: TcpListener, app: Router, websockets: WebSockets) -> std::io::Result<()> {
//! let (stop, stopped) = oneshot::channel::<()>();
//! let stopped = websockets.closing(async { drop(stopped.await) });
//! let serving = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
//! tokio::signal::ctrl_c().await?;
//! drop(stop);
//! println!("{:?}", websockets.shut_down().await);
//! let _ = timeout(Duration::from_secs(5), serving).await; // requests in progress are still answered
//! # Ok(()) }
//! ```
//!
//! # HTTP/2
//!
//! With the feature `http2`, WebSockets work over HTTP/2 as well (RFC 8441). Use `any` for their routes, because their
//! method is CONNECT. `axum::serve` does the rest. (If you serve connections with hyper yourself, call
//! `enable_connect_protocol()`.) [`prism_hyper`] says what else is different over HTTP/2.
//!
//! Set `TCP_NODELAY` on the sockets, because a short message may otherwise wait for 40 ms. Over HTTP/1.1, the extractor
//! does that, but a connection of HTTP/2 belongs to axum:
//!
//! ```no_run
//! # use axum::Router;
//! use axum::serve::ListenerExt;
//!
//! # async fn example(app: Router) -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
//! axum::serve(listener, app).await
//! # }
//! ```
//!
//! # From `axum::extract::ws`
//!
//! [The guide](prism_tokio::docs::from_axum) says what is called what, and what behaves differently.

mod rejection;
mod stream;
mod upgrade;

pub use prism_tokio::{self, *};

pub use crate::{rejection::WebSocketUpgradeRejection, upgrade::WebSocketUpgrade};

/// The examples in the README and in the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../prism-driver/docs/from-axum.md")]
struct Pages;
