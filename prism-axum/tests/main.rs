//! Prism under axum, over real sockets.

mod common;
mod http1;
#[cfg(feature = "http2")]
mod http2;
