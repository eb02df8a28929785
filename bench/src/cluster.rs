//! Rooms across two nodes with one Redis server, measured: the program `cluster`.
//!
//! ```text
//!             core 1                                core 0
//!   publishers ──── WebSocket ────► node A ── publish ──► Redis ── deliver ──► node B ──┐
//!   receivers  ◄─────────────────────────────── WebSocket ──────────────────────────────┘
//! ```
//!
//! Each of [`ROOMS`] rooms has one publisher at node A, and [`RECEIVERS`] receivers at node B.

mod clients;
mod connection;
mod contestants;
mod highest;
mod load;
mod measurement;
mod nodes;
mod page;
mod protocol;
mod redis;
mod trial;

pub use self::{
    contestants::{Contestant, contestants, not_installed},
    highest::{Highest, highest},
    load::Load,
    measurement::Measurement,
    nodes::run_node,
    page::{Page, Row},
    trial::{Timing, measure, measure_once},
};

/// How many rooms there are.
pub const ROOMS: usize = 100;

/// How many members of each room are on the other node.
pub const RECEIVERS: usize = 9;
