//! [`ServiceConnection`]: a connection to a server with another protocol: bytes out, what the server says in.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;

/// How many bytes are read in a turn. They are passed on before more are read, so they bound what waits in memory;
/// meanwhile TCP holds the server back.
const MAX_TURN: usize = 64 << 10;

/// How many bytes are read at once.
const MAX_READ: usize = 16 << 10;

/// A buffer that has grown larger than this is not kept once all of it is written.
const KEPT_BUFFER: usize = 256 << 10;

/// Finds what a server says in the bytes that arrive.
pub trait ServiceDecoder {
    /// Something that the server says.
    type Item;
    /// Why the bytes are not valid.
    type Error;

    /// Adds what has arrived.
    fn receive(&mut self, bytes: &[u8]);

    /// Returns the next item, if all of it has arrived.
    ///
    /// # Errors
    /// If the bytes are not valid.
    fn poll_item(&mut self) -> Result<Option<Self::Item>, Self::Error>;
}

/// Why a connection cannot be used any more.
#[derive(Debug)]
pub enum ServiceError<E> {
    /// The server has closed it.
    Closed,
    /// It has failed.
    Io(io::Error),
    /// The server has sent what is not valid.
    Invalid(E),
}

/// A connection to a server, such as a message broker.
pub struct ServiceConnection<D> {
    stream: Box<dyn Transport>,
    decoder: D,
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

impl<D: ServiceDecoder> ServiceConnection<D> {
    /// Creates a connection over a stream.
    pub fn new(stream: impl Transport, decoder: D) -> Self {
        Self {
            stream: Box::new(stream),
            decoder,
            chunk: vec![0; MAX_READ].into(),
            out: Vec::new(),
            written: 0,
            wants_flush: false,
            write_error: None,
            turn: 0,
        }
    }

    /// Returns the stream, and the decoder with what has arrived. What was not written is lost.
    pub fn into_parts(self) -> (impl Transport, D) {
        (self.stream, self.decoder)
    }

    /// Returns where bytes are added, to be written later.
    pub const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes all that was added, and waits for the next item. For the time before there are turns. Cancel-safe.
    ///
    /// # Errors
    /// If the connection has ended, or the server has sent what is not valid.
    pub async fn next_item(&mut self) -> Result<D::Item, ServiceError<D::Error>> {
        poll_fn(|cx| {
            self.start_turn();
            self.write(cx);
            let item = self.poll_item(cx);
            if item.is_pending() && self.used_up_turn() {
                cx.waker().wake_by_ref();
            }
            item
        })
        .await
    }

    /// Writes as much as the connection takes. If that fails, [`poll_item`](Self::poll_item) says so after all that the
    /// server has said before: it may have said why.
    pub fn write(&mut self, cx: &mut Context<'_>) {
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
    pub const fn start_turn(&mut self) {
        self.turn = MAX_TURN;
    }

    /// Returns whether the turn has ended because it was used up, and not because there is nothing to read.
    pub const fn used_up_turn(&self) -> bool {
        self.turn == 0
    }

    /// Returns the next item. Pending, without a wakeup, if the turn is used up.
    ///
    /// # Errors
    /// If the connection has ended, or the server has sent what is not valid.
    pub fn poll_item(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<D::Item, ServiceError<D::Error>>> {
        loop {
            if let Some(item) = self.decoder.poll_item().map_err(ServiceError::Invalid)? {
                return Poll::Ready(Ok(item));
            }
            let len = self.turn.min(MAX_READ);
            if len == 0 {
                return Poll::Pending;
            }
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.chunk[..len]);
            let error = match read {
                Poll::Ready(Ok(0)) => ServiceError::Closed,
                Poll::Ready(Ok(count)) => {
                    self.turn -= count;
                    self.decoder.receive(&self.chunk[..count]);
                    continue;
                }
                Poll::Ready(Err(error)) => {
                    ServiceError::Io(self.write_error.take().unwrap_or(error))
                }
                Poll::Pending => match self.write_error.take() {
                    Some(error) => ServiceError::Io(error),
                    None => return Poll::Pending,
                },
            };
            return Poll::Ready(Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        task::{Context, Waker},
    };

    use super::{KEPT_BUFFER, ServiceConnection, ServiceDecoder};

    struct NoReplies;

    impl ServiceDecoder for NoReplies {
        type Item = Infallible;
        type Error = Infallible;

        fn receive(&mut self, _: &[u8]) {}

        fn poll_item(&mut self) -> Result<Option<Infallible>, Infallible> {
            Ok(None)
        }
    }

    #[test]
    fn what_is_written_takes_no_memory() {
        let (_server, client, faults) = prism_test::pipe();
        let mut connection = ServiceConnection::new(client, NoReplies);
        let mut cx = Context::from_waker(Waker::noop());
        faults.to_server().set_capacity(600 << 10);
        connection.out().resize(1 << 20, b'x');
        connection.write(&mut cx);
        assert!(connection.out.len() < 1 << 19, "{}", connection.out.len());
        faults.to_server().set_capacity(2 << 20);
        connection.write(&mut cx);
        assert!(connection.out.capacity() <= KEPT_BUFFER, "{}", connection.out.capacity());
    }
}
