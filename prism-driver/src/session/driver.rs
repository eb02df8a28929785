//! [`ConnectionDriver`]: a connection's transport and its deadlines. Moves bytes both ways and judges deadlines.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use prism_core::{Inbound, ProtocolError};

use crate::{
    connection::Connection,
    error::Failure,
    outbox::{Outbox, owner::Sleep},
    runtime::contain::contain,
    session::{
        deadline::DeadlineTimer, moment::Moment, read_buffer::ReadBuffer, turn,
        write_progress::WriteProgress,
    },
};

/// What is left to do on our side of the transport.
struct WriteSide {
    /// Something waits for the peer.
    blocked: bool,
    /// Both sides have ended.
    over: bool,
}

/// What a read has brought.
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Whether it had to be waited for, so that others have had a turn.
    pub(crate) waited: bool,
}

/// What is kept of a connection's deadlines.
pub(crate) struct Deadlines<A> {
    timer: A,
    /// When the timer rings, if it is set.
    set_for: Option<Moment>,
    /// How the peer takes what is waiting for it, while something is. Boxed: seldom there.
    backlog: Option<Box<Backlog>>,
}

struct Backlog {
    progress: WriteProgress,
    /// How much had been written when it was last looked at.
    written: u64,
}

impl<A: DeadlineTimer> Deadlines<A> {
    pub(crate) const fn new(timer: A) -> Self {
        Self { timer, set_for: None, backlog: None }
    }

    pub(crate) const fn timer(&self) -> &A {
        &self.timer
    }

    fn clear(&mut self) {
        self.timer.clear();
        self.set_for = None;
        self.backlog = None;
    }
}

/// Made anew for each use: what lasts is in the connection and the deadlines.
pub(crate) struct ConnectionDriver<'a, A> {
    connection: &'a Connection,
    deadlines: &'a mut Deadlines<A>,
}

impl<'a, A: DeadlineTimer> ConnectionDriver<'a, A> {
    pub(crate) const fn new(connection: &'a Connection, deadlines: &'a mut Deadlines<A>) -> Self {
        Self { connection, deadlines }
    }

    /// Runs a handler's future to its end, whatever becomes of the connection meanwhile. Bytes keep
    /// leaving, so that a handler that waits for room in its own outbox gets it; none are read. When a
    /// close takes too long the transport is dropped, so that one that waits for the end gets it.
    pub(crate) const fn run_handler<F>(self, handler: F) -> RunHandler<'a, A, F> {
        RunHandler { driver: self, handler, failure: None, waited: false, shut: false }
    }

    /// Writes what is waiting, and reads until bytes have come.
    pub(crate) fn fill(
        mut self,
        input: &'a mut ReadBuffer,
        inbound: &'a mut Inbound,
    ) -> impl Future<Output = Result<Received, Failure>> + use<'a, A> {
        poll_fn(move |cx| {
            let received = self.poll_fill(cx, input, inbound);
            if received.is_pending() {
                input.shrink();
            }
            received
        })
    }

    /// Gives other tasks a turn, and holds no empty buffer meanwhile.
    pub(crate) fn pause(
        mut self,
        input: &mut ReadBuffer,
    ) -> impl Future<Output = Result<(), Failure>> + use<'a, A> {
        input.give_back_empty();
        let mut paused = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut paused, true) {
                self.outbox().set_awake();
                return Poll::Ready(Ok(()));
            }
            self.poll_yield(cx, Phase::Handling)
        })
    }

    /// Finishes: sends what is left, shuts the write side down when the protocol wants it, and
    /// waits for the peer to end its side, dropping what it still sends. (A socket that is closed
    /// with unread bytes is reset, and the reset destroys the close frame on its way.)
    pub(crate) fn linger(
        mut self,
        input: &'a mut ReadBuffer,
    ) -> impl Future<Output = ()> + use<'a, A> {
        let mut shut = false;
        poll_fn(move |cx| {
            if !self.outbox().is_transport_gone() {
                // Where a write has failed, no close frame is on its way that a reset could destroy.
                if !self.outbox().has_write_failed() {
                    // Whatever ends this, there is nobody left to tell.
                    if self.poll_linger(cx, input, &mut shut).is_pending() {
                        input.shrink();
                        return Poll::Pending;
                    }
                }
                self.give_up();
            }
            Poll::Ready(())
        })
    }

    /// Drops the transport.
    pub(crate) fn give_up(&mut self) {
        self.deadlines.clear();
        self.outbox().give_up();
    }

    /// Drops the transport while a handler runs, but keeps what the peer has sent.
    fn give_up_unread(&mut self) {
        self.deadlines.clear();
        self.outbox().give_up_unread();
    }

    /// Writes, ends our side when the protocol wants it, and watches the deadlines; ready when there is no
    /// more to be done for the peer, or by a failure.
    fn poll_flush_and_shut(
        &mut self,
        cx: &mut Context<'_>,
        shut: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let WriteSide { blocked, over } = self.poll_write_out(cx, shut);
            if over {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_wait(cx, blocked, Phase::Handling))?;
        }
    }

    /// Writes what is left, and ends our side when the protocol wants it.
    fn poll_write_out(&mut self, cx: &mut Context<'_>, shut: &mut bool) -> WriteSide {
        let written = self.poll_write(cx);
        let wants = self.outbox().wants();
        if written.is_ready() && wants.shutdown && !*shut {
            *shut = self.poll_shutdown(cx).is_ready();
        }
        WriteSide { blocked: written.is_pending(), over: *shut && !wants.read }
    }

    /// First what is ours to send, then what there is to read; the deadlines is looked at last, so that
    /// it never judges a peer whose bytes are waiting. When a deadline has passed it is read once more
    /// before that: a transport may wait once before it looks (`AsyncIoStream`).
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut ReadBuffer,
        inbound: &mut Inbound,
    ) -> Poll<Result<Received, Failure>> {
        let mut passed = None;
        // One that has waited for bytes has done so without a buffer.
        let waited = input.is_at_rest();
        loop {
            let blocked = self.poll_write(cx).is_pending();
            match self.poll_read(cx, input)? {
                Poll::Ready(0) => return Poll::Ready(Err(ProtocolError::UnexpectedEof.into())),
                Poll::Ready(bytes) => return Poll::Ready(Ok(Received { bytes, waited })),
                Poll::Pending => {}
            }
            if let Some(now) = passed.take() {
                self.handle_deadline(now, &mut Phase::Reading(inbound))?;
            }
            passed = ready!(self.poll_deadline(cx, blocked))?;
        }
    }

    fn poll_linger(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut ReadBuffer,
        shut: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        let mut left = turn::WORK;
        while left > 0 {
            let WriteSide { blocked, over } = self.poll_write_out(cx, shut);
            if over {
                return Poll::Ready(Ok(()));
            }
            if self.outbox().wants().read {
                input.clear();
                match self.poll_read(cx, input) {
                    Poll::Ready(Ok(bytes @ 1..)) => {
                        left = left.saturating_sub(turn::cost_of_read(bytes));
                        continue;
                    }
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.outbox().receive_eof();
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            ready!(self.poll_wait(cx, blocked, Phase::Closing))?;
        }
        self.poll_yield(cx, Phase::Closing)
    }

    /// Gives other tasks a turn. A peer that never pauses escapes no deadline by that.
    fn poll_yield(&mut self, cx: &mut Context<'_>, phase: Phase<'_>) -> Poll<Result<(), Failure>> {
        cx.waker().wake_by_ref();
        if self.outbox().is_transport_gone() {
            return Poll::Pending; // there may still be something to hear
        }
        match self.poll_wait(cx, true, phase) {
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
        mut phase: Phase<'_>,
    ) -> Poll<Result<(), Failure>> {
        match ready!(self.poll_deadline(cx, blocked))? {
            Some(now) => Poll::Ready(self.handle_deadline(now, &mut phase)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Sleeps until there is more to write, or until a deadline has passed: then ready with the time.
    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        blocked: bool,
    ) -> Poll<Result<Option<Duration>, Failure>> {
        let Sleep::Until(due) = self.outbox().prepare_sleep(cx, blocked)? else {
            return Poll::Ready(Ok(None));
        };
        self.poll_timer(cx, due).map(|now| Ok(Some(now)))
    }

    fn handle_deadline(&mut self, now: Duration, phase: &mut Phase<'_>) -> Result<(), Failure> {
        let limits = self.deadlines.timer.write_limits();
        let backlog = self.deadlines.backlog.as_mut();
        if backlog.is_some_and(|backlog| backlog.progress.is_too_slow(now, limits)) {
            return Err(Failure::WriteStalled);
        }
        let heard = match phase {
            // A ping may be far behind in what such a peer has not taken yet.
            Phase::Reading(inbound) => inbound.take_heard() | self.outbox().take_resumed(),
            Phase::Handling | Phase::Closing => true,
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
        let deadlines = &mut *self.deadlines;
        let slow_at = deadlines.backlog.as_ref().map(|backlog| backlog.progress.due().into());
        let due = match (due.map(Moment::from), slow_at) {
            (Some(due), Some(slow_at)) => due.min(slow_at),
            (Some(due), None) | (None, Some(due)) => due,
            (None, None) => return Poll::Pending,
        };
        if due > Moment::BEGINNING {
            // An timer that is set for earlier will do: it is set again when it has timer_fired.
            if deadlines.set_for.is_none_or(|at| at > due) {
                deadlines.timer.set(due.into());
                deadlines.set_for = Some(due);
            }
            ready!(deadlines.timer.poll(self.connection, cx));
            deadlines.set_for = None;
        }
        Poll::Ready(deadlines.timer.now())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (took, written) = self.outbox().poll_write(cx);
        if took && self.deadlines.backlog.is_some() {
            self.outbox().note_resumed();
            self.count_taken(written.is_pending());
        }
        self.watch_backlog(written.is_pending());
        written
    }

    /// Ends our side. A transport that fails to do so has ended it as well.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shut = self.outbox().poll_shutdown(cx).map(|_| ());
        self.watch_backlog(shut.is_pending());
        shut
    }

    /// From when something has to wait for the peer.
    fn watch_backlog(&mut self, blocked: bool) {
        let deadlines = &mut *self.deadlines;
        if !blocked {
            return;
        }
        deadlines.timer.note_stalled(self.connection);
        if deadlines.backlog.is_none() {
            let progress =
                WriteProgress::begin(deadlines.timer.now(), deadlines.timer.write_limits());
            let written = self.connection.outbox().count_written();
            deadlines.backlog = Some(Box::new(Backlog { progress, written }));
        }
    }

    /// The peer has taken something of what waits, or all of it.
    fn count_taken(&mut self, blocked: bool) {
        let (outbox, deadlines) = (self.connection.outbox(), &mut *self.deadlines);
        match &mut deadlines.backlog {
            Some(backlog) if blocked => {
                let written = outbox.count_written();
                let bytes = written - std::mem::replace(&mut backlog.written, written);
                backlog.progress.took(bytes, deadlines.timer.now(), deadlines.timer.write_limits());
            }
            _ => {
                deadlines.backlog = None;
                outbox.stop_counting();
            }
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, input: &mut ReadBuffer) -> Poll<io::Result<usize>> {
        input.poll_read(|buf| self.outbox().poll_read(cx, buf))
    }

    fn outbox(&self) -> &'a Outbox {
        self.connection.outbox()
    }
}

pin_project! {
    /// See [`ConnectionDriver::run_handler`].
    pub(crate) struct RunHandler<'a, A, F> {
        driver: ConnectionDriver<'a, A>,
        #[pin]
        handler: F,
        // Boxed: a failure is rare, and this is part of every session.
        failure: Option<Box<Failure>>,
        waited: bool,
        // Whether our side of the transport has ended.
        shut: bool,
    }
}

impl<A: DeadlineTimer, F: Future<Output = ()>> Future for RunHandler<'_, A, F> {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (driver, mut handler, failure) = (this.driver, this.handler, this.failure);
        loop {
            // Whoever calls this is awake.
            if std::mem::replace(this.waited, true) {
                driver.outbox().set_awake();
            }
            match contain(|| handler.as_mut().poll(cx)) {
                Some(Poll::Pending) => {}
                Some(Poll::Ready(())) => {
                    return Poll::Ready(failure.take().map_or(Ok(()), |failure| Err(*failure)));
                }
                None => {
                    let failure = failure.take().map_or(Failure::HandlerPanicked, |it| *it);
                    return Poll::Ready(Err(failure));
                }
            }
            if driver.outbox().is_transport_gone() {
                driver.deadlines.timer.note_stuck(driver.connection);
                return Poll::Pending;
            }
            // The handler goes on, but from now on its sends fail: let it see that.
            match ready!(driver.poll_flush_and_shut(cx, this.shut)) {
                Ok(()) => driver.give_up(),
                Err(Failure::Protocol(ProtocolError::CloseTimeout)) => driver.give_up_unread(),
                Err(error) => {
                    driver.give_up();
                    failure.get_or_insert_with(|| Box::new(error));
                }
            }
        }
    }
}

/// Whom the deadlines are for while the driver waits.
enum Phase<'a> {
    /// A handler runs, or what the peer has sent waits for its turn. Nobody reads: the peer cannot be
    /// blamed for silence. But a close has to end: the handler may be waiting for that.
    Handling,
    /// The peer is being read.
    Reading(&'a mut Inbound),
    /// Only the end of the transport is waited for.
    Closing,
}
