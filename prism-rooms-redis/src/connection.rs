//! [`Connection`]: a connection to Redis: bytes out, frames in.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use prism_driver::Transport;

use crate::{
    command,
    error::{Purpose, SessionError},
    resp::{Decoder, Frame, Scalars},
};

/// How many bytes are read in a turn. They are passed on before more are read, so they bound what waits in memory;
/// meanwhile TCP holds Redis back.
const MAX_TURN: usize = 64 << 10;

/// How many bytes are read at once.
const MAX_READ: usize = 16 << 10;

/// A buffer that has grown larger than this is not kept once all of it is written.
const KEPT_BUFFER: usize = 256 << 10;

pub(crate) struct Connection {
    stream: Box<dyn Transport>,
    /// None while others may still fail to open: which one fails first is chance.
    purpose: Option<Purpose>,
    decoder: Decoder,
    /// What has just been read.
    chunk: Box<[u8]>,
    /// What is to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    wants_flush: bool,
    /// Why nothing can be written any more.
    write_error: Option<io::Error>,
    /// How many bytes may still be read in this turn.
    turn: usize,
}

impl Connection {
    pub(crate) fn new(stream: impl Transport) -> Self {
        Self {
            stream: Box::new(stream),
            purpose: None,
            decoder: Decoder::default(),
            chunk: vec![0; MAX_READ].into(),
            out: Vec::new(),
            written: 0,
            wants_flush: false,
            write_error: None,
            turn: 0,
        }
    }

    /// Lets errors say what the connection is for.
    pub(crate) const fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = Some(purpose);
    }

    /// Waits for the reply to the oldest command, all of which are written first. The inner error is what Redis says.
    pub(crate) async fn reply(&mut self) -> Result<Result<Scalars, Bytes>, SessionError> {
        loop {
            let frame = poll_fn(|cx| {
                self.start_turn();
                self.write(cx);
                let frame = self.poll_frame(cx);
                if frame.is_pending() && self.used_up_turn() {
                    cx.waker().wake_by_ref();
                }
                frame
            });
            match frame.await? {
                Frame::Reply(scalars) => return Ok(Ok(scalars)),
                Frame::Error(why) => return Ok(Err(why)),
                Frame::Push(_) => {} // no subscription yet, so this is something that Redis tells everyone
            }
        }
    }

    /// Adds a command, to be written later.
    pub(crate) fn push(&mut self, words: &[&[u8]]) {
        command::push(&mut self.out, words);
    }

    /// Returns where commands are added, to be written later.
    pub(crate) const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes as much as the connection takes. If that fails, [`poll_frame`](Self::poll_frame) says so after all that
    /// Redis has said before: it may have said why.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        if self.write_error.is_none()
            && let Poll::Ready(Err(error)) = self.poll_write(cx)
        {
            self.write_error = Some(error);
        }
        self.forget_written();
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.wants_flush = true;
        }
        if self.wants_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.wants_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Forgets what is written, once that is at least half, so that each byte is moved once at most on average.
    fn forget_written(&mut self) {
        if self.written >= self.out.len() / 2 {
            self.out.drain(..self.written);
            self.written = 0;
        }
        if self.out.is_empty() && self.out.capacity() > KEPT_BUFFER {
            self.out = Vec::new();
        }
    }

    /// Allows as many bytes to be read as belong to a turn.
    pub(crate) const fn start_turn(&mut self) {
        self.turn = MAX_TURN;
    }

    /// Returns whether the turn has ended because it was used up, and not because there is nothing to read.
    pub(crate) const fn used_up_turn(&self) -> bool {
        self.turn == 0
    }

    /// Returns the next frame. Pending, without a wakeup, if the turn is used up.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, SessionError>> {
        loop {
            if let Some(frame) = self.decoder.poll_frame()? {
                return Poll::Ready(Ok(frame));
            }
            let len = self.turn.min(MAX_READ);
            if len == 0 {
                return Poll::Pending;
            }
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.chunk[..len]);
            let error = match read {
                Poll::Ready(Ok(0)) => SessionError::Closed(self.purpose),
                Poll::Ready(Ok(count)) => {
                    self.turn -= count;
                    self.decoder.receive(&self.chunk[..count]);
                    continue;
                }
                Poll::Ready(Err(error)) => {
                    SessionError::Io(self.purpose, self.write_error.take().unwrap_or(error))
                }
                Poll::Pending => match self.write_error.take() {
                    Some(error) => SessionError::Io(self.purpose, error),
                    None => return Poll::Pending,
                },
            };
            return Poll::Ready(Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::{Connection, KEPT_BUFFER};

    #[test]
    fn what_is_written_takes_no_memory() {
        let (_server, client, faults) = prism_test::pipe();
        let mut connection = Connection::new(client);
        let mut cx = Context::from_waker(Waker::noop());
        faults.to_server().set_capacity(600 << 10);
        connection.push(&[&[b'x'; 1 << 20]]);
        connection.write(&mut cx);
        assert!(connection.out.len() < 1 << 19, "{}", connection.out.len());
        faults.to_server().set_capacity(2 << 20);
        connection.write(&mut cx);
        assert!(connection.out.capacity() <= KEPT_BUFFER, "{}", connection.out.capacity());
    }
}
