//! Rooms that span several processes, over NATS, on every runtime.
//!
//! [`Nats`] is a [`Backplane`](prism_rooms::Backplane) for a [`Cluster`](prism_rooms::Cluster). Give each process one
//! with the same prefix, and the URL of the same server, or of those of one NATS cluster:
//!
//! ```no_run
//! use prism_rooms::{Cluster, Rooms};
//! use prism_rooms_nats::Nats;
//! use prism_tokio::{Connection, Handler, Message, Server, Tokio};
//!
//! struct Chat(Rooms);
//!
//! impl Handler for Chat {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let _ = self.0.join(connection, "lobby"); // until it leaves or ends
//!     }
//!
//!     async fn on_message(&self, _: &Connection, message: Message<'_>) {
//!         self.0.to("lobby").send(message); // to the members in all processes
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let nats = Nats::new(Tokio, "nats://shop:secret@10.0.0.5")?.prefix("shop")?;
//!     let cluster = Cluster::new(Tokio, nats);
//!     let chat = Chat(cluster.rooms());
//!     let stop = async { _ = tokio::signal::ctrl_c().await };
//!     Server::bind("127.0.0.1:8080").await?.websocket("/ws", chat).serve_until(stop).await;
//!     cluster.leave().await;
//!     Ok(())
//! }
//! ```
//!
//! It needs a NATS server of version 2, without JetStream: nothing is stored there. [The guide](docs::nats) says how to
//! set one up, and what happens when it fails; [another one](docs::servers) is about several servers.
//! [The guarantees of clusters](prism_rooms::docs::cluster) hold with one server, but for a loss while
//! [too much arrives](docs::nats#a-process-that-does-not-keep-up) before a subscription is confirmed. A
//! [`History`](prism_rooms::History) needs another backplane, such as Redis: on this one,
//! [`History::on`](prism_rooms::History::on) returns an error.
//!
//! # How it works
//!
//! A session has one connection, in the cluster's own task, and a second one for a moment while it moves to another
//! server because the first one shuts down. Commands that are queued together are sent in one write, with a `PING`
//! behind them. The `PONG` says that they have been carried out. Up to 64 KiB are read at a time, and delivered before
//! more are read. Each room is a subject, so a process receives only what its members need.
//!
//! The protocol of NATS is implemented here, as far as it is needed. So the crate adds no other crates to your build,
//! works on each of Prism's runtimes with their own streams, and delivers payloads as parts of what it has read.

mod connection;
#[cfg(feature = "nkeys")]
mod credentials;
pub mod docs;
mod endpoint;
mod error;
mod exchange;
mod handover;
mod info;
mod nats;
mod protocol;
mod servers;
mod session;
mod subject;
mod upstream;
mod url;

#[cfg(feature = "nkeys")]
pub use crate::credentials::InvalidCredentials;
pub use crate::{nats::Nats, subject::InvalidPrefix, url::InvalidNatsUrl};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
