//! [`Signal`]: wakes a task, but only once no lock is held.

use async_channel::{Receiver, Sender};

use crate::sync::run_user_code;

/// Wakes the task that waits on its receiver.
///
/// A waker is application code, so a signal cannot be sent under a lock. What causes it there adds it to
/// [`Signals`] instead.
#[derive(Clone)]
pub(super) struct Signal(Sender<()>);

impl Signal {
    /// Creates a signal and its receiver, which holds at most `capacity` unreceived signals.
    pub(super) fn new(capacity: usize) -> (Self, Receiver<()>) {
        let (sender, receiver) = async_channel::bounded(capacity);
        (Self(sender), receiver)
    }
}

/// The signals to send once no lock is held.
#[derive(Default)]
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    pub(super) fn add(&mut self, signal: &Signal) {
        self.0.push(signal.clone());
    }

    /// Sends all signals. The caller must hold no lock.
    pub(super) fn send(&mut self) {
        for Signal(sender) in self.0.drain(..) {
            // It fails if the receiver is full, and so has something to wake up for, or if it is gone. A
            // waker that panics does not keep the others from being woken.
            run_user_code(|| _ = sender.try_send(()));
        }
    }
}
