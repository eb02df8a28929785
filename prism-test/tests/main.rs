//! What the tools of this crate do. They are one binary, because linking is slower than the tests.

mod faults;
#[cfg(feature = "hyper")]
mod http;
mod network;
#[cfg(feature = "tokio")]
mod on_tokio;
mod peer;
mod sim;
