//! Shutdown signals, on smol and async-std.

use std::io;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;

/// Windows has no SIGTERM.
const ENDS: &[Signal] = if cfg!(unix) { &[Signal::Int, Signal::Term] } else { &[Signal::Int] };

/// Returns a future that completes when the process is asked to end: by Ctrl-C, or by SIGTERM, which
/// `kill`, systemd and Kubernetes send. Before this function returns, these signals end the process.
pub(crate) fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new(ENDS)?;
    Ok(async move {
        signals.next().await;
    })
}
