//! [`Notice`]: notifies waiting tasks. [`Deferring`]: makes sure that no waker runs under a lock.
//!
//! `event-listener`, and with it `async-channel`, wakes tasks while it holds a lock. A waker is foreign code: it may
//! drop or poll the waiting future, which takes the same lock. So the future is polled with a [`DeferredWaker`] in
//! place of the task's own, and every caller that may wake it [holds wake-ups](hold_wakeups) until the lock is free.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use event_listener::{Event, EventListener};
use pin_project_lite::pin_project;

use crate::runtime::wakeups::{self, hold_wakeups};

/// Notifies waiting tasks that their condition may have become true.
#[derive(Debug, Default)]
pub(crate) struct Notice(Event);

/// A future that is ready when notified. Boxed, because many futures have room for one, but few of them wait.
pub(crate) type Listening = Pin<Box<Deferring<EventListener>>>;

impl Notice {
    pub(crate) const fn new() -> Self {
        Self(Event::new())
    }

    /// Notifies up to `count` listeners that have not been notified yet, in the order in which they began to listen.
    pub(crate) fn notify(&self, count: usize) {
        let _wakeups = hold_wakeups();
        self.0.notify(count);
    }

    /// Begins to listen. Check the condition afterwards: it may have become true before.
    pub(crate) fn listen(&self) -> Listening {
        Box::pin(Deferring::new(self.0.listen()))
    }

    /// Waits until `done` returns true. `done` is not called again afterwards, so it may take the value that it finds.
    /// Code that makes `done` true has to call [`notify`](Self::notify) afterwards.
    pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
        while !done() {
            let noticed = self.listen();
            // The condition may have become true before we listened.
            if done() {
                return;
            }
            noticed.await;
        }
    }
}

pin_project! {
    /// A wrapper for a future of `event-listener` or `async-channel`, which polls and drops it in such a way that no
    /// waker runs while those crates hold a lock.
    #[derive(Debug)]
    #[doc(hidden)] // for prism-rooms
    #[must_use]
    pub struct Deferring<F> {
        #[pin]
        future: Option<F>,
        // Dropped after the future, so that the task's waker is never dropped under the future's lock.
        waker: Arc<DeferredWaker>,
    }

    impl<F> PinnedDrop for Deferring<F> {
        fn drop(this: Pin<&mut Self>) {
            let _wakeups = hold_wakeups(); // the drop may pass a notification on to another listener
            this.project().future.set(None);
        }
    }
}

impl<F: Future> Deferring<F> {
    /// Wraps a future.
    pub fn new(future: F) -> Self {
        Self { future: Some(future), waker: Arc::default() }
    }
}

impl<F: Future> Future for Deferring<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future.as_pin_mut().expect("it is there until this is dropped");
        this.waker.poll(cx, |cx| future.poll(cx))
    }
}

/// A stand-in for a task's waker. If it is woken while this thread [holds wake-ups](hold_wakeups), the task is woken
/// afterwards.
#[derive(Debug, Default)]
pub(crate) struct DeferredWaker {
    task: Mutex<Option<Waker>>,
}

impl DeferredWaker {
    /// Calls `poll` with this in place of the task's waker. Tasks that `poll` wakes in turn are woken after it has
    /// returned.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let _wakeups = hold_wakeups();
        let is_current = self.task().as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if !is_current {
            // A waker is neither cloned nor dropped under our lock.
            let task = cx.waker().clone();
            let previous = self.task().replace(task);
            drop(previous);
        }
        poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for DeferredWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = self.task().take();
        if let Some(task) = task {
            wakeups::wake(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
    };

    use prism_test::DroppedWhenWoken;

    use super::Notice;

    fn waiting(notice: &Notice) -> Arc<DroppedWhenWoken> {
        DroppedWhenWoken::waiting_for(notice.listen())
    }

    #[test]
    fn a_waker_may_drop_the_waiting_future() {
        let notice = Notice::new();
        let tasks = [waiting(&notice), waiting(&notice)];
        notice.notify(usize::MAX);
        assert!(tasks.iter().all(|task| task.was_woken()));
    }

    #[test]
    fn a_notification_passed_on_by_a_drop_wakes_outside_locks() {
        let notice = Notice::new();
        let mut first = notice.listen();
        let waker = Waker::noop();
        assert!(first.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        let second = waiting(&notice);
        notice.notify(1);
        drop(first);
        assert!(second.was_woken(), "it was notified in place of the first");
    }

    /// Panics when it is woken, and when its last handle is dropped.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_waker_that_panics_does_not_keep_others_from_running() {
        let notice = Notice::new();
        let mut panics = notice.listen();
        let waker = Waker::from(Arc::new(Panics));
        assert!(panics.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let other = waiting(&notice);
        notice.notify(usize::MAX);
        assert!(other.was_woken());
        assert_eq!(panics.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    }

    #[test]
    fn only_the_last_waker_is_kept_and_woken() {
        let notice = Notice::new();
        let mut listening = notice.listen();
        let [first, last] = [waiting(&Notice::new()), waiting(&Notice::new())];
        for task in [&first, &last] {
            let waker = Waker::from(task.clone());
            assert!(listening.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        notice.notify(1);
        assert!(!first.was_woken() && last.was_woken());
        // One handle is ours; the task's own notice holds the other.
        assert_eq!(Arc::strong_count(&first), 2);
    }
}
