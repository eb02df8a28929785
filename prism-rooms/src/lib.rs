//! Rooms, broadcast and presence for Prism's connections, on every runtime.

mod directory;
mod hall;
mod rooms;
mod seats;
mod shards;
mod sync;
mod to;

pub use crate::{
    rooms::Rooms,
    to::{Delivery, To},
};
