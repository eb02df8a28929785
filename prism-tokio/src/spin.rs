//! [`spin`]: looking for I/O without parking the thread.

use std::{
    cell::Cell,
    convert::Infallible,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::yield_now};

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Off) };
    /// What wakes the task in [`State::Asleep`].
    static SLEEPER: Cell<Weak<Notify>> = const { Cell::new(Weak::new()) };
}

/// What the task that spins on a thread has to know about reads, and the other way round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no such task.
    Off,
    /// It has looked, and nothing has been read since.
    Looking,
    /// Something has been read since it looked.
    Read,
    /// It waits for a read.
    Asleep,
}

/// Keeps a thread from parking for as long as this after each read, and looks for I/O instead. Spawn it on a
/// single-threaded runtime that serves few busy connections, and for which latency matters more than a core.
///
/// To wake a parked thread takes the operating system longer than to echo a message. With a single busy connection, a
/// server therefore spends most of its time waiting to be woken. If the next message arrives within `span`, a thread
/// that spins receives it at once. So `span` should be longer than the pauses between messages: 50 µs for a peer on the
/// same machine, for instance. With many busy connections there is always something to do, no thread parks, and spinning
/// gains nothing.
///
/// **The cost** is CPU time and power. As long as reads are less than `span` apart, the thread uses all of its core, even
/// though it does little. After each read that none follows, it uses `span` of CPU time. A thread whose connections are
/// idle parks as usual. Do not spin if there are fewer cores than busy threads: what waits for the core is delayed.
///
/// Reads are those of Prism's connections on the thread that runs this task. A multi-threaded runtime moves tasks from
/// thread to thread, so this is not for those: use [`serve_sharded`](crate::serve_sharded), and spawn one of these for
/// each server.
///
/// The future is never ready. If you drop it or abort its task, the thread no longer spins.
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
    let sleeper = Arc::new(Notify::new());
    let mut last_read = Instant::now();
    loop {
        if STATE.replace(State::Looking) == State::Read {
            last_read = Instant::now();
        }
        if last_read.elapsed() < span {
            yield_now().await; // tokio looks for I/O before it polls this again, but does not park
        } else {
            SLEEPER.set(Arc::downgrade(&sleeper));
            STATE.set(State::Asleep);
            sleeper.notified().await;
        }
    }
}

/// Reports to [`spin`] that a connection has read something.
pub(crate) fn note_read() {
    match STATE.get() {
        State::Off | State::Read => {}
        State::Looking => STATE.set(State::Read),
        State::Asleep => wake(),
    }
}

#[cold]
fn wake() {
    STATE.set(State::Read);
    // There is no task to wake if this thread is ending, or if the runtime has ended.
    let sleeper = SLEEPER.try_with(Cell::take).ok();
    if let Some(sleeper) = sleeper.and_then(|sleeper| sleeper.upgrade()) {
        sleeper.notify_one();
    }
}
