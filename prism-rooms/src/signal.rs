//! [`Signal`]: wakes a task, but only once no lock is held.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use async_channel::{Receiver, Sender};
use futures_lite::Stream;
use prism_driver::{Deferring, hold_wakeups};

/// Wakes the task that waits on its receiver, which has to be polled in a
/// [`Deferring`](prism_driver::Deferring).
///
/// A waker is application code, so a signal cannot be sent under a lock. Code that holds a lock adds it to
/// [`Signals`] instead.
#[derive(Clone)]
pub(crate) struct Signal(Option<Sender<()>>);

impl Signal {
    /// Creates a signal and its receiver, which holds at most `capacity` unreceived signals.
    pub(crate) fn new(capacity: usize) -> (Self, Receiver<()>) {
        let (sender, receiver) = async_channel::bounded(capacity);
        (Self(Some(sender)), receiver)
    }

    /// Sends the signal. The caller must hold no lock.
    pub(crate) fn send(&self) {
        let _wakeups = hold_wakeups(); // the driver runs the wakers, and contains their panics
        self.send_while_held();
    }

    /// Sends the signal. The caller must hold no lock, but has to hold wake-ups.
    fn send_while_held(&self) {
        // Fails if the receiver is full, and so will wake up anyway, or if it is gone.
        let _ = self.0.as_ref().map(|sender| sender.try_send(()));
    }
}

/// The last one wakes its receiver, for the last time.
impl Drop for Signal {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // until the channel's lock is free
        drop(self.0.take());
    }
}

/// Receives signals again and again. It goes on to listen between two polls, so a poll in vain costs little.
pub(crate) struct SignalReceiver(Deferring<NextSignal>);

/// Ready for each signal, and not only once.
struct NextSignal(Pin<Box<Receiver<()>>>);

impl SignalReceiver {
    pub(crate) fn new(signals: Receiver<()>) -> Self {
        Self(Deferring::new(NextSignal(Box::pin(signals))))
    }

    /// Takes a signal. If there is none, the task of `cx` is woken for the next one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Future for NextSignal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll_next(cx).map(drop)
    }
}

/// The signals to send once no lock is held.
#[derive(Default)]
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    pub(crate) fn add(&mut self, signal: &Signal) {
        self.0.push(signal.clone());
    }

    /// Sends all signals. The caller must hold no lock, but has to hold wake-ups: the driver then runs the
    /// wakers, and contains their panics.
    pub(crate) fn send(&mut self) {
        self.0.drain(..).for_each(|signal| signal.send_while_held());
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use prism_driver::Deferring;
    use prism_test::DroppedWhenWoken;

    use super::Signal;

    #[test]
    fn the_last_signal_wakes_its_receiver_when_no_lock_is_held() {
        let (signal, receiver) = Signal::new(1);
        let task = DroppedWhenWoken::waiting_for(async move {
            let _ = Deferring::new(receiver.recv()).await;
        });
        // The waker wants the channel's lock.
        drop(signal);
        assert!(task.was_woken());
    }
}
