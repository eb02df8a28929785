//! A runtime's clock is application code: when presence calls it, no lock is held.

use std::{
    cell::Cell,
    mem, panic,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prism_driver::Runtime;
use prism_rooms::{JoinError, Presence, Rooms, TrackError};
use prism_tokio::{Connection, Tokio};
use tokio::time::sleep;

use crate::common::{TestClient, fail_on_deadlock, soon};

const WINDOW: Duration = Duration::from_millis(100);

thread_local! {
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

/// A runtime whose clock calls every method of presence before it returns the time.
#[derive(Clone, Default)]
struct ReentrantClock {
    targets: Arc<OnceLock<(Presence<()>, Vec<Connection>)>>,
    calls: Arc<AtomicUsize>,
}

impl ReentrantClock {
    fn call_every_method(&self) {
        let Some((presence, connections)) = self.targets.get() else { return };
        for connection in connections {
            let _ = presence.track(connection, "elsewhere", "somebody", ()); // it may have ended
            let _ = presence.watch(connection, "elsewhere"); // it may have ended
            presence.untrack(connection.id(), "elsewhere");
            presence.unwatch(connection.id(), "elsewhere");
        }
        assert_eq!(presence.list("tea").len(), presence.count("tea"));
        drop(presence.watch_here("tea"));
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Runtime for ReentrantClock {
    type Sleep = <Tokio as Runtime>::Sleep;

    fn now(&self) -> Duration {
        if !IS_CALLING.replace(true) {
            self.call_every_method();
            IS_CALLING.set(false);
        }
        Tokio.now()
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        Runtime::sleep(&Tokio, span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        Runtime::spawn(&Tokio, future);
    }
}

#[test]
fn a_clock_may_call_every_method_of_presence() {
    fail_on_deadlock(async || {
        let (ann, ben, ended_connection) =
            (TestClient::new().await, TestClient::new().await, ended().await);
        let runtime = ReentrantClock::default();
        let presence = Presence::new(runtime.clone());
        let connections =
            vec![ann.connection.clone(), ben.connection.clone(), ended_connection.clone()];
        assert!(runtime.targets.set((presence.clone(), connections)).is_ok());

        let watch = presence.watch_here("tea");
        presence.track(&ann.connection, "tea", "ann", ()).unwrap();
        assert!(presence.watch(&ben.connection, "tea").unwrap());
        sleep(2 * WINDOW).await;
        assert!(presence.untrack(ann.connection.id(), "tea"));
        ben.task.abort();
        soon(ben.connection.closed()).await;
        let calls = runtime.calls.load(Ordering::Relaxed);
        assert_eq!(presence.watch(&ben.connection, "tea"), Err(JoinError::Ended));
        // Presence does not know this connection yet.
        let refused = presence.track(&ended_connection, "tea", "ended", ());
        assert!(matches!(refused, Err(TrackError::Ended)));
        assert_eq!(runtime.calls.load(Ordering::Relaxed), calls + 2);
        drop(watch);
    });
}

/// The panic hook belongs to the whole process, so it counts only the panics of this thread.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_ended_is_refused_without_a_panic() {
    let ended_connection = ended().await;
    let (presence, rooms) = (Presence::new(Tokio), Rooms::new());
    let (panics, thread) = (Arc::new(Mutex::new(Vec::new())), std::thread::current().id());
    let (before, counts) = (panic::take_hook(), panics.clone());
    panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == thread {
            counts.lock().unwrap().push(panic.to_string());
        }
        before(panic);
    }));
    assert!(matches!(
        presence.track(&ended_connection, "tea", "ended", ()),
        Err(TrackError::Ended)
    ));
    assert_eq!(presence.watch(&ended_connection, "tea"), Err(JoinError::Ended));
    assert_eq!(rooms.join(&ended_connection, "tea"), Err(JoinError::Ended));
    assert!(!rooms.add(&ended_connection));
    let panics = mem::take(&mut *panics.lock().unwrap());
    assert_eq!(panics, [""; 0]);
}

/// Returns a connection that has ended.
async fn ended() -> Connection {
    let client = TestClient::new().await;
    client.task.abort();
    soon(client.connection.closed()).await;
    client.connection.clone()
}
