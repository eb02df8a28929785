//! Servers in memory, on virtual time. (The crate `prism-tests` has the scenarios over real servers.)

mod cluster_nodes;
mod protocol;
mod sentinels;
mod server;
mod silent_servers;
mod strange_servers;
mod turns;
