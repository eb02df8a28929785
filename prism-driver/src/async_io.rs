//! TCP by `async-io`, for the runtimes that use it: [`AsyncIo`], [`AsyncIoStream`].

use std::{
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_io::{Async, IoSafe};
use futures_io::{AsyncRead, AsyncWrite};

use crate::{
    close_write::{AsSocket, CloseWrite},
    runtime::{Network, Runtime},
};

/// A runtime whose [`Network`] is that of `async-io`, but for names, which it resolves itself.
///
/// With feature `async-io`.
pub trait AsyncIo: Runtime {
    /// See [`Network::resolve`].
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

impl<R: AsyncIo> Network for R {
    type Stream = AsyncIoStream<TcpStream>;
    type Listener = Async<TcpListener>;

    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener> {
        Async::new_nonblocking(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        Ok((stream.into(), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        AsyncIo::resolve(self, host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        Ok(Async::<TcpStream>::connect(address).await?.into())
    }

    fn set_nodelay(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.get_ref().set_nodelay(true)
    }
}

/// A stream socket of `async_io::Async` (which is `smol::Async`), for a connection's sake: its `close`
/// ends its write side, and it does not read in vain.
///
/// `Async` itself reads before it waits, and again when it has waited, each of which finds nothing where
/// a peer is waited for after each of its messages. This waits first if the last read left nothing.
///
/// With feature `async-io`.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use std::net::TcpStream;
/// use prism_driver::AsyncIoStream;
///
/// let socket = async_io::Async::<TcpStream>::connect(([127, 0, 0, 1], 8080)).await?;
/// let stream = AsyncIoStream::from(socket); // for `serve_stream`, or `Client::connect_stream`
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct AsyncIoStream<T> {
    socket: CloseWrite<Async<T>>,
    /// Nothing was left when it was read last: the reactor says when there is more, since it is asked
    /// whether there is, not whether there is news.
    drained: bool,
}

impl<T> AsyncIoStream<T> {
    /// The socket of the operating system.
    pub fn get_ref(&self) -> &T {
        self.socket.0.get_ref()
    }
}

impl<T> From<Async<T>> for AsyncIoStream<T> {
    fn from(socket: Async<T>) -> Self {
        Self { socket: CloseWrite(socket), drained: false }
    }
}

impl<T: IoSafe + Read> AsyncRead for AsyncIoStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(self.socket.0.poll_readable(cx))?;
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.drained = match &read {
            Poll::Ready(Ok(len)) => *len < buf.len(),
            Poll::Ready(Err(_)) => false,
            Poll::Pending => true,
        };
        read
    }
}

impl<T: IoSafe + Write + AsSocket> AsyncWrite for AsyncIoStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixStream;

    use futures_lite::{
        AsyncReadExt,
        future::{block_on, poll_once},
    };

    use super::*;

    fn pair() -> (UnixStream, AsyncIoStream<UnixStream>) {
        let (peer, ours) = UnixStream::pair().expect("two sockets");
        (peer, Async::new(ours).expect("a reactor").into())
    }

    /// One read as a connection does it: what there is, or none if it waits.
    fn read_at_once(stream: &mut AsyncIoStream<UnixStream>) -> Option<String> {
        let mut buf = [0; 4];
        let len = block_on(poll_once(stream.read(&mut buf)))?.expect("a good socket");
        Some(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    fn read(stream: &mut AsyncIoStream<UnixStream>) -> String {
        let mut buf = [0; 4];
        let len = block_on(stream.read(&mut buf)).expect("a good socket");
        String::from_utf8_lossy(&buf[..len]).into_owned()
    }

    #[test]
    fn what_may_have_left_something_is_read_again_at_once() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"abcdefg").expect("it is taken");
        assert_eq!(read_at_once(&mut stream).as_deref(), Some("abcd"));
        assert_eq!(read_at_once(&mut stream).as_deref(), Some("efg"));
    }

    #[test]
    fn one_event_is_one_read() {
        let (mut peer, mut stream) = pair();
        assert_eq!(read_at_once(&mut stream), None);
        peer.write_all(b"a").expect("it is taken");
        assert_eq!(read(&mut stream), "a");
        peer.write_all(b"b").expect("it is taken");
        assert_eq!(read_at_once(&mut stream), None, "it waits for another event");
        assert_eq!(read(&mut stream), "b");
    }

    #[test]
    fn after_the_last_byte_the_reactor_is_asked_first() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"a").expect("it is taken");
        assert_eq!(read_at_once(&mut stream).as_deref(), Some("a"));
        peer.write_all(b"b").expect("it is taken");
        assert_eq!(read_at_once(&mut stream), None, "it is not looked whether there is more");
        assert_eq!(read(&mut stream), "b", "and what has come before it waited is not missed");
    }
}
