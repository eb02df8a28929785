//! [`Served`]: a session that a backplane serves. The backplane is foreign code: its panics end the session, and no
//! more.
//!
//! The cluster's task polls the backplane and gives it commands. If each command woke the task, it would be polled once
//! more for each, in vain. So the backplane has a waker of its own. While the task is busy with other things, that
//! takes note only: the task polls the backplane again before it waits.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use prism_driver::contain;

use crate::{
    backplane::{Backplane, Session, SessionFuture},
    sync::Lock,
};

pub(super) struct Served<'a> {
    /// `None` once the backplane has panicked, or the future has ended.
    future: Option<SessionFuture<'a>>,
    session: &'a Session,
    wakeups: Arc<Wakeups>,
    waker: Waker,
}

/// Whether the backplane was woken.
struct Wakeups(Lock<State>);

struct State {
    is_woken: bool,
    /// The cluster's task, while it waits for the backplane.
    task: Option<Waker>,
}

impl<'a> Served<'a> {
    pub(super) fn new(backplane: &'a impl Backplane, session: &'a Session) -> Self {
        let future = contain(|| backplane.serve(session));
        let wakeups = Arc::new(Wakeups(Lock::new(State { is_woken: true, task: None })));
        Self { future, session, waker: wakeups.clone().into(), wakeups }
    }

    /// Polls the backplane if it was woken. Ready when it has reported something, or with the reason if the session has
    /// ended. Otherwise, the task of `cx` is woken when the backplane is.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<String>> {
        if !self.wakeups.wait(cx.waker()) {
            return Poll::Pending;
        }
        self.session.expect_inputs();
        let future = self.future.as_mut();
        let polled = future.and_then(|future| {
            let mut cx = Context::from_waker(&self.waker);
            contain(|| future.as_mut().poll(&mut cx).map(|reason| reason.to_string()))
        });
        let has_inputs = self.session.has_expected_inputs();
        match polled {
            Some(Poll::Pending) if has_inputs => Poll::Ready(None),
            Some(Poll::Pending) => Poll::Pending,
            ended => {
                self.drop_future();
                let Some(Poll::Ready(reason)) = ended else {
                    return Poll::Ready(Some("the backplane has panicked".to_owned()));
                };
                Poll::Ready(Some(reason))
            }
        }
    }

    /// Lets the backplane wake nobody until it is polled again.
    pub(super) fn stop_waking(&self) {
        let task = self.wakeups.0.lock().task.take();
        drop(task); // unlocked: a waker is application code
    }

    fn drop_future(&mut self) {
        if let Some(future) = self.future.take() {
            contain(|| drop(future));
        }
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.drop_future();
    }
}

impl Wakeups {
    /// Returns whether the backplane was woken since the last call. From now on, `task` is woken with it.
    fn wait(&self, task: &Waker) -> bool {
        let task = Some(task.clone());
        let mut state = self.0.lock();
        let is_woken = mem::take(&mut state.is_woken);
        let replaced = mem::replace(&mut state.task, task);
        drop(state);
        drop(replaced);
        is_woken
    }
}

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.0.lock();
        state.is_woken = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}
