//! [`Served`]: a session that a backplane serves. The backplane is foreign code: its panics end the session, and no
//! more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use prism_driver::contain;

use crate::backplane::{Backplane, Session, SessionFuture};

/// Its output says why the session has ended. `None` once the backplane has panicked, or the future has ended.
pub(super) struct Served<'a>(Option<SessionFuture<'a>>);

impl<'a> Served<'a> {
    pub(super) fn new(backplane: &'a impl Backplane, session: &'a Session) -> Self {
        Self(contain(|| backplane.serve(session)))
    }

    fn drop_future(&mut self) {
        if let Some(future) = self.0.take() {
            contain(|| drop(future));
        }
    }
}

impl Future for Served<'_> {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let reason = self.0.as_mut().and_then(|future| {
            contain(|| future.as_mut().poll(cx).map(|reason| reason.to_string()))
        });
        if reason.as_ref().is_some_and(Poll::is_pending) {
            return Poll::Pending;
        }
        self.drop_future();
        reason.unwrap_or_else(|| Poll::Ready("the backplane has panicked".to_owned()))
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.drop_future();
    }
}
