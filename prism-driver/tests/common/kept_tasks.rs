//! [`KeptTasks`]: a runtime whose tasks the test drops.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use prism_driver::{AdaptStream, Runtime, Transport};
use prism_test::{Sim, Sleep};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime that keeps its tasks, and has the clock of a simulation.
#[derive(Clone)]
pub struct KeptTasks {
    sim: Sim,
    tasks: Arc<Mutex<Vec<Task>>>,
}

impl KeptTasks {
    pub fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), tasks: Arc::default() }
    }

    /// Polls each task once.
    pub fn poll(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.tasks.lock().unwrap().retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
    }

    /// Drops all tasks, as a runtime does that shuts down.
    pub fn shut_down(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        drop(tasks);
    }
}

impl<T: Transport> AdaptStream<T> for KeptTasks {
    type Transport = T;

    fn adapt(stream: T) -> T {
        stream
    }
}

impl Runtime for KeptTasks {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        self.sim.now()
    }

    fn sleep(&self, span: Duration) -> Sleep {
        self.sim.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap().push(Box::pin(future));
    }
}
