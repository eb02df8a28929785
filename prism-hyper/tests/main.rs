//! Prism under hyper, over real sockets: HTTP/1.1 on each runtime, HTTP/2 on tokio.

mod common;
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "http2")]
mod http2_memory;
