//! Tests of Prism's handlers, servers and clients: in memory, on virtual time, with faults.
//!
//! - A [`Sim`] runs servers, clients and handlers in one thread, on a clock that jumps. A test of an hour takes no
//!   time, and has the same outcome each time.
//! - [`Faults`] control a connection: stall it, reset it, cut it after so many bytes, lose its close frame.
//! - A [`Peer`] is a client that the test drives step by step, and a [`Recorder`] is a handler that lists what happens.
//! - [`pipe()`] is the transport alone, for any runtime.
//!
//! Import handlers, options and so on from the adapter of your runtime, as in your program: a handler works on each
//! runtime. [The guide](prism_driver::docs::testing) says what to test with which tool.
//!
//! # A slow reader
//!
//! The peer of [`Sim::serve`] reads only when it is asked, and [`stall`](Direction::stall) stops it altogether:
//!
//! ```
//! use prism_driver::{Connection, Handler, Message, Options, WhenSlow};
//! use prism_test::{Received, Sim};
//!
//! /// Sends as many quotes as it is asked for.
//! struct Quotes;
//!
//! impl Handler for Quotes {
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         let count = message.as_text().unwrap().parse().unwrap();
//!         for n in 0..count {
//!             let _ = connection.send(format!("quote {n}")).await; // fails only if the connection is closing
//!         }
//!     }
//! }
//!
//! let sim = Sim::new();
//! let options = Options::default().high_water_mark(1000).when_slow(WhenSlow::DropOldest);
//! let (mut peer, faults) = sim.serve(Quotes, options);
//! sim.run(async {
//!     faults.to_client().stall();
//!     peer.send("10000").await;
//!     sim.settle().await; // all quotes are sent, and most are dropped
//!     faults.resume();
//!     assert_ne!(peer.next().await, Received::Text("quote 0".into()));
//! });
//! ```
//!
//! # A lost peer
//!
//! ```
//! use std::time::Duration;
//!
//! use prism_driver::Options;
//! use prism_test::{Recorded, Recorder, Sim};
//!
//! let (sim, handler) = (Sim::new(), Recorder::new()); // put your handler here
//! let (_peer, faults) = sim.serve(handler.clone(), Options::default());
//! sim.run(async {
//!     sim.settle().await;
//!     faults.stall(); // nothing arrives any more, at either end
//!     sim.pass(Duration::from_secs(60)).await;
//! });
//! assert!(matches!(handler.events()[1], Recorded::Disconnect(1006, _)));
//! ```
//!
//! # A reconnect
//!
//! Names lead to servers of the simulation, and [`last_connection`](Sim::last_connection) controls a connection that a
//! client has made:
//!
//! ```
//! use std::time::Duration;
//!
//! use prism_driver::{Reconnect, Runtime};
//! use prism_test::{Recorder, Sim};
//!
//! let sim = Sim::new();
//! sim.start_server("feed.example", |server| server.websocket("/", Recorder::new()));
//! let mut feed = Reconnect::new(sim.client("ws://feed.example/"));
//! sim.run(async {
//!     let first = feed.next().await.expect("it connects");
//!     sim.last_connection().expect("there is one").reset();
//!     assert_eq!(first.recv().await.unwrap_err().code(), 1006);
//!     assert!(feed.next().await.is_some()); // after a delay, which takes no time here
//!     assert!(sim.now() <= Duration::from_secs(5));
//! });
//! ```
//!
//! # A room
//!
//! ```
//! use prism_driver::{Connection, Handler, Message};
//! use prism_rooms::Rooms;
//! use prism_test::Sim;
//!
//! /// Sends each message to the other members of its room.
//! #[derive(Default)]
//! struct Chat {
//!     rooms: Rooms,
//! }
//!
//! impl Handler for Chat {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let _ = self.rooms.join(connection, connection.param("room").unwrap());
//!     }
//!
//!     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
//!         self.rooms.to(connection.param("room").unwrap()).except(connection.id()).send(message);
//!     }
//! }
//!
//! let sim = Sim::new();
//! sim.start_server("chat.example", |server| server.websocket("/{room}", Chat::default()));
//! sim.run(async {
//!     let ann = sim.client("ws://chat.example/tea").connect().await.unwrap();
//!     let ben = sim.client("ws://chat.example/tea").connect().await.unwrap();
//!     ann.send("hello").await.unwrap();
//!     assert_eq!(ben.recv().await.unwrap().as_text(), Some("hello"));
//! });
//! ```
//!
//! # Presence
//!
//! Changes are collected for a moment before they are sent. On virtual time, a test need not know for how long:
//!
//! ```
//! use prism_driver::{Connection, Handler, Message};
//! use prism_rooms::{Change, Presence};
//! use prism_test::Sim;
//!
//! /// Tracks each connection as the person that its query names.
//! struct Lobby {
//!     presence: Presence<()>,
//! }
//!
//! impl Handler for Lobby {
//!     async fn on_connect(&self, connection: &Connection) {
//!         let _ = self.presence.track(connection, "lobby", connection.query().unwrap(), ());
//!     }
//!
//!     async fn on_message(&self, _: &Connection, _: Message<'_>) {}
//! }
//!
//! let sim = Sim::new();
//! let presence = Presence::new(sim.clone());
//! let watch = presence.watch_here("lobby");
//! sim.start_server("chat.example", |server| server.websocket("/", Lobby { presence }));
//! sim.run(async {
//!     let ann = sim.client("ws://chat.example/?ann").connect().await.unwrap();
//!     assert!(matches!(&*watch.recv().await.unwrap(), Change::State { people, .. } if people.is_empty()));
//!     assert!(matches!(&*watch.recv().await.unwrap(), Change::Diff { joined, .. } if &*joined[0].key == "ann"));
//!     drop(ann);
//!     assert!(matches!(&*watch.recv().await.unwrap(), Change::Diff { left, .. } if &*left[0] == "ann"));
//! });
//! ```
//!
//! # Handlers that use tokio
//!
//! A handler that calls `tokio::time::sleep` needs tokio. A [`pipe()`] and a [`Peer`] work there as well, with tokio's
//! own virtual time: with `start_paused`, its clock jumps whenever nothing else can happen, and Prism's deadlines
//! follow it. (This needs tokio's feature `test-util`.) [The guide](prism_driver::docs::testing#with-tokios-own-timers)
//! has such a test.
//!
//! # Many seeds
//!
//! A scenario that draws its faults at random can run thousands of times in a second. The example `seeds` of this crate
//! does so: one processor runs some 20,000 seeds in a second, each with a server, a client, ten messages and one fault.
//! It prints the seed of a run that fails, which repeats it.

mod dropped_when_woken;
#[cfg(feature = "hyper")]
mod http;
mod peer;
mod pipe;
mod recorder;
mod sim;

#[doc(hidden)] // for the tests of prism-driver and prism-rooms
pub use crate::dropped_when_woken::DroppedWhenWoken;
#[cfg(feature = "hyper")]
pub use crate::http::serve_http;
pub use crate::{
    peer::{Peer, Received},
    pipe::{
        PipeEnd,
        faults::{Direction, Faults},
        pipe,
    },
    recorder::{Recorded, Recorder},
    sim::{
        Sim, Sleep,
        hosts::{Incoming, Reach},
        network::SimListener,
    },
};

/// The examples in the README and in the guide work.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../prism-driver/docs/testing.md")]
struct Pages;
