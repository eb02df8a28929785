//! Servers in memory, on virtual time. The tests of `prism-rooms-redis` share some of it. (The crate `prism-tests` has
//! the scenarios over real servers.)

mod confirmations;
mod lame_duck;
mod limits;
mod protocol;
#[path = "../../prism-rooms-redis/tests/server.rs"]
mod server;
mod servers;
#[path = "../../prism-rooms-redis/tests/silent_servers.rs"]
mod silent_servers;
mod strange_servers;
#[path = "../../prism-rooms-redis/tests/turns.rs"]
mod turns;
