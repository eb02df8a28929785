//! TCP by `async-io`, for the runtimes that use it: [`AsyncIo`], [`AsyncIoStream`].

use std::{
    io::{self, IoSlice, Read, Write},
    mem,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    task::{Context, Poll},
};

use async_io::{Async, IoSafe};
use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::{
    Network, Runtime,
    close_write::{AsSocket, CloseWrite},
};

/// A runtime whose [`Network`] is that of `async-io`, but for names, which it looks up itself.
///
/// With feature `async-io`.
pub trait AsyncIo: Runtime {
    /// What [`Network::resolve`] gives.
    fn look_up(
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

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        self.look_up(host, port)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        Ok(Async::<TcpStream>::connect(address).await?.into())
    }

    fn set_nodelay(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.get_ref().set_nodelay(true)
    }
}

/// A stream socket of `async_io::Async` (which is `smol::Async`), for a connection's sake: its `close`
/// ends its write side, and it is not read in vain.
///
/// `Async` itself reads before it waits, and once more because the event that woke it last still counts.
/// Where a peer is waited for after each of its messages, both find nothing. This waits first when the
/// last read did not fill its buffer, so such a read is pending once although more may have come.
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
    /// The last read did not fill its buffer.
    drained: bool,
}

impl<T> AsyncIoStream<T> {
    /// The socket of the operating system.
    pub fn get_ref(&self) -> &T {
        self.socket.0.get_ref()
    }

    /// What it was made of.
    pub fn into_inner(self) -> Async<T> {
        self.socket.0
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
        // Once: who comes again looks, since the reactor does not count every event that it wakes for.
        if mem::take(&mut self.drained) {
            // The event that woke us last may still count; it is done with. What has come since is not
            // missed: the reactor is asked for a wake-up when there is something, not when there is more.
            while let Poll::Ready(old) = self.socket.0.poll_readable(cx) {
                old?;
            }
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.drained = matches!(read, Poll::Ready(Ok(len)) if len < buf.len());
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
    use std::{net::Shutdown, os::unix::net::UnixStream};

    use futures_lite::{
        AsyncReadExt, AsyncWriteExt,
        future::{block_on, poll_once},
    };

    use super::*;

    /// A peer's socket, and ours.
    fn pair() -> (UnixStream, AsyncIoStream<UnixStream>) {
        let (peer, ours) = UnixStream::pair().expect("two sockets");
        (peer, Async::new(ours).expect("a reactor").into())
    }

    async fn read(stream: &mut AsyncIoStream<UnixStream>) -> io::Result<String> {
        let mut buf = [0; 4];
        let len = stream.read(&mut buf).await?;
        Ok(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    /// What a single poll reads, if it does not wait.
    fn look(stream: &mut AsyncIoStream<UnixStream>) -> Option<String> {
        block_on(poll_once(read(stream))).map(|read| read.expect("a good socket"))
    }

    #[test]
    fn after_a_full_buffer_it_looks_for_more() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"abcdefg").expect("it is taken");
        assert_eq!(look(&mut stream).as_deref(), Some("abcd"));
        assert_eq!(look(&mut stream).as_deref(), Some("efg"));
    }

    #[test]
    fn after_less_it_waits_once_before_it_looks() {
        let (mut peer, mut stream) = pair();
        for word in ["a", "b", "c"] {
            peer.write_all(word.as_bytes()).expect("it is taken");
            assert_eq!(look(&mut stream).as_deref(), Some(word));
            peer.write_all(b"more").expect("it is taken");
            assert_eq!(look(&mut stream), None, "it waits");
            assert_eq!(look(&mut stream).as_deref(), Some("more"), "whoever woke it");
            assert_eq!(look(&mut stream), None, "the buffer was full");
        }
    }

    #[test]
    fn what_came_before_it_waited_wakes_it() {
        let (mut peer, mut stream) = pair();
        // Again and again, since the reactor may or may not have counted the last event.
        for _ in 0..100 {
            peer.write_all(b"a").expect("it is taken");
            assert_eq!(block_on(read(&mut stream)).expect("a good socket"), "a");
        }
        drop(peer);
        for _ in 0..2 {
            assert_eq!(block_on(read(&mut stream)).expect("the end"), "");
        }
    }

    // Elsewhere a Unix socket ends well even so.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_reset_wakes_it() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"a").expect("it is taken");
        assert_eq!(look(&mut stream).as_deref(), Some("a"));
        block_on(stream.write_all(b"never read")).expect("it is taken");
        drop(peer);
        let error = block_on(read(&mut stream)).expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn closing_it_ends_its_write_side_only() {
        let (mut peer, mut stream) = pair();
        block_on(stream.write_all(b"the last")).expect("it is taken");
        block_on(stream.close()).expect("it is closed");
        let mut all = String::new();
        assert_eq!(peer.read_to_string(&mut all).expect("all"), 8);
        peer.write_all(b"yes").expect("it is taken");
        peer.shutdown(Shutdown::Write).expect("a good socket");
        assert_eq!(block_on(read(&mut stream)).expect("a good socket"), "yes");
    }
}
