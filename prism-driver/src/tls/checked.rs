//! [`Checked`]: the transport below TLS, as `futures-rustls` expects it.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{runtime::Transport, tls::records::Records};

/// A transport below TLS. It makes up for what `futures-rustls` 0.26 leaves to its transport:
///
/// - A write of zero bytes is an error. A flush of TLS would repeat it forever.
/// - A flush that was pending during the handshake goes on with the next read. It would be forgotten, and the peer
///   would wait for bytes that the transport holds back.
/// - The number of bytes that are read during the handshake is limited.
/// - A peer could send records without content, such as `KeyUpdate` or tickets, one after the other. A single read
///   would take all of them, and might never end. So the bytes without content of each [turn](MAX_TURN) are limited,
///   and also those between two records with content.
pub(crate) struct Checked<T> {
    transport: T,
    /// How many more bytes the handshake may read, or the records until there is content.
    allowance: u32,
    /// How much more may be read in this turn: bytes without content, and the [cost](RECORD) of records.
    turn: u32,
    /// How many bytes the transport has taken since [`take_drained`](Self::take_drained).
    drained: u16,
    records: Records,
    is_open: bool,
    /// Whether a flush is pending.
    flushing: bool,
}

/// How many bytes without content are read in a turn. A turn ends when a read is pending: because the transport has no
/// more, or because this is used up. In the latter case the task is woken, and others run first. The longest record
/// takes about half of a turn before its content counts. During the handshake, one poll may take several turns: there,
/// the limit of the handshake counts.
const MAX_TURN: u32 = 32 << 10;

/// The cost of a record, besides its bytes: it is decrypted by itself, and may change the keys, which takes some
/// microseconds.
const RECORD: usize = 128;

/// How many bytes a peer may send without content: much more than the session tickets of any server. A single byte of
/// content begins the count again, because its record may have 16 KiB of padding (RFC 8446 §5.4).
const MAX_WITHOUT_CONTENT: u32 = 256 << 10;

impl<T> Checked<T> {
    /// Limits how many bytes are read until [`handshake_is_over`](Self::handshake_is_over) is called.
    pub(crate) const fn new(transport: T, allowance: u32) -> Self {
        Self {
            transport,
            allowance,
            turn: MAX_TURN,
            drained: 0,
            records: Records::new(),
            is_open: false,
            flushing: false,
        }
    }

    pub(crate) const fn handshake_is_over(&mut self) {
        self.is_open = true;
        self.allowance = MAX_WITHOUT_CONTENT;
    }

    /// Notes that this many bytes of content have arrived. They do not count, unlike the rest of their records.
    pub(crate) fn content_has_arrived(&mut self, count: usize) {
        self.allowance = MAX_WITHOUT_CONTENT;
        self.turn = self.turn.saturating_add(len(count)).min(MAX_TURN);
    }

    /// Returns how many bytes the transport has taken since the last call.
    pub(crate) const fn take_drained(&mut self) -> usize {
        mem::replace(&mut self.drained, 0) as usize
    }

    /// Counts bytes that the transport has taken. Hardly more than 48 KiB wait for it.
    fn note_drained(&mut self, count: usize) {
        self.drained = self.drained.saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
    }

    pub(crate) fn into_inner(self) -> T {
        self.transport
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
            self.turn = MAX_TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.allowance == 0 {
            let error = match self.is_open {
                false => "the peer sent too much during the TLS handshake",
                true => "the peer sent too many TLS records without content",
            };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let most = buf.len().min(self.allowance.min(self.turn) as usize);
        let Poll::Ready(read) = self.inner().poll_read(cx, &mut buf[..most]) else {
            self.turn = MAX_TURN;
            return Poll::Pending;
        };
        let count = read?;
        self.allowance = self.allowance.saturating_sub(len(count));
        let cost = count + RECORD * self.records.count(&buf[..count]);
        self.turn = self.turn.saturating_sub(len(cost));
        if self.allowance == 0 {
            // The bytes may complete the handshake, and end with what follows it. So the next read is pending, and only
            // the one after it an error.
            self.turn = 0;
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
            count => {
                self.note_drained(count);
                Poll::Ready(Ok(count))
            }
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
            count => {
                self.note_drained(count);
                Poll::Ready(Ok(count))
            }
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

/// Returns a number of bytes. No buffer is so large that it does not fit.
fn len(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use futures_io::{AsyncRead, AsyncWrite};

    use super::{Checked, MAX_WITHOUT_CONTENT, RECORD};

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
            buf.fill(0xff); // very long records
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
    fn it_is_small() {
        // Each open connection over TLS has one.
        assert_eq!(size_of::<Checked<u64>>(), size_of::<u64>() + 16);
    }

    #[test]
    fn a_write_of_zero_bytes_is_an_error() {
        let mut checked = pin!(Checked::new(Odd::default(), 64 << 10));
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
        let mut checked = pin!(Checked::new(odd, 10));
        assert!(checked.as_mut().poll_flush(&mut cx()).is_pending());
        for flushes in [2, 3, 3] {
            assert!(checked.as_mut().poll_read(&mut cx(), &mut [0]).is_ready());
            assert_eq!(checked.transport.flushes, flushes);
        }
    }

    #[test]
    fn a_handshake_reads_no_more_than_its_limit() {
        let mut checked = pin!(Checked::new(Odd::default(), 10));
        let mut read = |len: usize| checked.as_mut().poll_read(&mut cx(), &mut vec![0; len]);
        assert!(matches!(read(7), Poll::Ready(Ok(7))));
        assert!(matches!(read(7), Poll::Ready(Ok(3))));
        // Those may have completed the handshake.
        assert!(read(7).is_pending());
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

    /// Reads for a whole turn, and returns how much that was.
    fn turn(checked: &mut Pin<&mut Checked<Odd>>) -> usize {
        let (count, end) = read_all(checked);
        assert_eq!(end, Poll::Pending);
        count
    }

    #[test]
    fn records_without_content_end_the_turn_and_at_last_the_connection() {
        let mut checked = pin!(Checked::new(Odd::default(), 10));
        checked.handshake_is_over();
        for _ in 0..2 {
            for _ in 0..7 {
                // Perhaps one record begins.
                let expected = (32 << 10) - RECORD..=32 << 10;
                assert!(expected.contains(&turn(&mut checked)));
            }
            checked.content_has_arrived(0);
        }
        let all: usize = (0..9).map(|_| turn(&mut checked)).sum();
        assert_eq!(all, 256 << 10);
        assert_eq!(read_all(&mut checked), (0, Poll::Ready(io::ErrorKind::InvalidData)));
    }

    #[test]
    fn a_byte_of_content_does_not_begin_another_turn() {
        let mut checked = pin!(Checked::new(Odd::default(), 10));
        checked.handshake_is_over();
        let mut all = 0;
        while let Poll::Ready(read) = checked.as_mut().poll_read(&mut cx(), &mut [0; 1000]) {
            let count = read.expect("there is content");
            checked.content_has_arrived(count / 100);
            all += count;
            assert!(all < 40 << 10, "it would never end");
        }
        // But content itself does not end a turn.
        for _ in 0..1000 {
            assert!(checked.as_mut().poll_read(&mut cx(), &mut [0; 1000]).is_ready());
            checked.content_has_arrived(1000);
        }
        assert_eq!(checked.allowance, MAX_WITHOUT_CONTENT);
    }
}
