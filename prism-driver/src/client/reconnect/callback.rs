//! [`Callback`]: marks the thread while it polls the application's code that a `Reconnect` waits for.
//!
//! If that code waits for another connection, it waits forever, because the connection cannot come before the code has
//! returned. The [handle](crate::ReconnectHandle) can tell by the mark.

use std::{
    cell::Cell,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

thread_local! {
    /// The number of the innermost `Reconnect` whose callback this thread is polling; 0 if it is polling none.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

pin_project! {
    /// A call of the application's code by the `Reconnect` with this number.
    #[must_use]
    pub(super) struct Callback<F> {
        number: usize,
        #[pin]
        call: F,
    }
}

impl<F> Callback<F> {
    pub(super) const fn new(number: usize, call: F) -> Self {
        Self { number, call }
    }
}

impl<F: Future> Future for Callback<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _restore = Restore(RUNNING.replace(*this.number));
        this.call.poll(cx)
    }
}

/// Restores the mark, also after a panic.
struct Restore(usize);

impl Drop for Restore {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// Returns whether this code runs in a callback of the `Reconnect` with this number.
pub(super) fn is_running(number: usize) -> bool {
    RUNNING.get() == number
}
