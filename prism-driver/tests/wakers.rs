//! Wakers are application code: they may drop or poll the waiting future, and they may panic.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use async_channel::{Sender, unbounded};
use prism_driver::{Client, Connection, Disconnect, Handler, Message, Options};
use prism_test::Sim;

use crate::common::{
    handlers::Echo, kept_tasks::KeptTasks, serve, serve_handshake, sockets::connected, stuck,
};

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a task does with its waiting future when it is woken.
#[derive(Clone, Copy, Debug)]
enum Woken {
    /// As a task of an executor that has been dropped.
    DropsIt,
    /// As an executor that polls its tasks inside `wake`.
    PollsIt,
    Panics,
}

struct Task {
    woken: Woken,
    waiting: Mutex<Option<Waiting>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let waiting = self.waiting.lock().unwrap().take();
        match self.woken {
            Woken::DropsIt => drop(waiting),
            Woken::PollsIt => {
                let mut cx = Context::from_waker(Waker::noop());
                let _ = waiting.map(|mut waiting| waiting.as_mut().poll(&mut cx));
            }
            Woken::Panics => panic!("on purpose"),
        }
    }
}

/// Starts a task that waits for a future, which must be pending.
fn wait(woken: Woken, waiting: impl Future<Output = ()> + Send + 'static) -> Arc<Task> {
    let task = Arc::new(Task { woken, waiting: Mutex::new(None) });
    let mut waiting: Waiting = Box::pin(waiting);
    let waker = Waker::from(task.clone());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    *task.waiting.lock().unwrap() = Some(waiting);
    task
}

/// Runs `act`, and panics if it hangs.
#[track_caller]
fn in_time(act: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    thread::spawn(move || {
        act();
        let _ = done.send(());
    });
    assert!(is_done.recv_timeout(PATIENCE).is_ok(), "a waker ran under a lock");
}

/// Starts two tasks that wait for the end of a connection.
fn wait_for_the_end(woken: Woken, connection: &Connection) -> [Arc<Task>; 2] {
    [connection.clone(), connection.clone()]
        .map(|connection| wait(woken, async move { connection.closed().await }))
}

#[test]
fn a_waker_may_drop_or_poll_a_future_of_a_connection() {
    for woken in [Woken::DropsIt, Woken::PollsIt, Woken::Panics] {
        let sim = Sim::default();
        let (_peer, _script, ended, connection) = stuck(&sim, 10);
        connection.try_send("fills the outbox").unwrap();
        let (sender, flusher) = (connection.clone(), connection.clone());
        let [one, two] = wait_for_the_end(woken, &connection);
        let tasks = [
            wait(woken, async move { _ = sender.send("for room").await }),
            wait(woken, async move { _ = flusher.flush().await }),
            one,
            two,
        ];
        in_time(move || connection.abort());
        for task in tasks {
            let is_left = task.waiting.lock().unwrap().is_some();
            assert!(!is_left, "{woken:?}: the task was not woken");
        }
        sim.run(async { ended.recv().await.unwrap() });
    }
}

/// Hands its connection out, and counts calls of `on_disconnect`.
struct Counting {
    out: Sender<Connection>,
    ends: Arc<AtomicUsize>,
}

impl Handler for Counting {
    async fn on_connect(&self, connection: &Connection) {
        let _ = self.out.try_send(connection.clone());
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_panicking_waker_does_not_stop_on_disconnect() {
    let sim = Sim::default();
    let ends = Arc::<AtomicUsize>::default();
    let (out, handed_out) = unbounded();
    let (mut peer, _script, ended) =
        serve(&sim, Counting { out, ends: ends.clone() }, Options::default());
    sim.run(async {
        let connection = handed_out.recv().await.unwrap();
        let _tasks = wait_for_the_end(Woken::Panics, &connection);
        peer.close(1000, "bye").await;
        peer.end().await;
        assert_eq!(ended.recv().await.unwrap().code(), 1000);
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_waker_may_drop_or_poll_a_future_of_a_socket() {
    for woken in [Woken::DropsIt, Woken::PollsIt, Woken::Panics] {
        let sim = Sim::default();
        let (socket, other, _, _) = connected(&sim);
        let socket = Arc::new(socket);
        let receiver = socket.clone();
        let task = wait(woken, async move { drop(receiver.recv().await) });
        let woken_by_end = wait(woken, async move { while socket.recv().await.is_ok() {} });
        in_time(move || {
            other.try_send("hello").unwrap();
            sim.run(async { sim.settle().await });
            other.abort();
            sim.run(async { sim.settle().await });
        });
        for task in [task, woken_by_end] {
            assert!(task.waiting.lock().unwrap().is_none(), "{woken:?}: the task was not woken");
        }
    }
}

#[test]
fn a_waker_may_drop_or_poll_a_connection_task() {
    for woken in [Woken::DropsIt, Woken::PollsIt, Woken::Panics] {
        let sim = Sim::default();
        let runtime = KeptTasks::new(&sim);
        let (io, _, _) = serve_handshake(&sim, Echo, Options::default());
        let client = Client::new_on(runtime.clone(), "ws://example.org/").unwrap();
        let connection_task = sim.run(client.spawn_stream(io, Echo)).unwrap();
        runtime.poll();
        let task = wait(woken, async move { drop(connection_task.await) });
        in_time(move || runtime.shut_down());
        assert!(task.waiting.lock().unwrap().is_none(), "{woken:?}: the task was not woken");
    }
}
