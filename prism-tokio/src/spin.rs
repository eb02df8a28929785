//! [`spin`]: looking for I/O without parking the thread.

use std::{
    cell::Cell,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Notify, task::yield_now};

thread_local! {
    /// How often something has been read on this thread.
    static READS: Cell<u64> = const { Cell::new(0) };
    /// Whether tasks that spin may wait for a read.
    static IS_AWAITED: Cell<bool> = const { Cell::new(false) };
    /// What wakes these tasks.
    static SLEEPERS: Arc<Notify> = Arc::default();
}

/// Keeps a thread from parking for as long as this after each read, and looks for I/O instead. Spawn it on a
/// single-threaded runtime that serves few busy connections, and for which latency matters more than a core.
///
#[doc = include_str!("../docs/spin.md")]
///
/// Reads are those of Prism's connections on the thread that runs this task. A multi-threaded runtime moves tasks from
/// thread to thread, so this is not for those: use [`serve_sharded`](crate::serve_sharded), and spawn one of these for
/// each server.
///
/// The future is never ready. If you drop it or abort its task, the thread no longer spins. If there are several on one
/// thread, the thread spins for the longest of their spans.
///
/// ```no_run
/// use std::time::Duration;
///
/// use prism_tokio::{Server, spin};
///
/// # use prism_tokio::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> std::io::Result<()> {
///     tokio::spawn(spin(Duration::from_micros(50)));
///     Server::bind("127.0.0.1:8080").await?.websocket("/ws", Echo).serve().await;
///     Ok(())
/// }
/// ```
///
/// Several threads:
///
/// ```no_run
/// use std::time::Duration;
///
/// use prism_tokio::{Server, serve_sharded, shared_listeners, spin};
///
/// # use prism_tokio::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo { async fn on_message(&self, _: &Connection, _: Message<'_>) {} }
/// # fn main() -> std::io::Result<()> {
/// let build = |server: Server| {
///     tokio::spawn(spin(Duration::from_micros(50))); // on the runtime of this server
///     server.websocket("/ws", Echo)
/// };
/// serve_sharded(shared_listeners("127.0.0.1:8080", 2)?, build, std::future::pending())?;
/// # Ok(()) }
/// ```
pub async fn spin(span: Duration) -> Infallible {
    let (mut reads, mut last_read) = (READS.get(), Instant::now());
    loop {
        if reads != READS.get() {
            (reads, last_read) = (READS.get(), Instant::now());
        }
        if last_read.elapsed() < span {
            yield_now().await; // tokio looks for I/O before it polls this again, but does not park
        } else {
            let sleepers = SLEEPERS.with(Arc::clone);
            IS_AWAITED.set(true);
            sleepers.notified().await;
        }
    }
}

/// Reports to [`spin`] that a connection has read something.
#[inline]
pub(crate) fn note_read() {
    READS.set(READS.get().wrapping_add(1));
    if IS_AWAITED.get() {
        wake_soon();
    }
}

/// Wakes the tasks that wait for a read, but in a task of its own: the caller may have locked the outbox of a
/// connection, and a waker is foreign code. The thread does not park before that task has run.
#[cold]
fn wake_soon() {
    // Outside of a runtime, it is not tokio that may park the thread.
    if let Ok(runtime) = Handle::try_current() {
        IS_AWAITED.set(false);
        runtime.spawn(async {
            let sleepers = SLEEPERS.try_with(Arc::clone);
            sleepers.iter().for_each(|sleepers| sleepers.notify_waiters());
        });
    }
}

#[cfg(test)]
mod tests;
