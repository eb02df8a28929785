//! The scenarios of the core, one file a topic. They are one binary, because linking is slower than the tests.

mod allocations;
mod chunking;
mod close;
mod close_timeout;
mod common;
mod control;
mod exhaustive;
mod fragmentation;
mod frames;
mod handshake_client;
mod handshake_server;
mod keepalive;
mod latency;
mod limits;
mod masking;
mod paths;
mod prepared;
mod properties;
mod requests;
mod utf8;
mod values;
mod write_error;
