//! Rooms, broadcast and presence for Prism's connections, on every runtime.

mod directory;
mod hall;
mod presence;
mod rooms;
mod seats;
mod shards;
mod sync;
mod to;

pub use crate::{
    presence::{Change, Person, Presence, Tracked, Watch},
    rooms::Rooms,
    to::{Delivery, To},
};
