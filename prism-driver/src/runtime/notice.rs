//! [`Notice`]: waiting for what somebody else brings about; and waiting so that no waker runs under a
//! lock ([`Deferring`]).
//!
//! `event-listener`, and so `async-channel`, wake tasks while they hold a lock. A waker is code of the
//! runtime, or of whoever has wrapped a future: one that drops the future that waits, or polls it, would
//! want that lock as well. So that future is polled with a [`DeferredWaker`] in place of the task's own,
//! and whatever may wake it [holds wake-ups](hold_wakeups) until the lock is free.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use event_listener::{Event, EventListener};
use pin_project_lite::pin_project;

use crate::runtime::wakeups::{self, hold_wakeups};

/// Tells those who wait for something that it may have come about.
#[derive(Debug, Default)]
pub(crate) struct Notice(Event);

/// Ready when notified. Boxed: few wait, but every future that may has the room for it.
pub(crate) type Listening = Pin<Box<Deferring<EventListener>>>;

impl Notice {
    pub(crate) const fn new() -> Self {
        Self(Event::new())
    }

    /// Tells so many of those who listen that have not been told yet, those first who came first.
    pub(crate) fn notify(&self, most: usize) {
        let _wakeups = hold_wakeups();
        self.0.notify(most);
    }

    /// Listens from now on. Look afterwards whether you have to wait: it may have come about before.
    pub(crate) fn listen(&self) -> Listening {
        Box::pin(Deferring::new(self.0.listen()))
    }

    /// Returns when `done`, which is not asked again when it has said so: it may take what it finds.
    /// Whoever makes it so must notify afterwards.
    pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
        while !done() {
            let noticed = self.listen();
            // It may have come about before we listened.
            if done() {
                return;
            }
            noticed.await;
        }
    }
}

pin_project! {
    /// A future of `event-listener` or `async-channel`, polled and dropped so that no waker runs under
    /// their locks.
    #[derive(Debug)]
    #[must_use]
    pub struct Deferring<F> {
        #[pin]
        future: Option<F>,
        // Dropped after the future, so that the task's waker is never dropped under its lock.
        waker: Arc<DeferredWaker>,
    }

    impl<F> PinnedDrop for Deferring<F> {
        fn drop(this: Pin<&mut Self>) {
            let _wakeups = hold_wakeups(); // what this was told, another one may be told now
            this.project().future.set(None);
        }
    }
}

impl<F: Future> Deferring<F> {
    /// Polls `future` with a [`DeferredWaker`].
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

/// Stands in for the waker of a task: woken while this thread [holds wake-ups](hold_wakeups), it has the
/// task woken afterwards.
#[derive(Debug, Default)]
pub(crate) struct DeferredWaker {
    task: Mutex<Option<Waker>>,
}

impl DeferredWaker {
    /// Calls `poll` with this in place of the task's waker. Those whom `poll` wakes in turn are woken when
    /// it has returned.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let _wakeups = hold_wakeups();
        let is_known = self.task().as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if !is_known {
            // It is neither cloned nor dropped under our lock.
            let task = cx.waker().clone();
            let before = self.task().replace(task);
            drop(before);
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
        sync::{Arc, Mutex},
        task::{Context, Poll, Wake, Waker},
    };

    use super::{Listening, Notice};

    /// A task that is dropped, with what it waits for, when it is woken: as by an executor that has gone.
    struct Gone(Mutex<Option<Listening>>);

    impl Wake for Gone {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }

    /// A task that waits for the notice, and is dropped when it is woken.
    fn waiting(notice: &Notice) -> Arc<Gone> {
        let task = Arc::new(Gone(Mutex::new(None)));
        let mut listening = notice.listen();
        let waker = Waker::from(task.clone());
        assert!(listening.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *task.0.lock().unwrap() = Some(listening);
        task
    }

    #[test]
    fn a_waker_may_drop_the_future_that_waits() {
        let notice = Notice::new();
        let tasks = [waiting(&notice), waiting(&notice)];
        notice.notify(usize::MAX);
        assert!(tasks.iter().all(|task| task.0.lock().unwrap().is_none()));
    }

    #[test]
    fn what_is_passed_on_by_a_drop_wakes_outside_of_locks_too() {
        let notice = Notice::new();
        let mut first = notice.listen();
        let waker = Waker::noop();
        assert!(first.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        let second = waiting(&notice);
        notice.notify(1);
        drop(first);
        assert!(second.0.lock().unwrap().is_none(), "it was told in place of the first");
    }

    /// Panics when it is woken, and when its last handle is dropped.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_being_woken() {
        let notice = Notice::new();
        let mut panics = notice.listen();
        let waker = Waker::from(Arc::new(Panics));
        assert!(panics.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let other = waiting(&notice);
        notice.notify(usize::MAX);
        assert!(other.0.lock().unwrap().is_none());
        assert_eq!(panics.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    }

    #[test]
    fn only_the_last_waker_is_woken_and_the_others_are_forgotten() {
        let notice = Notice::new();
        let mut listening = notice.listen();
        let [first, last] = [waiting(&Notice::new()), waiting(&Notice::new())];
        for task in [&first, &last] {
            let waker = Waker::from(task.clone());
            assert!(listening.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        notice.notify(1);
        assert!(first.0.lock().unwrap().is_some() && last.0.lock().unwrap().is_none());
        // Our own handle, and that of the notice that it waits for by itself.
        assert_eq!(Arc::strong_count(&first), 2);
    }
}
