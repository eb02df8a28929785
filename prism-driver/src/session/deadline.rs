//! The deadlines of a session: [`Deadlines`] knows which is next, and a [`DeadlineTimer`] fires when it has passed.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crate::{
    connection::Connection,
    options::Options,
    runtime::Runtime,
    session::{
        events,
        moment::Moment,
        write_progress::{WriteLimits, WriteProgress},
    },
};

/// A session's clock and timer. A session that is served alone has [one of the runtime's](OwnTimer). The sessions of
/// a server share one, because a separate timer would take much memory for an idle connection.
pub(crate) trait DeadlineTimer {
    /// Returns how slowly the peer may take the bytes that are sent to it.
    fn write_limits(&self) -> WriteLimits;

    /// Returns the time.
    fn now(&self) -> Duration;

    /// Wakes the current task after others have had their turn.
    fn yield_to_others(&self, waker: &Waker);

    /// Sets the timer, replacing its previous time.
    fn set(&mut self, due: Duration);

    /// Stops the timer.
    fn clear(&mut self);

    /// Notes that the transport takes no more, and something is unsent.
    fn note_stalled(&self, _connection: &Connection) {}

    /// Notes that a handler still runs though its connection's transport is gone.
    fn note_stuck(&self, _connection: &Connection) {}

    /// Waits for the timer. Is ready once when it has fired, which may be some time after it was due.
    fn poll(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<()>;
}

/// A session's next deadline, and the progress of its peer. Every idle connection holds one, so its size matters.
pub(crate) struct Deadlines<T> {
    timer: T,
    /// When the timer fires, if it is set.
    set_for: Option<Moment>,
    /// The progress of the peer, while something waits for it. Boxed, because that is rare.
    backlog: Option<Box<Backlog>>,
}

struct Backlog {
    progress: WriteProgress,
    /// How many bytes had been written when this was last updated.
    written: u64,
}

impl<T: DeadlineTimer> Deadlines<T> {
    pub(crate) const fn new(timer: T) -> Self {
        Self { timer, set_for: None, backlog: None }
    }

    pub(crate) const fn timer(&self) -> &T {
        &self.timer
    }

    /// Stops the timer and forgets the backlog.
    pub(super) fn clear(&mut self) {
        self.timer.clear();
        self.set_for = None;
        self.backlog = None;
    }

    /// Waits until a deadline has passed, and returns the time. `protocol` is the protocol's next deadline; the
    /// backlog's is known. A deadline at the [beginning of time](Moment::BEGINNING) is only a request for the time.
    pub(super) fn poll_passed(
        &mut self,
        connection: &Connection,
        cx: &mut Context<'_>,
        protocol: Option<Duration>,
    ) -> Poll<Duration> {
        let slow_at = self.backlog.as_ref().map(|backlog| backlog.progress.due().into());
        let due = match (protocol.map(Moment::from), slow_at) {
            (Some(due), Some(slow_at)) => due.min(slow_at),
            (Some(due), None) | (None, Some(due)) => due,
            (None, None) => return Poll::Pending,
        };
        if due > Moment::BEGINNING {
            // A timer that is set for earlier will do: it is set again when it has fired.
            if self.set_for.is_none_or(|at| at > due) {
                self.timer.set(due.into());
                self.set_for = Some(due);
            }
            ready!(self.timer.poll(connection, cx));
            self.set_for = None;
        }
        Poll::Ready(self.timer.now())
    }

    /// Returns whether the peer takes the waiting bytes too slowly.
    pub(super) fn is_write_stalled(&mut self, now: Duration) -> bool {
        let limits = self.timer.write_limits();
        let backlog = self.backlog.as_mut();
        backlog.is_some_and(|backlog| backlog.progress.is_too_slow(now, limits))
    }

    /// Returns whether something has had to wait for the peer.
    pub(super) const fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// Notes that something has to wait for the peer.
    pub(super) fn note_blocked(&mut self, connection: &Connection) {
        self.timer.note_stalled(connection);
        if self.backlog.is_none() {
            events::back_pressure_began(connection);
            let progress = WriteProgress::begin(self.timer.now(), self.timer.write_limits());
            let written = connection.outbox().count_written();
            self.backlog = Some(Box::new(Backlog { progress, written }));
        }
    }

    /// Notes that the peer has taken something, and whether the rest has to wait. Returns whether something had to
    /// wait before.
    pub(super) fn note_taken(&mut self, connection: &Connection, blocked: bool) -> bool {
        let Some(backlog) = &mut self.backlog else { return false };
        if blocked {
            let written = connection.outbox().count_written();
            let bytes = written - std::mem::replace(&mut backlog.written, written);
            backlog.progress.took(bytes, self.timer.now(), self.timer.write_limits());
        } else {
            self.backlog = None;
            events::back_pressure_ended(connection);
            connection.outbox().stop_counting();
        }
        true
    }
}

/// A timer of the runtime.
pub(crate) struct OwnTimer<R: Runtime> {
    runtime: R,
    write_limits: WriteLimits,
    sleep: Option<Pin<Box<R::Sleep>>>,
}

impl<R: Runtime> OwnTimer<R> {
    pub(crate) const fn new(runtime: R, options: &Options) -> Self {
        Self { runtime, write_limits: options.write_limits(), sleep: None }
    }
}

impl<R: Runtime> DeadlineTimer for OwnTimer<R> {
    fn write_limits(&self) -> WriteLimits {
        self.write_limits
    }

    fn now(&self) -> Duration {
        self.runtime.now()
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.runtime.yield_to_others(waker);
    }

    fn set(&mut self, due: Duration) {
        let span = due.saturating_sub(self.runtime.now());
        self.sleep = Some(Box::pin(self.runtime.sleep(span)));
    }

    fn clear(&mut self) {
        self.sleep = None;
    }

    fn poll(&mut self, _: &Connection, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
