//! Prism measured against other WebSocket libraries.

pub mod servers;
