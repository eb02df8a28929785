//! [`Checked`]: the transport below TLS, as `futures-rustls` expects it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;

/// A transport below TLS. It makes up for three things that `futures-rustls` 0.26 leaves to its transport:
///
/// - A write of zero bytes is an error. A flush of TLS would repeat it forever.
/// - A flush that was pending during the handshake goes on with the next read. It would be forgotten, and the peer
///   would wait for bytes that the transport holds back.
/// - The number of bytes that are read during the handshake is limited.
pub(crate) struct Checked<T> {
    transport: T,
    /// How many more bytes the handshake may read.
    allowance: u32,
    /// Whether a flush is pending.
    flushing: bool,
}

/// The allowance when there is no limit.
const NO_LIMIT: u32 = u32::MAX;

impl<T> Checked<T> {
    /// Limits how many bytes are read until [`handshake_is_over`](Self::handshake_is_over) is called.
    pub(crate) const fn new(transport: T, allowance: Option<u32>) -> Self {
        let allowance = match allowance {
            Some(allowance) => allowance,
            None => NO_LIMIT,
        };
        Self { transport, allowance, flushing: false }
    }

    pub(crate) const fn handshake_is_over(&mut self) {
        self.allowance = NO_LIMIT;
    }

    const fn inner(&mut self) -> Pin<&mut T>
    where
        T: Unpin,
    {
        Pin::new(&mut self.transport)
    }
}

impl<T: Transport> AsyncRead for Checked<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.flushing
            && let Poll::Ready(Err(error)) = self.as_mut().poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        if self.allowance == NO_LIMIT {
            return self.inner().poll_read(cx, buf);
        }
        let most = buf.len().min(self.allowance as usize);
        if most == 0 && !buf.is_empty() {
            let error = "the peer sent too much during the TLS handshake";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let count = ready!(self.inner().poll_read(cx, &mut buf[..most]))?;
        self.allowance -= u32::try_from(count).unwrap_or(self.allowance).min(self.allowance);
        Poll::Ready(Ok(count))
    }
}

impl<T: Transport> AsyncWrite for Checked<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.inner().poll_write(cx, buf))? {
            0 if !buf.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.inner().poll_write_vectored(cx, bufs))? {
            0 if bufs.iter().any(|buf| !buf.is_empty()) => {
                Poll::Ready(Err(io::ErrorKind::WriteZero.into()))
            }
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner().poll_flush(cx);
        self.flushing = flushed.is_pending();
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use futures_io::{AsyncRead, AsyncWrite};

    use super::Checked;

    /// A transport that takes nothing, whose first flushes are pending, and that has endless input.
    #[derive(Default)]
    struct Odd {
        pending_flushes: usize,
        flushes: usize,
    }

    impl AsyncRead for Odd {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }
    }

    impl AsyncWrite for Odd {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(0))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if self.flushes > self.pending_flushes { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_write_of_zero_bytes_is_an_error() {
        let mut checked = pin!(Checked::new(Odd::default(), None));
        let kind = |written: Poll<io::Result<usize>>| match written {
            Poll::Ready(Err(error)) => Some(error.kind()),
            _ => None,
        };
        let written = checked.as_mut().poll_write(&mut cx(), b"a");
        assert_eq!(kind(written), Some(io::ErrorKind::WriteZero));
        let pieces = [io::IoSlice::new(b""), io::IoSlice::new(b"a")];
        let written = checked.as_mut().poll_write_vectored(&mut cx(), &pieces);
        assert_eq!(kind(written), Some(io::ErrorKind::WriteZero));
        // To write nothing is no error.
        assert!(matches!(checked.as_mut().poll_write(&mut cx(), b""), Poll::Ready(Ok(0))));
    }

    #[test]
    fn a_pending_flush_goes_on_with_the_next_reads() {
        let odd = Odd { pending_flushes: 2, ..Odd::default() };
        let mut checked = pin!(Checked::new(odd, None));
        assert!(checked.as_mut().poll_flush(&mut cx()).is_pending());
        for flushes in [2, 3, 3] {
            assert!(checked.as_mut().poll_read(&mut cx(), &mut [0]).is_ready());
            assert_eq!(checked.transport.flushes, flushes);
        }
    }

    #[test]
    fn a_handshake_reads_no_more_than_its_limit() {
        let mut checked = pin!(Checked::new(Odd::default(), Some(10)));
        let mut read = |len: usize| checked.as_mut().poll_read(&mut cx(), &mut vec![0; len]);
        assert!(matches!(read(7), Poll::Ready(Ok(7))));
        assert!(matches!(read(7), Poll::Ready(Ok(3))));
        let Poll::Ready(Err(error)) = read(7) else { panic!("the limit is passed") };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        checked.handshake_is_over();
        assert!(matches!(checked.poll_read(&mut cx(), &mut [0; 20]), Poll::Ready(Ok(20))));
    }
}
