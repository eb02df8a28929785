//! [`DroppedWhenWoken`]: a task of an executor that ends at the worst moment.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
};

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task that is dropped, with what it waits for, when it is woken: as by an executor that has ended. So it must not
/// be woken under a lock that the destructor of its future takes.
pub struct DroppedWhenWoken(Mutex<Option<Waiting>>);

impl DroppedWhenWoken {
    /// Creates a task, and polls its future once.
    ///
    /// # Panics
    /// If the future does not wait.
    pub fn waiting_for(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let mut waiting: Waiting = Box::pin(future);
        let task = Arc::new(Self(Mutex::new(None)));
        let waker = Waker::from(task.clone());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *task.0.lock().expect("no panic under the lock") = Some(waiting);
        task
    }

    /// Returns whether the task was woken, and so is dropped.
    ///
    /// # Panics
    /// Never: nothing panics under the task's lock.
    pub fn was_woken(&self) -> bool {
        self.0.lock().expect("no panic under the lock").is_none()
    }
}

impl Wake for DroppedWhenWoken {
    fn wake(self: Arc<Self>) {
        let waiting = self.0.lock().expect("no panic under the lock").take();
        drop(waiting); // once the lock is free
    }
}
