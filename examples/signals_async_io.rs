//! How a server learns that it is to end, on smol and on async-std.

use std::io;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;

/// Windows knows no SIGTERM.
const ENDS: &[Signal] = if cfg!(unix) { &[Signal::Int, Signal::Term] } else { &[Signal::Int] };

/// Ready when somebody wants the process to end: by Ctrl-C, or by SIGTERM, as `kill`, systemd and
/// Kubernetes do. They are listened to as soon as this returns; until then they end the process.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new(ENDS)?;
    Ok(async move {
        signals.next().await;
    })
}
