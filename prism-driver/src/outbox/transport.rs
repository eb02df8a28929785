//! What a [`OutboxState`] does with its transport: writes, reads, and gives it up.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use prism_core::{Message, Output};

use crate::{
    buffer_pool,
    outbox::{
        queue::MAX_PIECES,
        state::{OutboxState, Written, noop_waker},
    },
    runtime::{Transport, contain::contain_locked},
};

/// Pieces that are this much together are copied into one: the kernel takes longer over many small
/// ones than that costs, for they lie in memory that is warm.
const GATHERED: usize = 32 << 10;

/// How much of what the peer has sent is kept when the transport is given up before it was read: as much as
/// a message may be, unless it is configured.
const UNREAD: usize = 1 << 20;

/// How much of it is read at once.
const UNREAD_AT_ONCE: usize = 64 << 10;

impl OutboxState {
    /// Writes what is unsent, and has the transport flush it; ready when there is nothing left to do.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Written> {
        match ready!(self.poll_write_and_flush(cx)) {
            Ok(()) => Poll::Ready(Written::All),
            Err(error) => {
                self.fail_writing(error);
                Poll::Ready(Written::Failed)
            }
        }
    }

    /// As [`poll_write`](Self::poll_write), in the place of the owner: a panic of its transport is a failed
    /// write, and must not end whoever sends to it.
    pub(crate) fn write_for_owner(&mut self, waker: &Waker) -> Poll<Written> {
        let written = contain_locked(|| self.poll_write(&mut Context::from_waker(waker)));
        written.unwrap_or_else(|| self.fail_by_panic())
    }

    /// Writes the head of a message, which alone is unsent, and then its payload from where it lies, in the
    /// place of the owner.
    pub(crate) fn write_payload_for_owner(&mut self, message: Message<'_>) {
        // Nobody is to be woken: whoever owns the connection writes the rest, and waits then.
        let waker = noop_waker();
        let (mut cx, mut payload) = (Context::from_waker(&waker), message.as_bytes());
        let written = contain_locked(|| self.poll_write_with(&mut cx, &mut payload));
        self.keep_rest(message, payload);
        match written {
            Some(Poll::Ready(Err(error))) => self.fail_writing(error),
            Some(_) => {}
            None => drop(self.fail_by_panic()),
        }
    }

    /// Reads once.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Some(io) => Pin::new(io).poll_read(cx, buf),
            None => self.read_unread(buf).map_or(Poll::Pending, |count| Poll::Ready(Ok(count))),
        }
    }

    /// Reads what is there, so that it can be received when the transport is gone.
    pub(crate) fn keep_unread(&mut self) {
        let Some(io) = &mut self.io else { return };
        let (waker, mut io) = (noop_waker(), Pin::new(io));
        let mut cx = Context::from_waker(&waker);
        let (mut unread, mut len) = (Vec::new(), 0);
        // A transport may wait once before it looks.
        let mut looks = 0..2;
        while looks.next().is_some() && len < UNREAD {
            unread.resize(len + UNREAD_AT_ONCE, 0);
            if let Poll::Ready(Ok(count @ 1..)) = io.as_mut().poll_read(&mut cx, &mut unread[len..])
            {
                (len, looks) = (len + count, 0..2);
            }
        }
        if len > 0 {
            unread.truncate(len);
            unread.shrink_to_fit();
            self.cold().unread = Some(Box::new(io::Cursor::new(unread)));
        }
    }

    /// Ends the transport's write side.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        Pin::new(io).poll_close(cx)
    }

    /// Whether the transport has taken something since this was last asked.
    pub(crate) const fn take_progress(&mut self) -> bool {
        std::mem::replace(&mut self.took, false)
    }

    /// Whether the transport has been given up.
    pub(crate) const fn is_transport_gone(&self) -> bool {
        self.io.is_none()
    }

    /// Gives the transport up: it is the caller's, to be dropped where nobody waits for the lock.
    #[must_use]
    pub(crate) fn give_up(&mut self) -> Option<Box<dyn Transport>> {
        self.give_up_sending();
        self.io.take()
    }

    /// Nothing can be sent any more, whatever the peer still sends.
    pub(crate) fn give_up_sending(&mut self) {
        self.outbound.receive_eof();
        self.discard_unsent();
    }

    /// Whether the transport takes no more, because a write has failed.
    pub(crate) fn has_write_failed(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.write_error.is_some())
    }

    /// Takes the error of the write that has failed, if one has.
    pub(crate) fn take_write_error(&mut self) -> Option<io::Error> {
        self.cold.as_mut()?.write_error.take()
    }

    /// Nothing can be sent any more. What the peer has sent can still be read: an error in one direction
    /// does not end the other, and the peer's close frame says how the connection ended (RFC 6455
    /// §7.1.5).
    fn fail_writing(&mut self, error: io::Error) {
        self.outbound.handle_write_error();
        self.discard_unsent();
        self.unflushed = false;
        self.cold().write_error = Some(error);
    }

    fn fail_by_panic(&mut self) -> Poll<Written> {
        self.fail_writing(io::Error::other("the transport panicked"));
        Poll::Ready(Written::Failed)
    }

    fn discard_unsent(&mut self) {
        let Some(unsent) = self.unsent.take() else { return };
        if !unsent.is_empty() {
            self.cold().lost += unsent.len() as u64;
        }
        buffer_pool::put_send(unsent);
    }

    fn read_unread(&mut self, buf: &mut [u8]) -> Option<usize> {
        let unread = self.cold.as_mut()?.unread.as_mut()?;
        let count = unread.read(buf).unwrap_or_default();
        (count > 0).then_some(count)
    }

    fn poll_write_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_with(cx, &mut &[][..]))?;
        if self.unflushed {
            let Some(io) = &mut self.io else { return Poll::Pending };
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
            self.took = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is unsent, and then a payload that follows it directly; `tail` is what the transport
    /// has not taken of that.
    fn poll_write_with(&mut self, cx: &mut Context<'_>, tail: &mut &[u8]) -> Poll<io::Result<()>> {
        let outcome = loop {
            let front = self.unsent();
            if front == 0 && tail.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match self.poll_write_once(cx, tail) {
                Poll::Ready(Ok(count)) => *tail = &tail[count.saturating_sub(front)..],
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            if let Some(unsent) = &mut self.unsent
                && tail.is_empty()
            {
                // Nothing may come between a head and its payload.
                self.outbound.poll_pong(&mut **unsent);
            }
        };
        self.return_memory();
        outcome
    }

    /// Keeps what the transport has not taken of a message.
    fn keep_rest(&mut self, message: Message<'_>, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let shared = self.share(message);
        let unsent = self.unsent.get_or_insert_with(buffer_pool::take_send);
        if let Some(shared) = shared {
            unsent.append_rest(&shared, payload.len());
        } else {
            unsent.reserve(payload.len());
            unsent.buffer().extend_from_slice(payload);
        }
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>, tail: &[u8]) -> Poll<io::Result<usize>> {
        let (Some(io), Some(unsent)) = (&mut self.io, &mut self.unsent) else {
            return Poll::Pending;
        };
        let io = Pin::new(io);
        let written = match unsent.contiguous() {
            Some(bytes) if tail.is_empty() => io.poll_write(cx, bytes),
            _ => {
                let mut pieces = [io::IoSlice::new(&[]); MAX_PIECES];
                let count = unsent.pieces(tail, &mut pieces);
                let pieces = &pieces[..count];
                let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
                if tail.is_empty() && bytes <= GATHERED {
                    write_gathered(io, cx, pieces)
                } else {
                    io.poll_write_vectored(cx, pieces)
                }
            }
        };
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => {
                unsent.advance(count.min(unsent.len()));
                if let Some(written) = self.cold.as_mut().and_then(|cold| cold.written.as_mut()) {
                    *written += count as u64;
                }
                self.unflushed = true;
                self.took = true;
                Poll::Ready(Ok(count))
            }
        }
    }
}

/// Writes several pieces as one.
fn write_gathered(
    io: Pin<&mut Box<dyn Transport>>,
    cx: &mut Context<'_>,
    pieces: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    buffer_pool::with_scratch(|scratch| {
        pieces.iter().for_each(|piece| scratch.extend_from_slice(piece));
        io.poll_write(cx, scratch)
    })
}
