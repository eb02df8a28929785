//! Prism measured against other WebSocket libraries.

pub mod codec;
#[cfg(feature = "servers")]
pub mod load;
#[cfg(feature = "servers")]
pub mod report;
#[cfg(feature = "servers")]
pub mod servers;
