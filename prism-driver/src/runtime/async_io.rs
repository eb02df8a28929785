//! TCP with `async-io`, for the runtimes that use it: [`AsyncIo`], [`AsyncIoStream`].

use std::{
    cell::Cell,
    io::{self, IoSlice, Read, Write},
    mem,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_io::{Async, IoSafe, Timer};
use futures_io::{AsyncRead, AsyncWrite};
#[cfg(any(target_os = "android", target_os = "linux"))]
use socket2::SockRef;

#[cfg(any(target_os = "android", target_os = "linux"))]
use crate::runtime::unsent_limit::UnsentLimit;
use crate::runtime::{
    AdaptStream, Network, Runtime, Transport,
    close_write::{AsSocket, CloseWrite},
};

/// How many turns tasks may use up on a thread before the reactor has to look for I/O. A look costs as much as a tenth
/// of a turn.
const TURNS_PER_LOOK: u32 = 8;

/// How long a task waits that lets the reactor go first. Long enough that the timer is not due when it is first polled:
/// then the task would not wait at all.
const SHORTLY: Duration = Duration::from_micros(2);

thread_local! {
    /// How many turns have been used up on this thread since the reactor looked.
    static TURNS: Cell<u32> = const { Cell::new(0) };
}

/// A runtime that uses the TCP sockets of `async-io`. It has to provide only name resolution, and then implements
/// [`Network`] and [`AdaptStream`] automatically.
///
/// Requires the feature `async-io`.
pub trait AsyncIo: Runtime {
    /// Resolves a host to its addresses, as [`Network::resolve`] does.
    ///
    /// # Errors
    /// If the host cannot be resolved.
    fn look_up(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Wakes a task that has used up its turn, and every few turns only after the reactor has looked for I/O. This is
    /// an implementation of [`Runtime::yield_to_others`] for executors that look after many polls: that of smol and
    /// async-std, for instance, does so after 200, or when all its tasks wait.
    fn yield_to_reactor(&self, waker: &Waker) {
        let turns = TURNS.get() + 1;
        if turns < TURNS_PER_LOOK {
            TURNS.set(turns);
            return waker.wake_by_ref();
        }
        // Until the reactor has looked, all tasks that come here wait. So it looks soon.
        let waker = waker.clone();
        self.spawn(async move {
            Timer::after(SHORTLY).await; // the reactor fires timers when it looks
            TURNS.set(0);
            waker.wake();
        });
    }
}

#[diagnostic::do_not_recommend]
impl<R: AsyncIo, T: Transport> AdaptStream<T> for R {
    type Transport = T;

    fn adapt(stream: T) -> T {
        stream
    }
}

impl<R: AsyncIo> Network for R {
    type Stream = AsyncIoStream<TcpStream>;
    type Listener = Async<TcpListener>;

    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener> {
        Async::new_nonblocking(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer_addr) = try_when_readable(listener, TcpListener::accept).await?;
        Ok((Async::new(stream)?.into(), peer_addr))
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

/// Tries at once, and then whenever the source becomes readable. `Async::read_with`, and so `Async::accept`, would try
/// again at each poll. If a server and its executor run in one future, as in `block_on(executor.run(server.serve()))`,
/// each message causes one.
async fn try_when_readable<S, T>(
    source: &Async<S>,
    mut attempt: impl FnMut(&S) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match attempt(source.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => source.readable().await?,
            result => return result,
        }
    }
}

/// A wrapper around a stream socket in an `async_io::Async` (also known as `smol::Async`), which makes it a
/// [`Transport`](crate::Transport): its `close` closes the write side, and it avoids useless reads.
///
/// `Async` itself tries to read before it waits. Its wait then ends at once, because it still holds the previous
/// readiness event, and it tries once more. If the peer sends one message at a time, both reads find nothing. This type
/// waits first if the previous read did not fill its buffer. As a consequence, the read after a partial one returns
/// `Pending` once, even if more data has arrived already; the reactor then wakes the task.
///
/// Requires the feature `async-io`.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use std::net::TcpStream;
/// # use prism_driver::AsyncIoStream;
/// let socket = async_io::Async::<TcpStream>::connect(([127, 0, 0, 1], 8080)).await?;
/// let stream = AsyncIoStream::from(socket); // for `serve_stream`, or `Client::connect_stream`
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct AsyncIoStream<T> {
    socket: CloseWrite<Async<T>>,
    /// Whether the last read did not fill its buffer.
    drained: bool,
    #[cfg(any(target_os = "android", target_os = "linux"))]
    unsent_limit: UnsentLimit,
}

impl<T> AsyncIoStream<T> {
    /// Returns the operating system's socket.
    pub fn get_ref(&self) -> &T {
        self.socket.0.get_ref()
    }

    /// Returns the `Async` that this was created from.
    pub fn into_inner(self) -> Async<T> {
        self.socket.0
    }
}

impl<T: AsSocket> AsyncIoStream<T> {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn note_write(&mut self, offered: usize, written: &Poll<io::Result<usize>>) {
        let socket = &self.socket.0;
        self.unsent_limit.note_write(|| SockRef::from(socket), offered, written);
    }

    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    fn note_write(&mut self, _: usize, _: &Poll<io::Result<usize>>) {}
}

impl<T> From<Async<T>> for AsyncIoStream<T> {
    fn from(socket: Async<T>) -> Self {
        Self {
            socket: CloseWrite(socket),
            drained: false,
            #[cfg(any(target_os = "android", target_os = "linux"))]
            unsent_limit: UnsentLimit::default(),
        }
    }
}

impl<T: IoSafe + Read> AsyncRead for AsyncIoStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Only once: the next poll reads, because the reactor does not record every event that it wakes a task for.
        if mem::take(&mut self.drained) {
            // Consume the previous readiness event, if it still counts. Data that arrived since is not missed, because
            // the reactor waits level-triggered: it wakes whenever there is data, not only when more arrives.
            while let Poll::Ready(stale) = self.socket.0.poll_readable(cx) {
                stale?;
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
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.note_write(buf.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.note_write(bufs.iter().map(|buf| buf.len()).sum(), &written);
        written
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
    use std::{net::Shutdown, os::unix::net::UnixStream, pin::pin};

    use futures_lite::{
        AsyncReadExt, AsyncWriteExt,
        future::{block_on, poll_once},
    };

    use super::*;

    #[test]
    fn a_poll_before_anything_has_come_does_not_try_to_accept() -> io::Result<()> {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let attempts = Cell::new(0);
        let accept = |listener: &TcpListener| {
            attempts.set(attempts.get() + 1);
            listener.accept()
        };
        let mut accepted = pin!(try_when_readable(&listener, accept));
        for _ in 0..100 {
            assert!(block_on(poll_once(&mut accepted)).is_none(), "nobody has connected");
        }
        let client = TcpStream::connect(listener.get_ref().local_addr()?)?;
        let (_, peer_addr) = block_on(&mut accepted)?;
        assert_eq!(peer_addr, client.local_addr()?);
        assert_eq!(attempts.get(), 2);
        Ok(())
    }

    #[cfg(any(target_os = "android", target_os = "linux"))]
    #[test]
    fn a_peer_that_takes_at_once_what_it_is_sent_raises_the_limit_of_the_socket() -> io::Result<()>
    {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        crate::server::listener::limit_unsent_in_kernel(&listener);
        let mut peer = TcpStream::connect(listener.local_addr()?)?;
        let mut stream = AsyncIoStream::from(Async::new(listener.accept()?.0)?);
        let reader = std::thread::spawn(move || io::copy(&mut peer, &mut io::sink()));
        let message = vec![0; 8 << 20];
        // Usually the first message suffices, but on a busy machine the peer may seem to be slow.
        let mut rounds = 0..100;
        while SockRef::from(stream.get_ref()).tcp_notsent_lowat()? <= 128 << 10 {
            assert!(rounds.next().is_some(), "the limit is not raised");
            block_on(stream.write_all(&message))?;
        }
        drop(stream);
        reader.join().expect("it does not panic")?;
        Ok(())
    }

    /// Returns a connected pair: the peer's socket and ours.
    fn pair() -> (UnixStream, AsyncIoStream<UnixStream>) {
        let (peer, ours) = UnixStream::pair().expect("two sockets");
        (peer, Async::new(ours).expect("a reactor").into())
    }

    async fn read(stream: &mut AsyncIoStream<UnixStream>) -> io::Result<String> {
        let mut buf = [0; 4];
        let len = stream.read(&mut buf).await?;
        Ok(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    /// Returns what a single poll reads, or `None` if it is pending.
    fn read_once(stream: &mut AsyncIoStream<UnixStream>) -> Option<String> {
        block_on(poll_once(read(stream))).map(|read| read.expect("a successful read"))
    }

    #[test]
    fn a_read_that_filled_the_buffer_is_followed_by_another() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"abcdefg").expect("a successful write");
        assert_eq!(read_once(&mut stream).as_deref(), Some("abcd"));
        assert_eq!(read_once(&mut stream).as_deref(), Some("efg"));
    }

    #[test]
    fn a_short_read_is_followed_by_one_pending_poll() {
        let (mut peer, mut stream) = pair();
        for word in ["a", "b", "c"] {
            peer.write_all(word.as_bytes()).expect("a successful write");
            assert_eq!(read_once(&mut stream).as_deref(), Some(word));
            peer.write_all(b"more").expect("a successful write");
            assert_eq!(read_once(&mut stream), None, "a short read came before");
            assert_eq!(read_once(&mut stream).as_deref(), Some("more"), "it reads again");
            assert_eq!(read_once(&mut stream), None, "the buffer was filled, and nothing is left");
        }
    }

    #[test]
    fn data_that_arrived_before_the_wait_wakes_it() {
        let (mut peer, mut stream) = pair();
        // Repeatedly, because the reactor may or may not have recorded the previous event.
        for _ in 0..100 {
            peer.write_all(b"a").expect("a successful write");
            assert_eq!(block_on(read(&mut stream)).expect("a successful read"), "a");
        }
        drop(peer);
        for _ in 0..2 {
            assert_eq!(block_on(read(&mut stream)).expect("the end"), "");
        }
    }

    // On other systems, a Unix socket with unread data does not reset.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_reset_wakes_it() {
        let (mut peer, mut stream) = pair();
        peer.write_all(b"a").expect("a successful write");
        assert_eq!(read_once(&mut stream).as_deref(), Some("a"));
        block_on(stream.write_all(b"never read")).expect("a successful write");
        drop(peer);
        let error = block_on(read(&mut stream)).expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn close_closes_the_write_side_only() {
        let (mut peer, mut stream) = pair();
        block_on(stream.write_all(b"the last")).expect("a successful write");
        block_on(stream.close()).expect("it is closed");
        let mut all = String::new();
        assert_eq!(peer.read_to_string(&mut all).expect("all"), 8);
        peer.write_all(b"yes").expect("a successful write");
        peer.shutdown(Shutdown::Write).expect("a successful read");
        assert_eq!(block_on(read(&mut stream)).expect("a successful read"), "yes");
    }
}
