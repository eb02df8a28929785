//! [`ConnectionDriver`]: moves a connection's bytes both ways, and enforces its deadlines.
//!
//! It writes first, then reads, and looks at the clock last, so a peer whose bytes are waiting does not count as
//! silent. While a handler runs, nothing is read, so the peer's silence is not counted against it. A peer that accepts
//! bytes after making them wait is alive even if it answers no ping: many bytes may be queued ahead of our ping.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use prism_core::{Inbound, ProtocolError};

use crate::{
    connection::Connection,
    error::Failure,
    outbox::owner::{OwnerStep, Sleep},
    session::{
        deadline::{DeadlineTimer, Deadlines},
        events,
        read_buffer::ReadBuffer,
    },
};

/// Drives a connection for the task that owns it. (The transport is in the [outbox](crate::outbox), behind its lock, so
/// that senders can write as well.)
///
/// A session makes one for each step, and one for each call of its [handler](crate::session::run_handler), which
/// borrows the connection as well. Lasting state is in the connection and the deadlines.
pub(crate) struct ConnectionDriver<'a, T> {
    pub(super) connection: &'a Connection,
    pub(super) deadlines: &'a mut Deadlines<T>,
}

/// Our side of the transport.
struct WriteSide {
    /// Something waits for the peer.
    blocked: bool,
    /// Both sides have ended.
    over: bool,
}

/// The activity of a session while a deadline passes.
enum Activity<'a> {
    /// It handles received bytes, or waits for its turn. It does not read, so the peer's silence is not counted
    /// against it. But a close still has to end in time: the handler may be waiting for just that.
    Handling,
    /// It waits for the peer.
    Reading(&'a mut Inbound),
    /// It waits for the end of the transport.
    Closing,
}

impl<'a, T: DeadlineTimer> ConnectionDriver<'a, T> {
    pub(crate) const fn new(connection: &'a Connection, deadlines: &'a mut Deadlines<T>) -> Self {
        Self { connection, deadlines }
    }

    /// Writes the unsent bytes, and reads until bytes have arrived or the application wakes the handler.
    pub(crate) fn fill(
        mut self,
        read_buffer: &'a mut ReadBuffer,
        inbound: &'a mut Inbound,
    ) -> impl Future<Output = Result<(), Failure>> + use<'a, T> {
        poll_fn(move |cx| {
            let filled = self.poll_fill(cx, read_buffer, inbound);
            if filled.is_pending() {
                read_buffer.shrink(); // what was received is counted
                read_buffer.begin_turn(); // other tasks have theirs meanwhile
            }
            filled
        })
    }

    /// Gives other tasks a turn before the next one. Holds neither an empty buffer meanwhile nor a large one of which
    /// little is used.
    pub(crate) fn pause(
        mut self,
        read_buffer: &mut ReadBuffer,
    ) -> impl Future<Output = Result<(), Failure>> + use<'a, T> {
        read_buffer.begin_turn();
        count_received(self.connection, read_buffer);
        read_buffer.shrink_large();
        let mut paused = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut paused, true) {
                self.connection.outbox().set_awake();
                return Poll::Ready(Ok(()));
            }
            self.poll_yield(cx, Activity::Handling)
        })
    }

    /// Finishes: sends the remaining bytes, shuts the write side down when the protocol calls for it, and waits for the
    /// peer to end its side, dropping whatever it still sends, as [`session`](crate::session#how-it-ends) explains.
    pub(crate) fn linger(
        mut self,
        read_buffer: &'a mut ReadBuffer,
    ) -> impl Future<Output = ()> + use<'a, T> {
        let mut shut = false;
        poll_fn(move |cx| {
            if !self.connection.outbox().is_transport_gone() {
                // After a failed write, no close frame is on its way that a reset could destroy.
                if !self.connection.outbox().has_write_failed() {
                    // However this ends, the handler has been told already.
                    if self.poll_linger(cx, read_buffer, &mut shut).is_pending() {
                        rest(self.connection, read_buffer);
                        return Poll::Pending;
                    }
                }
                self.give_up();
            }
            count_received(self.connection, read_buffer);
            self.connection.outbox().forget_owner();
            Poll::Ready(())
        })
    }

    /// Drops the transport.
    pub(crate) fn give_up(&mut self) {
        self.deadlines.clear();
        self.connection.outbox().give_up();
    }

    /// Drops the transport while a handler runs, but keeps the bytes that the peer has sent.
    pub(super) fn give_up_unread(&mut self) {
        self.deadlines.clear();
        self.connection.outbox().give_up_unread();
    }

    /// Writes, shuts the write side down when the protocol calls for it, and enforces deadlines. Completes when nothing
    /// is left to do for the peer, or fails.
    pub(super) fn poll_flush_and_shut(
        &mut self,
        cx: &mut Context<'_>,
        shut: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let WriteSide { blocked, over } = self.poll_write_side(cx, shut);
            if over {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_wait(cx, blocked, Activity::Handling))?;
        }
    }

    /// Writes the remaining bytes, and shuts the write side down when the protocol calls for it.
    fn poll_write_side(&mut self, cx: &mut Context<'_>, shut: &mut bool) -> WriteSide {
        let (step, blocked) = self.poll_write(cx);
        let wants = step.wants();
        drop(step);
        if !blocked && wants.shutdown && !*shut {
            *shut = self.poll_shutdown(cx).is_ready();
        }
        WriteSide { blocked, over: *shut && !wants.read }
    }

    /// Writes, reads, and looks at the clock. When a deadline has passed, reads once more before acting on it,
    /// because a transport may wait once before it looks for data (`AsyncIoStream`).
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        read_buffer: &mut ReadBuffer,
        inbound: &mut Inbound,
    ) -> Poll<Result<(), Failure>> {
        let mut passed = None;
        loop {
            // Not while the outbox is locked: this may allocate and move much.
            let prepared = read_buffer.prepare();
            let (mut step, blocked) = self.poll_write(cx);
            match prepared.poll_read(|buf| step.poll_read(cx, buf))? {
                Poll::Ready(0) => return Poll::Ready(Err(ProtocolError::UnexpectedEof.into())),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            step.count_received(read_buffer.take_uncounted());
            if let Some(now) = passed.take() {
                drop(step);
                self.handle_deadline(now, &mut Activity::Reading(inbound))?;
                step = self.connection.outbox().step(cx.waker());
            }
            passed = match self.poll_deadline(cx, step, blocked)? {
                Poll::Ready(passed) => passed,
                // If the handler is woken later, this task is woken, too.
                Poll::Pending if self.connection.outbox().is_woken() => {
                    self.connection.outbox().set_awake();
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => return Poll::Pending,
            };
        }
    }

    fn poll_linger(
        &mut self,
        cx: &mut Context<'_>,
        read_buffer: &mut ReadBuffer,
        shut: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        read_buffer.begin_turn();
        while !read_buffer.is_turn_over() {
            let WriteSide { blocked, over } = self.poll_write_side(cx, shut);
            if over {
                return Poll::Ready(Ok(()));
            }
            if self.connection.outbox().wants().read {
                read_buffer.clear();
                let prepared = read_buffer.prepare();
                match prepared.poll_read(|buf| self.connection.outbox().poll_read(cx, buf)) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.connection.outbox().receive_eof();
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            ready!(self.poll_wait(cx, blocked, Activity::Closing))?;
        }
        self.poll_yield(cx, Activity::Closing)
    }

    /// Gives other tasks a turn. Still enforces deadlines, so a peer that never pauses cannot escape them.
    fn poll_yield(
        &mut self,
        cx: &mut Context<'_>,
        activity: Activity<'_>,
    ) -> Poll<Result<(), Failure>> {
        self.deadlines.timer().yield_to_others(cx.waker());
        if self.connection.outbox().is_transport_gone() {
            return Poll::Pending; // more may still arrive
        }
        match self.poll_wait(cx, true, activity) {
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Sleeps until there is more to write or a deadline has been dealt with; fails if a deadline has ended the
    /// connection.
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        blocked: bool,
        mut activity: Activity<'_>,
    ) -> Poll<Result<(), Failure>> {
        let step = self.connection.outbox().step(cx.waker());
        match ready!(self.poll_deadline(cx, step, blocked))? {
            Some(now) => Poll::Ready(self.handle_deadline(now, &mut activity)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Sleeps until there is more to write, or until a deadline has passed, in which case it returns the time.
    #[inline(always)] // so that a step is not moved
    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        mut step: OwnerStep<'_>,
        blocked: bool,
    ) -> Poll<Result<Option<Duration>, Failure>> {
        let Sleep::Until(due) = step.prepare_sleep(blocked)? else {
            return Poll::Ready(Ok(None));
        };
        drop(step);
        self.deadlines.poll_passed(self.connection, cx, due).map(|now| Ok(Some(now)))
    }

    fn handle_deadline(
        &mut self,
        now: Duration,
        activity: &mut Activity<'_>,
    ) -> Result<(), Failure> {
        if self.deadlines.is_write_stalled(now) {
            return Err(Failure::WriteStalled);
        }
        let heard = match activity {
            // A peer that accepts bytes after making them wait is alive.
            Activity::Reading(inbound) => {
                inbound.take_heard() | self.connection.outbox().take_resumed()
            }
            Activity::Handling | Activity::Closing => true,
        };
        let waited = self.connection.outbox().wants().read;
        if self.connection.outbox().handle_timeout(now, heard)? {
            events::ping_sent(self.connection);
        }
        if waited && !self.connection.outbox().wants().read {
            // Both have closed, but the peer did not end the transport in time.
            return Err(ProtocolError::CloseTimeout.into());
        }
        Ok(())
    }

    /// Writes the unsent bytes. Returns the outbox, which is still locked, and whether something has to wait for the
    /// peer.
    #[inline(always)] // so that a step is not moved
    fn poll_write(&mut self, cx: &mut Context<'_>) -> (OwnerStep<'a>, bool) {
        let outbox = self.connection.outbox();
        let mut step = outbox.step(cx.waker());
        let (took, written) = step.poll_write(cx);
        let blocked = written.is_pending();
        if blocked || took && self.deadlines.has_backlog() {
            drop(step);
            if took && self.deadlines.note_taken(self.connection, blocked) {
                outbox.note_resumed();
            }
            if blocked {
                self.deadlines.note_blocked(self.connection);
            }
            step = outbox.step(cx.waker());
        }
        (step, blocked)
    }

    /// Shuts the write side down. A transport that fails to do so has ended it as well.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shut = self.connection.outbox().poll_shutdown(cx).map(|_| ());
        if shut.is_pending() {
            self.deadlines.note_blocked(self.connection);
        }
        shut
    }
}

/// Counts what has been received, gives back the memory that is not needed while the connection waits, and begins a
/// turn.
pub(super) fn rest(connection: &Connection, read_buffer: &mut ReadBuffer) {
    count_received(connection, read_buffer);
    read_buffer.shrink();
    read_buffer.begin_turn(); // other tasks have theirs meanwhile
}

fn count_received(connection: &Connection, read_buffer: &mut ReadBuffer) {
    connection.outbox().count_received(read_buffer.take_uncounted());
}
