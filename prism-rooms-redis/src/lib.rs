//! Rooms that span several processes, over Redis or Valkey, on every runtime.
//!
//! [`Redis`] is a [`Backplane`](prism_rooms::Backplane) for a [`Cluster`](prism_rooms::Cluster). Give each process one
//! with the same URL and the same prefix:
//!
//! ```no_run
//! use prism_rooms::{Cluster, Rooms};
//! use prism_rooms_redis::Redis;
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
//!     let redis = Redis::new(Tokio, "redis://shop:secret@10.0.0.5/")?.prefix("shop");
//!     let cluster = Cluster::new(Tokio, redis);
//!     let chat = Chat(cluster.rooms());
//!     let stop = async { _ = tokio::signal::ctrl_c().await };
//!     Server::bind("127.0.0.1:8080").await?.websocket("/ws", chat).serve_until(stop).await;
//!     cluster.leave().await;
//!     Ok(())
//! }
//! ```
//!
//! It needs Redis 6.2.2 or later, or Valkey: one server, with replicas if you like. [The guide](docs::redis) says how
//! to set one up, and what happens when it fails. With Sentinel, [a replica takes over](docs::failover).
//! [The guarantees of clusters](prism_rooms::docs::cluster) all hold with it.
//!
//! # How it works
//!
//! A session has two connections, in the cluster's own task: one publishes, and one listens. Commands that are queued
//! together are sent in one write. Up to 64 KiB are read at a time, and delivered before more are read. Each room is
//! a channel, so a process receives only what its members need. Nothing is stored in Redis unless you use a
//! [`History`](prism_rooms::History).
//!
//! RESP3, the protocol of Redis, is implemented here, as far as it is needed. So the crate adds no other crates to your
//! build, works on each of Prism's runtimes with their own streams, and delivers payloads as parts of what it has read.

mod command;
mod connection;
pub mod docs;
mod endpoint;
mod error;
mod history;
mod login;
mod pipeline;
mod redis;
mod resp;
mod script;
mod sentinel;
mod session;
mod url;

pub use crate::{redis::Redis, url::InvalidRedisUrl};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
