//! [`Link`]: a connection's transport and its clock. Moves bytes both ways and judges deadlines.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use prism_core::{Inbound, ProtocolError, RecvBuffer};

use crate::{
    connection::Connection,
    handler::Failure,
    options::Options,
    outbox::{Outbox, Rest},
    pool,
    runtime::Runtime,
};

/// How much spare memory a read is offered at least.
const MIN_READ: usize = 16 << 10;

/// How many reads in a row before other tasks get a turn: not every runtime sees to that itself.
pub(crate) const READS_PER_TURN: u32 = 32;

pub(crate) struct Link<'a, R: Runtime> {
    runtime: R,
    connection: &'a Connection,
    options: &'a Options,
    /// When the peer must have taken something of what is waiting.
    stalled_at: Option<Duration>,
    /// Whether the peer has taken something that it had kept waiting: a sign of life.
    took: bool,
    timer: Pin<&'a mut Option<R::Sleep>>,
    timer_at: Option<Duration>,
}

impl<'a, R: Runtime> Link<'a, R> {
    pub(crate) const fn new(
        runtime: R,
        connection: &'a Connection,
        options: &'a Options,
        timer: Pin<&'a mut Option<R::Sleep>>,
    ) -> Self {
        Self { runtime, connection, options, stalled_at: None, took: false, timer, timer_at: None }
    }

    /// Runs a handler's future to its end, whatever becomes of the connection meanwhile. Bytes keep
    /// leaving, so that a handler that waits for room in its own outbox gets it; none are read.
    pub(crate) fn attend<'l, F: Future<Output = ()>>(
        &'l mut self,
        mut handler: Pin<&'l mut F>,
    ) -> impl Future<Output = Result<(), Failure>> + use<'l, 'a, R, F> {
        let mut failure = None;
        let mut waited = false;
        poll_fn(move |cx| {
            loop {
                // Whoever calls this is awake.
                if std::mem::replace(&mut waited, true) {
                    self.outbox().awake();
                }
                match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => {}
                    Ok(Poll::Ready(())) => return Poll::Ready(failure.take().map_or(Ok(()), Err)),
                    Err(_) => {
                        let failure = failure.take().unwrap_or(Failure::HandlerPanicked);
                        return Poll::Ready(Err(failure));
                    }
                }
                if self.outbox().is_cut_off() {
                    return Poll::Pending;
                }
                let Err(error) = ready!(self.poll_leave(cx));
                // The handler goes on, but from now on its sends fail: let it see that.
                self.give_up();
                failure.get_or_insert(error);
            }
        })
    }

    /// Writes what is waiting, and reads until bytes have come.
    pub(crate) fn fill<'l>(
        &'l mut self,
        input: &'l mut RecvBuffer,
        inbound: &'l mut Inbound,
    ) -> impl Future<Output = Result<(), Failure>> + use<'l, 'a, R> {
        poll_fn(move |cx| self.poll_fill(cx, input, inbound))
    }

    /// Gives other tasks a turn.
    pub(crate) fn pause<'l>(
        &'l mut self,
        inbound: &'l mut Inbound,
    ) -> impl Future<Output = Result<(), Failure>> + use<'l, 'a, R> {
        let mut paused = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut paused, true) {
                self.outbox().awake();
                return Poll::Ready(Ok(()));
            }
            self.poll_yield(cx, Watch::Peer(inbound))
        })
    }

    /// Finishes: sends what is left, shuts the write side down when the protocol wants it, and
    /// waits for the peer to end its side, dropping what it still sends. (A socket that is closed
    /// with unread bytes is reset, and the reset destroys the close frame on its way.)
    pub(crate) async fn linger(&mut self, input: &mut RecvBuffer) {
        if self.outbox().is_cut_off() {
            return;
        }
        let mut shut = false;
        // Whatever ends this, there is nobody left to tell.
        let _ = poll_fn(|cx| self.poll_linger(cx, input, &mut shut)).await;
        self.give_up();
    }

    /// Drops the transport.
    pub(crate) fn give_up(&mut self) {
        self.timer.set(None);
        self.timer_at = None;
        self.outbox().give_up();
    }

    /// Writes, and watches the deadlines; ready only by a failure.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<Result<Infallible, Failure>> {
        loop {
            let written = self.poll_write(cx)?;
            ready!(self.poll_wait(cx, written.is_pending(), Watch::Handler))?;
        }
    }

    /// First what is ours to send, then what there is to read; the clock is looked at last, so that
    /// it never judges a peer whose bytes are waiting.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut RecvBuffer,
        inbound: &mut Inbound,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let written = self.poll_write(cx);
            match self.poll_read(cx, input)? {
                Poll::Ready(0) => return Poll::Ready(Err(ProtocolError::UnexpectedEof.into())),
                // Perhaps the close frame of a peer that takes nothing any more.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            let blocked = written?.is_pending();
            ready!(self.poll_wait(cx, blocked, Watch::Peer(inbound)))?;
        }
    }

    fn poll_linger(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut RecvBuffer,
        shut: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        for _ in 0..READS_PER_TURN {
            let blocked = self.poll_write(cx)?.is_pending();
            let wants = self.outbox().wants();
            if !blocked && wants.shutdown && !*shut {
                *shut = self.poll_shutdown(cx)?.is_ready();
            }
            if *shut && !wants.read {
                return Poll::Ready(Ok(()));
            }
            if wants.read {
                input.clear();
                match self.poll_read(cx, input) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.outbox().receive_eof();
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            ready!(self.poll_wait(cx, blocked, Watch::Close))?;
        }
        self.poll_yield(cx, Watch::Close)
    }

    /// Gives other tasks a turn. A peer that never pauses escapes no deadline by that.
    fn poll_yield(&mut self, cx: &mut Context<'_>, watch: Watch<'_>) -> Poll<Result<(), Failure>> {
        cx.waker().wake_by_ref();
        match self.poll_wait(cx, true, watch) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Sleeps until there is more to write or a deadline has been dealt with (ready), or has
    /// passed (a failure).
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        blocked: bool,
        mut watch: Watch<'_>,
    ) -> Poll<Result<(), Failure>> {
        let Rest::Until(due) = self.outbox().rest(cx, blocked)? else {
            return Poll::Ready(Ok(()));
        };
        // A peer that nobody reads can not show that it has closed.
        let due = if watch.judges_close() || self.outbox().is_open() { due } else { None };
        let now = ready!(self.poll_timer(cx, due));
        Poll::Ready(self.judge(now, &mut watch))
    }

    fn judge(&mut self, now: Duration, watch: &mut Watch<'_>) -> Result<(), Failure> {
        if self.stalled_at.is_some_and(|deadline| deadline <= now) {
            return Err(Failure::WriteStalled);
        }
        let heard = match watch {
            // A ping may be far behind in what such a peer has not taken yet.
            Watch::Peer(inbound) => inbound.take_heard() | std::mem::take(&mut self.took),
            Watch::Handler | Watch::Close => true,
        };
        let waited = self.outbox().wants().read;
        self.outbox().handle_timeout(now, heard)?;
        if waited && !self.outbox().wants().read {
            // Both have closed, but the peer did not end the transport in time.
            return Err(ProtocolError::CloseTimeout.into());
        }
        Ok(())
    }

    /// Ready with the time when a deadline has passed, or wants to be given its time.
    fn poll_timer(&mut self, cx: &mut Context<'_>, due: Option<Duration>) -> Poll<Duration> {
        let due = match (due, self.stalled_at) {
            (Some(due), Some(stalled)) => due.min(stalled),
            (Some(due), None) | (None, Some(due)) => due,
            (None, None) => return Poll::Pending,
        };
        if due > Duration::ZERO {
            // A timer that is set for earlier will do: it is set again when it fires.
            if self.timer_at.is_none_or(|at| at > due) {
                let span = due.saturating_sub(self.runtime.now());
                self.timer.set(Some(self.runtime.sleep(span)));
                self.timer_at = Some(due);
            }
            if let Some(timer) = self.timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
            }
            self.timer_at = None;
        }
        Poll::Ready(self.runtime.now())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let (took, written) = self.outbox().poll_write(cx);
        if took {
            self.took |= self.stalled_at.take().is_some();
        }
        self.watch_stall(written.is_pending());
        written.map_err(Failure::from)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let result = self.outbox().poll_shutdown(cx);
        self.watch_stall(result.is_pending());
        result.map_err(Failure::from)
    }

    fn watch_stall(&mut self, blocked: bool) {
        if blocked && self.stalled_at.is_none() {
            self.stalled_at = Some(self.runtime.now().saturating_add(self.options.write_timeout));
        }
    }

    /// Reads once. While there is nothing to read, the connection holds as little memory as it can.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        input: &mut RecvBuffer,
    ) -> Poll<std::io::Result<usize>> {
        if input.capacity() < pool::RECV_BUFFER {
            let mut small = std::mem::replace(input, pool::take_recv());
            small.move_to(input);
        }
        match self.outbox().poll_read(cx, input.spare(MIN_READ)) {
            Poll::Ready(Ok(count)) => {
                input.received(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if input.len() <= input.capacity() / 4 {
                    let mut small = RecvBuffer::with_capacity(input.len());
                    input.move_to(&mut small);
                    pool::put_recv(std::mem::replace(input, small));
                }
                Poll::Pending
            }
        }
    }

    fn outbox(&self) -> &'a Outbox {
        self.connection.outbox()
    }
}

/// Whom the deadlines are for while the link waits.
enum Watch<'a> {
    /// A handler runs, nobody reads: the peer can not be blamed for silence.
    Handler,
    /// The peer is being read.
    Peer(&'a mut Inbound),
    /// Only the end of the transport is waited for.
    Close,
}

impl Watch<'_> {
    const fn judges_close(&self) -> bool {
        !matches!(self, Self::Handler)
    }
}
