//! [`PlainReply`]: sends an HTTP response that opens no WebSocket connection.
//!
//! Sending has no deadline, because a large page may take long on a slow link. The peer has to take a minimum in each
//! [window](WriteProgress) instead, as with the messages of a connection.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut, buf::Chain};
use futures_lite::future::yield_now;
use prism_core::{HandshakeError, Reply, Request};

use crate::{
    runtime::{
        Runtime, Transport,
        flush::{Flushed, poll_flush},
        timeout::{until, within},
    },
    server::stats::NotUpgraded,
    session::{
        read_buffer::ReadBuffer,
        write_progress::{WriteLimits, WriteProgress},
    },
};

/// How many writes there may be in a row before other tasks get a turn. Not every runtime enforces this itself.
const WRITES_PER_TURN: usize = 32;

/// How many bytes beyond the request are read and discarded, so that the answer is not lost to a TCP reset.
const MAX_DISCARDED: usize = 512 << 10;

/// How long a peer may take to read the rest of its answer and to close the transport.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// An HTTP response that opens no connection: a page or a refusal.
pub(crate) struct PlainReply {
    reply: Reply,
    /// Whether this answers a HEAD request, and so has no body.
    head_only: bool,
    reason: NotUpgraded,
}

impl PlainReply {
    pub(crate) fn new(request: &Request<'_>, reply: Reply, reason: NotUpgraded) -> Self {
        Self { reply, head_only: request.method() == "HEAD", reason }
    }

    /// Creates the answer to a request on which the application has decided.
    pub(crate) const fn decided(reply: Reply, head_only: bool, reason: NotUpgraded) -> Self {
        Self { reply, head_only, reason }
    }

    /// Applies a function to the reply.
    pub(crate) fn map(self, change: impl FnOnce(Reply) -> Reply) -> Self {
        Self { reply: change(self.reply), ..self }
    }

    /// Refuses an invalid request.
    pub(crate) fn refusal(request: &Request<'_>, error: HandshakeError) -> Self {
        Self::new(request, error.reply(), NotUpgraded::BadRequest)
    }

    /// Refuses a request that this route does not accept, with a 400 that contains the reason.
    pub(crate) fn malformed(request: &Request<'_>, reason: impl fmt::Display) -> Self {
        Self::new(request, Reply::text(400, format!("{reason}\n")), NotUpgraded::BadRequest)
    }

    /// Refuses a request whose stream the HTTP server cannot hand over.
    pub(crate) fn no_stream(request: &Request<'_>) -> Self {
        let reply = Reply::text(500, "the connection of this request cannot be upgraded\n");
        Self::new(request, reply, NotUpgraded::Failed)
    }

    /// Refuses a peer whose request did not arrive within the handshake timeout.
    pub(crate) fn timeout() -> Self {
        let reply = Reply::text(408, "no complete request arrived within the handshake timeout");
        Self { reply, head_only: false, reason: NotUpgraded::TimedOut }
    }

    /// Refuses a proxy that did not say correctly who its client is. The peer is trusted, so it is told what is wrong.
    pub(crate) fn bad_proxy_header(problem: impl fmt::Display, head_only: bool) -> Self {
        let reply = Reply::text(400, format!("{problem}\n"));
        Self { reply, head_only, reason: NotUpgraded::BadProxyHeader }
    }

    /// Refuses a client whose address has too many connections. RFC 6585 §4: 429 means that this client asks for too
    /// much. (With a 503, a load balancer would conclude that the server is unwell.)
    pub(crate) fn too_many_connections(head_only: bool) -> Self {
        let reply = Reply::text(
            429,
            "too many connections from this address; close some, or try again later\n",
        );
        Self { reply, head_only, reason: NotUpgraded::TooManyConnections }
    }

    /// Refuses a client that finds as many connections as there may be, or that comes during a shutdown. RFC 9110
    /// §15.6.4: 503 means that the server is "currently unable to handle the request".
    pub(crate) fn unavailable(reason: NotUpgraded) -> Self {
        let reply = Reply::text(503, "no connection is available; try again later\n");
        Self { reply, head_only: false, reason }
    }

    /// Returns the reply, for a library that sends it itself.
    pub(crate) fn into_reply(self) -> Reply {
        self.reply
    }

    pub(crate) const fn status(&self) -> u16 {
        self.reply.status()
    }

    pub(crate) const fn reason(&self) -> NotUpgraded {
        self.reason
    }

    /// [Sends](Self::send) the answer, and gives the peer time to read it.
    pub(crate) async fn send_and_linger<R: Runtime>(
        self,
        runtime: &R,
        io: &mut impl Transport,
        limits: WriteLimits,
    ) {
        if self.send(runtime, io, limits).await.is_ok() {
            linger(runtime, io).await;
        }
    }

    /// Sends the answer and closes our side of the transport. Fails with [`io::ErrorKind::TimedOut`] if the peer takes
    /// the answer more slowly than `limits` allow. The answer is freed as soon as it is sent, not when the future is
    /// dropped.
    pub(crate) fn send<'a, R: Runtime, T: Transport>(
        self,
        runtime: &'a R,
        io: &'a mut T,
        limits: WriteLimits,
    ) -> impl Future<Output = io::Result<()>> + use<'a, R, T> {
        let mut unsent = Some(self.into_bytes());
        // Not an `async fn`, whose future would hold the answer twice.
        async move {
            let mut progress = WriteProgress::begin(runtime.now(), limits);
            for writes in 1.. {
                let step = poll_fn(|cx| poll_send(cx, io, &mut unsent));
                match until(runtime, progress.due(), step).await {
                    Some(Ok(0)) => break,
                    Some(taken) => progress.took(taken? as u64, runtime.now(), limits),
                    None if progress.is_too_slow(runtime.now(), limits) => {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    None => {}
                }
                if writes % WRITES_PER_TURN == 0 {
                    yield_now().await;
                }
            }
            Ok(())
        }
    }

    /// Returns head and body. They are not copied together, because the body may be large and shared.
    fn into_bytes(self) -> Chain<Bytes, Bytes> {
        let mut head = BytesMut::new();
        self.reply.write_head(&mut head);
        let body = if self.head_only { Bytes::new() } else { self.reply.content().clone() };
        head.freeze().chain(body)
    }
}

impl From<HandshakeError> for PlainReply {
    fn from(error: HandshakeError) -> Self {
        Self { reply: error.reply(), head_only: false, reason: NotUpgraded::BadRequest }
    }
}

/// Discards input until the peer closes its side as well, for at most [`LINGER_TIMEOUT`] and [`MAX_DISCARDED`] bytes.
/// (Closing a socket with unread input resets the connection, and a reset destroys the bytes still in flight.)
pub(crate) async fn linger<R: Runtime>(runtime: &R, io: &mut impl Transport) {
    // The answer is sent: a failure or a timeout changes nothing.
    let _ = within(runtime, LINGER_TIMEOUT, discard_input(io)).await;
}

async fn discard_input(io: &mut impl Transport) -> io::Result<()> {
    let (mut input, mut discarded) = (ReadBuffer::new(), 0);
    while discarded < MAX_DISCARDED {
        match input.fill(io).await? {
            0 => break,
            count => discarded += count,
        }
        input.clear();
    }
    Ok(())
}

/// Writes once, and returns how many bytes were taken. When nothing is unsent, flushes, closes our side, and returns 0.
fn poll_send(
    cx: &mut Context<'_>,
    io: &mut impl Transport,
    unsent: &mut Option<Chain<Bytes, Bytes>>,
) -> Poll<io::Result<usize>> {
    let mut io = Pin::new(io);
    let Some(bytes) = unsent else {
        return match ready!(poll_flush(io.as_mut(), cx))? {
            Flushed::Some(count) => Poll::Ready(Ok(count)),
            Flushed::All => io.poll_close(cx).map_ok(|()| 0),
        };
    };
    let mut pieces = [io::IoSlice::new(&[]); 2];
    let count = bytes.chunks_vectored(&mut pieces);
    let taken = ready!(io.as_mut().poll_write_vectored(cx, &pieces[..count]))?;
    if taken == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    bytes.advance(taken);
    unsent.take_if(|bytes| !bytes.has_remaining());
    Poll::Ready(Ok(taken))
}
