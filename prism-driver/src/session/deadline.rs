//! [`DeadlineTimer`]: how a session learns that one of its deadlines has passed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    connection::Connection, options::Options, runtime::Runtime,
    session::write_progress::WriteLimits,
};

/// A session's clock. A session alone has a [timer](OwnTimer) of its own; those of a server share one,
/// because a timer is much memory for a connection that is idle.
pub(crate) trait DeadlineTimer {
    /// How slowly the peer may take what is to be sent.
    fn write_limits(&self) -> WriteLimits;

    /// What time it is.
    fn now(&self) -> Duration;

    /// Sets the alarm, in place of what it was set for.
    fn set(&mut self, due: Duration);

    /// Turns it off.
    fn clear(&mut self);

    /// Notes that the transport takes no more, and something is unsent.
    fn note_stalled(&self, _connection: &Connection) {}

    /// A handler still runs, though its connection's transport is gone.
    fn note_stuck(&self, _connection: &Connection) {}

    /// Ready once, when it has timer_fired; some time after it was due.
    fn poll(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<()>;
}

/// A timer of the runtime's.
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
