//! What the tools of this crate do. They are one binary, because linking is slower than the tests.

mod axum;
mod faults;
mod http;
mod network;
mod on_tokio;
mod peer;
mod sim;
