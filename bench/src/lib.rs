//! Prism measured against other WebSocket libraries.

#[cfg(feature = "servers")]
pub mod cluster;
pub mod codec;
mod frame;
mod json;
#[cfg(feature = "servers")]
pub mod load;
#[cfg(feature = "servers")]
pub mod report;
#[cfg(feature = "servers")]
pub mod servers;
mod spread;
mod xor;

pub use spread::Spread;
