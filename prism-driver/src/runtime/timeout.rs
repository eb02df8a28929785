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
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(this.runtime.sleep(*this.span)));
        }
        let sleep = this.sleep.as_pin_mut().expect("set above");
        sleep.poll(cx).map(|_| None)
    }
}
