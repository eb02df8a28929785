//! The scenarios. They know `crate::prism` and `crate::runtime`, and no runtime by name.

mod attacks;
mod back_pressure;
mod closing;
mod contract;
mod floods;
mod handshake;
mod interop;
mod memory;
mod messages;
mod pages;
mod rooms;
mod shutdown;
mod streams;
mod support;
