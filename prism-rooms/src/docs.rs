//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.

#[doc = include_str!("../docs/rooms.md")]
pub mod rooms {}
#[doc = include_str!("../docs/presence.md")]
pub mod presence {}
