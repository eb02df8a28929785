//! Prism measured against other WebSocket libraries.

pub mod load;
pub mod report;
pub mod servers;
