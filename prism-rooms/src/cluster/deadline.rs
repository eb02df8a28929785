//! [`DeadlineTimer`]: wakes the task of a cluster at its next deadline.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use prism_driver::Runtime;

/// A timer that is kept. Most deadlines move on before they have come, and a timer that fires early does no harm.
pub(super) struct DeadlineTimer<R: Runtime> {
    /// When it fires; `None` if it does not.
    fires_at: Option<Duration>,
    sleep: Option<Pin<Box<R::Sleep>>>,
}

impl<R: Runtime> DeadlineTimer<R> {
    pub(super) const fn new() -> Self {
        Self { fires_at: None, sleep: None }
    }

    /// Makes it fire at this time, or earlier.
    pub(super) fn set(&mut self, deadline: Option<Duration>, runtime: &R, now: Duration) {
        let Some(deadline) = deadline else { return self.fires_at = None };
        if self.fires_at.is_some_and(|fires_at| fires_at <= deadline) {
            return;
        }
        self.fires_at = Some(deadline);
        let sleep = runtime.sleep(deadline.saturating_sub(now));
        match &mut self.sleep {
            Some(old) => old.set(sleep),
            None => self.sleep = Some(Box::pin(sleep)),
        }
    }

    /// Ready, once, when it fires.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let (Some(_), Some(sleep)) = (self.fires_at, &mut self.sleep)
            && sleep.as_mut().poll(cx).is_ready()
        {
            self.fires_at = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
