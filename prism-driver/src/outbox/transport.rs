//! The transport of an [`OutboxState`]: how it is written to, read, and given up.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use prism_core::Output;

use crate::{
    buffer_pool,
    outbox::{
        queue::{MAX_PIECES, SendQueue, frame::FrameBytes, sequence::MAX_JOINED},
        source::{LARGE_PAYLOAD, Payload},
        state::{OutboxState, Written, noop_waker},
    },
    runtime::{
        Transport,
        contain::contain_locked,
        flush::{Flushed, poll_flush},
    },
};

/// Pieces of up to this many bytes in total are copied into one: many small pieces cost the kernel more than the copy
/// does, because they are in cached memory.
const GATHERED: usize = MAX_JOINED;

/// The maximum number of unread bytes that are kept when the transport is given up: the default limit of a message.
const UNREAD: usize = 1 << 20;

/// How many of them are read at once.
const UNREAD_AT_ONCE: usize = 64 << 10;

/// How often the transport may have nothing at the moment before no more is read. Over TLS, a peer could otherwise send
/// one byte now and then between many records without content, and an outbox is locked meanwhile.
const MAX_WAITS: usize = 8;

impl OutboxState {
    /// Writes the unsent bytes and flushes the transport. Is ready when nothing is left to do.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Written> {
        let mut written = ready!(self.poll_write_with(cx, &mut &[][..]));
        if written.is_ok() && self.unflushed {
            written = ready!(self.poll_flush(cx));
        }
        Poll::Ready(match written {
            Ok(()) => Written::All,
            Err(error) => {
                self.fail_writing(error);
                Written::Failed
            }
        })
    }

    /// Writes as [`poll_write`](Self::poll_write) does, on behalf of the owner. A panic of the transport counts as a
    /// failed write: it must not end the sender.
    pub(crate) fn write_for_owner(&mut self, waker: &Waker) -> Poll<Written> {
        let written = contain_locked(|| self.poll_write(&mut Context::from_waker(waker)));
        written.unwrap_or_else(|| self.fail_by_panic())
    }

    /// Writes the head of a message, when nothing else is unsent, and then its payload without a copy, on behalf of the
    /// owner.
    pub(crate) fn write_payload_for_owner(&mut self, payload: &mut Payload<'_>) {
        // No task is to be woken: the owner writes the rest, and waits then.
        let waker = noop_waker();
        let message = payload.as_message();
        let (mut cx, mut rest) = (Context::from_waker(&waker), message.as_bytes());
        let written = contain_locked(|| self.poll_write_with(&mut cx, &mut rest));
        let unwritten = rest.len();
        self.keep_rest(payload, unwritten);
        match written {
            Some(Poll::Ready(Err(error))) => self.fail_writing(error),
            Some(_) => {}
            None => drop(self.fail_by_panic()),
        }
    }

    /// Reads once, from the transport or from the bytes kept when it was given up.
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

    /// Reads the bytes that have arrived, so that they can be received when the transport is gone.
    pub(crate) fn keep_unread(&mut self) {
        let Some(io) = &mut self.io else { return };
        let (waker, mut io) = (noop_waker(), Pin::new(io));
        let mut cx = Context::from_waker(&waker);
        let (mut unread, mut len) = (Vec::new(), 0);
        // A transport may wait once before it looks for data.
        let (mut waits, mut has_waited) = (0, false);
        while len < UNREAD {
            unread.resize(len + UNREAD_AT_ONCE, 0);
            match io.as_mut().poll_read(&mut cx, &mut unread[len..]) {
                Poll::Ready(Ok(count @ 1..)) => (len, has_waited) = (len + count, false),
                Poll::Pending if !has_waited && waits < MAX_WAITS => {
                    (waits, has_waited) = (waits + 1, true);
                }
                _ => break,
            }
        }
        if len > 0 {
            unread.truncate(len);
            unread.shrink_to_fit();
            self.cold().unread = Some(Box::new(io::Cursor::new(unread)));
        }
    }

    /// Shuts the transport's write side down.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        Pin::new(io).poll_close(cx)
    }

    /// Returns whether the transport has been given up.
    pub(crate) const fn is_transport_gone(&self) -> bool {
        self.io.is_none()
    }

    /// Gives the transport up. The caller has to drop it where no lock is held.
    #[must_use]
    pub(crate) fn give_up(&mut self) -> Option<Box<dyn Transport>> {
        self.give_up_sending();
        self.io.take()
    }

    /// Notes that nothing can be sent any more, whatever the peer still sends.
    pub(crate) fn give_up_sending(&mut self) {
        self.outbound.receive_eof();
        self.discard_unsent();
    }

    /// Returns whether the transport takes no more, because a write has failed.
    pub(crate) fn has_write_failed(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.write_error.is_some())
    }

    /// Takes the error of the write that has failed, if there is one.
    pub(crate) fn take_write_error(&mut self) -> Option<io::Error> {
        self.cold.as_mut()?.write_error.take()
    }

    /// Notes that nothing can be sent any more. The peer's bytes can still be read: an error in one direction does not
    /// end the other, and the peer's close frame says how the connection ended (RFC 6455 §7.1.5).
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
        self.count_sent(0);
        let Some(queue) = self.queue.take() else { return };
        if !queue.is_empty() {
            self.cold().lost += queue.len() as u64;
        }
        buffer_pool::put_send(queue);
    }

    fn read_unread(&mut self, buf: &mut [u8]) -> Option<usize> {
        let unread = self.cold.as_mut()?.unread.as_mut()?;
        let count = unread.read(buf).unwrap_or_default();
        (count > 0).then_some(count)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(io) = &mut self.io else { return Poll::Pending };
            let flushed = ready!(poll_flush(Pin::new(io), cx))?;
            self.took = true;
            match flushed {
                Flushed::All => break,
                // These bytes were counted when the transport accepted them. But only now the peer takes them. Nothing
                // is unsent here, so no `Outbox::flush` returns early because they count twice.
                Flushed::Some(count) => self.count_written(count),
            }
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn count_written(&mut self, count: usize) {
        if let Some(written) = self.cold.as_mut().and_then(|cold| cold.written.as_mut()) {
            *written += count as u64;
        }
    }

    /// Writes the unsent bytes, and then a payload that follows them directly. `tail` becomes the part of the payload
    /// that the transport has not taken.
    #[inline(always)] // Where there is no payload, half of this is not needed.
    fn poll_write_with(&mut self, cx: &mut Context<'_>, tail: &mut &[u8]) -> Poll<io::Result<()>> {
        let mut total = 0;
        let outcome = loop {
            let front = self.unsent_bytes();
            if front == 0 && tail.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match self.poll_write_once(cx, tail) {
                Poll::Ready(Ok(count)) => {
                    *tail = &tail[count.saturating_sub(front)..];
                    total += count as u64;
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => {
                    if let Some(queue) = &mut self.queue {
                        queue.note_stalled();
                    }
                    break Poll::Pending;
                }
            }
            // This cannot add a pong between a head and its payload. A payload is passed only if the outbox was idle,
            // and a pong that was held back was added here before the outbox became idle. (With `DropOldest`, an
            // outbox can also become idle because messages are dropped, but it never writes a payload like this.)
            if let Some(queue) = &mut self.queue {
                self.outbound.poll_pong(&mut **queue);
            }
        };
        self.count_sent(total);
        self.return_memory();
        outcome
    }

    /// Keeps the last `unwritten` bytes of a message, which the transport has not taken. If they are few, they are
    /// copied, so that they do not keep all of the sender's memory.
    fn keep_rest(&mut self, payload: &mut Payload<'_>, unwritten: usize) {
        if unwritten == 0 {
            return;
        }
        let kept = if unwritten >= LARGE_PAYLOAD { payload.take() } else { None };
        let kept = kept.or_else(|| self.share(payload.as_message()).map(FrameBytes::from));
        let queue = self.queue.get_or_insert_with(buffer_pool::take_send);
        if let Some(frame) = kept {
            queue.append_rest(frame, unwritten);
        } else {
            let message = payload.as_message().as_bytes();
            queue.reserve(unwritten);
            queue.buffer().extend_from_slice(&message[message.len() - unwritten..]);
        }
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>, tail: &[u8]) -> Poll<io::Result<usize>> {
        let (Some(io), Some(queue)) = (&mut self.io, &mut self.queue) else {
            return Poll::Pending;
        };
        let io = Pin::new(io);
        let written = match queue.contiguous() {
            Some(bytes) if tail.is_empty() => io.poll_write(cx, bytes),
            _ => write_pieces(io, cx, queue, tail),
        };
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => {
                queue.advance(count.min(queue.len()));
                self.unflushed = true;
                self.took = true;
                self.count_written(count);
                Poll::Ready(Ok(count))
            }
        }
    }
}

/// Writes the first pieces of a queue, and a tail.
#[inline(never)] // Most writes are of one piece, and need no room for pieces on the stack.
fn write_pieces(
    io: Pin<&mut Box<dyn Transport>>,
    cx: &mut Context<'_>,
    queue: &SendQueue,
    tail: &[u8],
) -> Poll<io::Result<usize>> {
    let mut pieces = [io::IoSlice::new(&[]); MAX_PIECES];
    let count = queue.pieces(tail, &mut pieces);
    let pieces = &pieces[..count];
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    if tail.is_empty() && bytes <= GATHERED {
        write_gathered(io, cx, pieces)
    } else {
        io.poll_write_vectored(cx, pieces)
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
