//! The scenarios. They know `crate::prism` and `crate::runtime`, and no runtime by name, except for
//! what their peers run on.

mod across;
mod attacks;
mod back_pressure;
mod besieged;
mod cancel;
mod client;
mod closing;
mod contract;
mod crowd;
mod cuts;
mod faults;
mod floods;
mod half_closed;
mod handshake;
mod interop;
mod memory;
mod messages;
mod origins;
mod pages;
mod rooms;
mod rooms_departures;
mod rooms_members;
mod rooms_model;
mod rooms_presence;
mod rooms_presence_slow;
mod rooms_slow;
mod rooms_when_slow;
mod shutdown;
mod signals;
mod streams;
mod support;
mod when_slow;
