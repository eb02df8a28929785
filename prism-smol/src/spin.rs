//! [`spin`]: looking for I/O without parking the thread.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

/// Runs a future, and keeps its thread from parking for as long as this after each time that it was woken: the thread
/// looks for I/O instead. Pass it to `smol::block_on`, with an executor that serves few busy connections, and for which
/// latency matters more than a core.
///
#[doc = include_str!("../docs/spin.md")]
///
/// If several threads run the executor, each of them that should spin needs a call of its own. The threads of smol's
/// global executor cannot spin, so use an [executor of your own](crate::Smol::on).
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
///
/// use prism_smol::{Server, Smol, spin};
///
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// fn main() -> std::io::Result<()> {
///     let executor = Arc::new(smol::Executor::new());
///     let serve = async {
///         let server = Server::bind_on(Smol::on(executor.clone()), "127.0.0.1:8080").await?;
///         server.websocket("/ws", Echo).serve().await;
///         Ok(())
///     };
///     smol::block_on(spin(Duration::from_micros(50), executor.run(serve)))
/// }
/// ```
pub async fn spin<T>(span: Duration, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let wakeup = Arc::new(Wakeup::default());
    let waker = Waker::from(wakeup.clone());
    let mut last_wakeup = Instant::now();
    poll_fn(|cx| {
        wakeup.wake_next(cx.waker());
        if wakeup.take() {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            last_wakeup = Instant::now();
        }
        if last_wakeup.elapsed() < span {
            cx.waker().wake_by_ref(); // `block_on` looks for I/O, but does not park
        }
        Poll::Pending
    })
    .await
}

/// Tells a wakeup of the future from those by which it spins.
struct Wakeup {
    pending: AtomicBool,
    /// The waker of the thread, until it is woken.
    thread: Mutex<Option<Waker>>,
}

impl Default for Wakeup {
    fn default() -> Self {
        Self { pending: AtomicBool::new(true), thread: Mutex::default() }
    }
}

impl Wakeup {
    /// Sets what the next wakeup wakes.
    fn wake_next(&self, waker: &Waker) {
        let is_set = self.thread().as_ref().is_some_and(|thread| thread.will_wake(waker));
        if !is_set {
            // A waker is neither cloned nor dropped under the lock, because that may run anything.
            let waker = waker.clone();
            let previous = self.thread().replace(waker);
            drop(previous);
        }
    }

    /// Returns whether the future has been woken since the last call.
    fn take(&self) -> bool {
        self.pending.swap(false, AcqRel)
    }

    fn thread(&self) -> MutexGuard<'_, Option<Waker>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.pending.swap(true, AcqRel) {
            return; // it has not been polled since
        }
        // Without a waker, the thread has been woken, or is about to be, and has yet to poll.
        let thread = self.thread().take();
        if let Some(thread) = thread {
            thread.wake();
        }
    }
}
