//! [`PlainAnswer`]: an HTTP response that opens no connection, and how it is sent.

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
        timeout::{until, within},
    },
    server::stats::Unopened,
    session::{
        read_buffer::ReadBuffer,
        write_progress::{WriteLimits, WriteProgress},
    },
};

/// How many writes in a row before other tasks get a turn: not every runtime sees to that itself.
const WRITES_PER_TURN: usize = 32;

/// How much of what a peer sends beyond its request is dropped, so that the answer is not lost to a
/// reset.
const MAX_DROPPED: usize = 512 << 10;

/// How long a peer that was answered may take to read what is still on its way, and to go.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer that is no connection: a refusal, or a page.
pub(crate) struct PlainAnswer {
    reply: Reply,
    /// The answer to a HEAD request has no body.
    head_only: bool,
    reason: Unopened,
}

impl PlainAnswer {
    pub(crate) fn new(request: &Request<'_>, reply: Reply, reason: Unopened) -> Self {
        Self { reply, head_only: request.method() == "HEAD", reason }
    }

    /// The refusal of a request that is no good.
    pub(crate) fn refusal(request: &Request<'_>, error: HandshakeError) -> Self {
        Self::new(request, error.reply(), Unopened::BadRequest)
    }

    /// The refusal of a request that is no good here: a 400 that says reason.
    pub(crate) fn malformed(request: &Request<'_>, reason: impl fmt::Display) -> Self {
        Self::new(request, Reply::text(400, format!("{reason}\n")), Unopened::BadRequest)
    }

    /// That no request came in time.
    pub(crate) fn timeout() -> Self {
        let reply = Reply::text(408, "no request came in time");
        Self { reply, head_only: false, reason: Unopened::TimedOut }
    }

    pub(crate) const fn status(&self) -> u16 {
        self.reply.status()
    }

    pub(crate) const fn reason(&self) -> Unopened {
        self.reason
    }

    /// [Sends](Self::send) it, and gives the peer time to read it.
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

    /// Sends it and ends our side of the transport, for as long as the peer takes it fast enough. When
    /// this is done, nothing is held of it.
    pub(crate) fn send<'a, R: Runtime, T: Transport>(
        self,
        runtime: &'a R,
        io: &'a mut T,
        limits: WriteLimits,
    ) -> impl Future<Output = io::Result<()>> + use<'a, R, T> {
        let mut unsent = Some(self.into_bytes());
        // No `async fn`: it would hold the answer twice.
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

    /// Head and body, which are not joined: the body may be large, and others may share it.
    fn into_bytes(self) -> Chain<Bytes, Bytes> {
        let mut head = BytesMut::new();
        self.reply.write_head(&mut head);
        let body = if self.head_only { Bytes::new() } else { self.reply.content().clone() };
        head.freeze().chain(body)
    }
}

impl From<HandshakeError> for PlainAnswer {
    fn from(error: HandshakeError) -> Self {
        Self { reply: error.reply(), head_only: false, reason: Unopened::BadRequest }
    }
}

/// Drops what a peer sends that was answered, until it ends its side as well, or for a while. (A socket
/// that is closed with unread bytes is reset, and the reset destroys what is still on its way.)
pub(crate) async fn linger<R: Runtime>(runtime: &R, io: &mut impl Transport) {
    // However this ends, there is no more to be done for the peer.
    let _ = within(runtime, LINGER_TIMEOUT, drop_rest(io)).await;
}

async fn drop_rest(io: &mut impl Transport) -> io::Result<()> {
    let (mut input, mut dropped) = (ReadBuffer::new(), 0);
    while dropped < MAX_DROPPED {
        match input.fill(io).await? {
            0 => break,
            count => dropped += count,
        }
        input.clear();
    }
    Ok(())
}

/// Writes once, or, when nothing is unsent, ends our side: ready with how much was taken, 0 at the end.
fn poll_send(
    cx: &mut Context<'_>,
    io: &mut impl Transport,
    unsent: &mut Option<Chain<Bytes, Bytes>>,
) -> Poll<io::Result<usize>> {
    let mut io = Pin::new(io);
    let Some(bytes) = unsent else {
        return io.poll_close(cx).map_ok(|()| 0);
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
