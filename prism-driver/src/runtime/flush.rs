//! [`poll_flush`]: flushes a transport, and returns what has been achieved when it has to wait.
//!
//! `futures_io` knows only whether a flush is complete. TLS holds up to 48 KiB back, for which a slow peer may take
//! minutes; whether it is too slow depends on how much it takes meanwhile. So a flush of TLS that has to wait returns
//! [`Drained`] first.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::runtime::Transport;

/// How far a flush has got.
pub(crate) enum Flushed {
    All,
    /// The peer has taken this many bytes, and the flush has to go on.
    Some(usize),
}

/// The error that says so.
#[derive(Debug)]
pub(crate) struct Drained(usize);

impl Drained {
    #[cfg(feature = "tls")]
    pub(crate) fn error(count: usize) -> io::Error {
        io::Error::new(io::ErrorKind::Interrupted, Self(count))
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the flush is not complete, but the peer has taken {} bytes", self.0)
    }
}

impl Error for Drained {}

/// Flushes. After [`Flushed::Some`], no waker is kept: flush again.
pub(crate) fn poll_flush<T: Transport + ?Sized>(
    io: Pin<&mut T>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Flushed>> {
    let Err(error) = ready!(io.poll_flush(cx)) else { return Poll::Ready(Ok(Flushed::All)) };
    Poll::Ready(match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Drained(count)) => Ok(Flushed::Some(*count)),
        None => Err(error),
    })
}
