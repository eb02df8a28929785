//! What a library's protocol code costs, without a network: each one decodes and encodes the same
//! messages in memory.
//!
//! # What is measured
//!
//! An [`Item`] is a batch of equal messages. Decoding begins with a copy of the whole batch into
//! the library's own buffer, as a socket's `read` would make it, and goes on until the last message
//! has been handed out, unmasked, and checked if it is text. Encoding ends when all the frames of
//! the batch have been copied out, as a socket's `write` would do it. Both copies are inside of what
//! is measured, for everyone; making the connection and the payloads is outside.
//!
//! Each library is driven in the fastest way that its documentation shows, at the level at which it
//! hands out whole messages (joined, and text checked), and says so at the top of its file. None is
//! asked for more than a batch holds. What is handed out passes through a
//! [`black_box`](std::hint::black_box), and is dropped. Before anything is counted, each library
//! must show that what it decodes and encodes is right.
//!
//! # What is not
//!
//! System calls cost nothing here. A library that writes each frame by itself looks better than it
//! is on a socket, and one that gathers frames looks no better than it should; that is for the
//! comparison over real sockets.
//!
//! # How
//!
//! `cargo run --release --bin codec` takes the time, and `--bin instructions` counts instructions:
//! the same number at each run, so that CI can hold Prism to it (`.ci/instructions`).

mod baseline;
mod callgrind;
mod item;
mod library;
mod measure;
mod memory;
mod settle;
mod table;

mod floor;
mod prism;
mod prism_echo;
mod prism_handshake;
mod yardstick;

#[cfg(feature = "peers")]
mod fastwebsockets;
#[cfg(feature = "peers")]
mod sockudo;
#[cfg(feature = "peers")]
mod tokio_websockets;
#[cfg(feature = "peers")]
mod tungstenite;
#[cfg(feature = "peers")]
mod yawc;

pub use baseline::{Baseline, Change};
pub use callgrind::{count, run_counted};
pub use item::{ITEMS, Item, Work};
pub use library::{Batch, LIBRARIES, Library};
pub use measure::{Cell, Row, measure};
pub use settle::settle;
pub use table::table;
