//! Servers in memory, on virtual time. (The crate `prism-tests` has the scenarios over real servers.)

mod confirmations;
mod lame_duck;
mod limits;
mod server;
mod servers;
mod strange_servers;
mod turns;
