//! [`Checked`]: the transport below TLS, as `futures-rustls` expects it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;

/// A transport below TLS. It makes up for what `futures-rustls` 0.26 leaves to its transport:
///
/// - A write of zero bytes is an error. A flush of TLS would repeat it forever.
/// - A flush that was pending during the handshake goes on with the next read. It would be forgotten, and the peer
///   would wait for bytes that the transport holds back.
/// - The number of bytes that are read during the handshake is limited.
/// - After the handshake, a peer could send records without content, such as `KeyUpdate`, one after the other. A single
///   read would take all of them, and might never end. So each [turn](Self::begin_turn) is limited, and so is the number
///   of bytes between two records with content.
pub(crate) struct Checked<T> {
    transport: T,
    /// How many more bytes the handshake may read, or the records until there is content.
    allowance: u32,
    /// How many more bytes may be read in this turn.
    turn: u32,
    is_open: bool,
    /// Whether a flush is pending.
    flushing: bool,
}

/// The allowance when there is no limit.
const NO_LIMIT: u32 = u32::MAX;

/// The longest turn. The longest record takes about half of it.
const MAX_TURN: u32 = 32 << 10;

/// How many bytes a peer may send without content. Much more than the session tickets of any server.
const MAX_WITHOUT_CONTENT: u32 = 256 << 10;

impl<T> Checked<T> {
    /// Limits how many bytes are read until [`handshake_is_over`](Self::handshake_is_over) is called.
    pub(crate) const fn new(transport: T, allowance: Option<u32>) -> Self {
        let allowance = match allowance {
            Some(allowance) => allowance,
            None => NO_LIMIT,
        };
        Self { transport, allowance, turn: NO_LIMIT, is_open: false, flushing: false }
    }

    pub(crate) const fn handshake_is_over(&mut self) {
        self.is_open = true;
        self.content_has_arrived();
    }

    pub(crate) const fn content_has_arrived(&mut self) {
        self.allowance = MAX_WITHOUT_CONTENT;
    }

    /// Allows some more reads. After those, the task is woken, so that it goes on when others have had their turn.
    pub(crate) const fn begin_turn(&mut self) {
        self.turn = MAX_TURN;
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
        if self.turn == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = buf.len().min(self.allowance.min(self.turn) as usize);
        if most == 0 && !buf.is_empty() {
            let error = match self.is_open {
                false => "the peer sent too much during the TLS handshake",
                true => "the peer sent too many TLS records without content",
            };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let count = ready!(self.inner().poll_read(cx, &mut buf[..most]))?;
        let Self { allowance, turn, .. } = &mut *self;
        for limit in [allowance, turn] {
            if *limit != NO_LIMIT {
                *limit = limit.saturating_sub(u32::try_from(count).unwrap_or(NO_LIMIT));
            }
        }
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

    /// Reads until nothing more may be read, and returns how much that was and why it was all.
    fn read_all(checked: &mut Pin<&mut Checked<Odd>>) -> (usize, Poll<io::ErrorKind>) {
        let mut all = 0;
        loop {
            match checked.as_mut().poll_read(&mut cx(), &mut [0; 1000]) {
                Poll::Ready(Ok(count)) => all += count,
                Poll::Ready(Err(error)) => return (all, Poll::Ready(error.kind())),
                Poll::Pending => return (all, Poll::Pending),
            }
        }
    }

    #[test]
    fn records_without_content_end_the_turn_and_at_last_the_connection() {
        let mut checked = pin!(Checked::new(Odd::default(), None));
        checked.handshake_is_over();
        for _ in 0..2 {
            for _ in 0..7 {
                checked.begin_turn();
                assert_eq!(read_all(&mut checked), (32 << 10, Poll::Pending));
            }
            checked.content_has_arrived();
        }
        for _ in 0..8 {
            checked.begin_turn();
            assert_eq!(read_all(&mut checked), (32 << 10, Poll::Pending));
        }
        checked.begin_turn();
        assert_eq!(read_all(&mut checked), (0, Poll::Ready(io::ErrorKind::InvalidData)));
    }
}
