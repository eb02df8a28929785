//! [`Memory`]: a transport that is always ready, for each kind of library.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use bytes::Bytes;

/// A transport in memory. It returns the same bytes again and again, and accepts all writes.
///
/// A read never crosses the end of a batch, so each batch takes the same reads: a single one, if the reader
/// has room for it.
pub(super) struct Memory {
    bytes: Bytes,
    read: usize,
    output: Output,
}

/// The bytes written. The measurement empties it before each batch.
pub(super) type Output = Rc<RefCell<Vec<u8>>>;

impl Memory {
    /// Creates a transport that returns `bytes`.
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, read: 0, output: Output::default() }
    }

    /// Returns where the written bytes can be seen.
    pub(super) fn output(&self) -> Output {
        Rc::clone(&self.output)
    }

    /// Returns the next bytes, at most `most`: a read without its copy.
    pub(super) fn bring(&mut self, most: usize) -> &[u8] {
        if self.read == self.bytes.len() {
            self.read = 0;
        }
        let begin = self.read;
        self.read = self.bytes.len().min(begin + most);
        &self.bytes[begin..self.read]
    }

    /// Accepts `bytes`: a write that never fails.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.output.borrow_mut().extend_from_slice(bytes);
    }
}

impl Read for Memory {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bring(buf.len());
        buf[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Memory {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.take(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the result of a future that never has to wait.
#[cfg(feature = "peers")]
pub(super) fn now<F: Future>(future: F) -> F::Output {
    futures_util::FutureExt::now_or_never(future).expect("memory is always ready")
}

#[cfg(feature = "peers")]
mod tokio_io {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Memory;

    impl AsyncRead for Memory {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.put_slice(self.bring(buf.remaining()));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Memory {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.take(buf);
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            for buf in bufs {
                self.take(buf);
            }
            Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
