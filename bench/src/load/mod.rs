//! The load generator: one thread, one epoll, frames made beforehand, replies counted and dropped.

mod broadcast;
mod client;
mod echo;
mod handshakes;
mod idle;
mod payload;
mod process;
mod reader;
mod sample;
mod silent;
mod span;

pub use self::{
    broadcast::{Broadcast, Deliveries},
    echo::Echo,
    handshakes::Handshakes,
    idle::{Idle, Memory},
    payload::Payload,
    process::Process,
    sample::Sample,
};
