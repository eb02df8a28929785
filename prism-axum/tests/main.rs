//! Prism under axum, over real sockets.

mod common;
mod http1;
mod http2;
