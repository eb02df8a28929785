//! [`within`] and [`until`]: run a future with a time limit.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::runtime::Runtime;

/// Returns the future's output, or `None` if it is not ready by the deadline.
pub(crate) fn until<R: Runtime, F: Future>(
    runtime: &R,
    deadline: Duration,
    future: F,
) -> Within<'_, R, F> {
    within(runtime, deadline.saturating_sub(runtime.now()), future)
}

/// Returns the future's output, or `None` if it takes longer than `span`. A future that is ready at once needs no
/// timer.
pub(crate) const fn within<R: Runtime, F: Future>(
    runtime: &R,
    span: Duration,
    future: F,
) -> Within<'_, R, F> {
    Within { future, runtime, span, sleep: None }
}

pin_project! {
    /// The future of [`within`]. (An `async` block around a future would hold it twice.)
    #[must_use]
    pub(crate) struct Within<'a, R: Runtime, F> {
        #[pin]
        future: F,
        runtime: &'a R,
        span: Duration,
        #[pin]
        sleep: Option<R::Sleep>,
    }
}

impl<R: Runtime, F: Future> Future for Within<'_, R, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The timer comes first. If the future uses up what a task may do in one poll (tokio's budget), a timer that is
        // polled after it does not fire. And if it does so each time, the timer never would.
        let passed =
            this.sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready());
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if passed {
            return Poll::Ready(None);
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(this.runtime.sleep(*this.span)));
            return this.sleep.as_pin_mut().expect("set above").poll(cx).map(|_| None);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, poll_fn, ready},
        pin::pin,
        task::Waker,
    };

    use super::{Context, Duration, Pin, Poll, Runtime, within};

    thread_local! {
        /// How much the task may still do in this poll.
        static BUDGET: Cell<u32> = const { Cell::new(0) };
    }

    /// A runtime with a budget, whose timers fire at once.
    #[derive(Clone)]
    struct Budgeted;

    struct Sleep;

    impl Future for Sleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if BUDGET.get() == 0 { Poll::Pending } else { Poll::Ready(()) }
        }
    }

    impl Runtime for Budgeted {
        type Sleep = Sleep;

        fn sleep(&self, _: Duration) -> Sleep {
            Sleep
        }

        fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
    }

    /// Polls with a budget of one, and returns the result if it is there.
    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        BUDGET.set(1);
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_deadline_passes_although_the_future_uses_up_the_budget() {
        let greedy = poll_fn(|_| {
            BUDGET.set(0);
            Poll::<()>::Pending
        });
        let mut within = pin!(within(&Budgeted, Duration::ZERO, greedy));
        assert!(poll(within.as_mut()).is_pending());
        assert_eq!(poll(within.as_mut()), Poll::Ready(None));
    }

    #[test]
    fn an_output_that_is_ready_wins() {
        let mut polls = 0;
        let second = poll_fn(|_| {
            polls += 1;
            BUDGET.set(0);
            if polls == 2 { Poll::Ready(polls) } else { Poll::Pending }
        });
        let mut within = pin!(within(&Budgeted, Duration::ZERO, second));
        assert!(poll(within.as_mut()).is_pending());
        assert_eq!(poll(within.as_mut()), Poll::Ready(Some(2)));
    }

    #[test]
    fn a_timer_that_fires_at_once_is_enough() {
        let mut at_once = pin!(within(&Budgeted, Duration::ZERO, pending::<()>()));
        assert_eq!(poll(at_once.as_mut()), Poll::Ready(None));
        let mut output = pin!(within(&Budgeted, Duration::ZERO, ready(1)));
        assert_eq!(poll(output.as_mut()), Poll::Ready(Some(1)));
    }
}
