//! Measures a library's protocol code without a network: each library decodes and encodes the same messages
//! in memory.
//!
//! # What is measured
//!
//! An [`Item`] is a batch of equal messages. Decoding begins with a copy of the whole batch into
//! the library's own buffer, as a socket's `read` would make it, and continues until the last message
//! has been returned, unmasked, and checked if it is text. Encoding ends when all frames of the batch have
//! been copied out, as a socket's `write` would do it. Both copies are measured for every library. Creating
//! the connection and the payloads is not.
//!
//! Each library is used in the fastest way that its documentation shows, at the level at which it returns
//! whole messages (joined, and with text checked). The top of its file says how. None is asked for more
//! than a batch holds. The results pass through a [`black_box`](std::hint::black_box), and are dropped.
//! Before the measurement, each library's results are checked.
//!
//! # What is not measured
//!
//! System calls cost nothing here. A library that writes each frame separately looks better than it is on a
//! socket, and a library that gathers frames gains nothing. The comparison over real sockets shows that.
//!
//! # How to run it
//!
//! `cargo run --release --bin codec` measures time, and `--bin instructions` counts instructions: the same
//! number in each run, so that CI can compare (`.ci/instructions`).

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
mod prism_deflate;
mod prism_echo;
mod prism_handshake;
mod yardstick;

#[cfg(feature = "peers")]
mod fastwebsockets;
#[cfg(feature = "peers")]
mod shiguredo;
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
