//! A runtime's clock is the application's, too: where presence asks it for the time, no lock is held.

mod common;

use std::{
    cell::Cell,
    mem, panic,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Guest, soon, without_hanging};
use prism_driver::Runtime;
use prism_rooms::{JoinError, Presence, Rooms, TrackError};
use prism_tokio::{Connection, Tokio};
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_millis(100);

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// A runtime whose clock asks presence for everything before it says what time it is.
#[derive(Clone, Default)]
struct Curious {
    world: Arc<OnceLock<(Presence<()>, Vec<Connection>)>>,
    asked: Arc<AtomicUsize>,
}

impl Curious {
    fn look_around(&self) {
        let Some((presence, connections)) = self.world.get() else { return };
        for connection in connections {
            let _ = presence.track(connection, "elsewhere", "somebody", ()); // it may be over
            let _ = presence.watch(connection, "elsewhere"); // it may be over
            presence.untrack(connection.id(), "elsewhere");
            presence.unwatch(connection.id(), "elsewhere");
        }
        assert_eq!(presence.list("tea").len(), presence.count("tea"));
        drop(presence.watch_here("tea"));
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

impl Runtime for Curious {
    type Sleep = <Tokio as Runtime>::Sleep;

    fn now(&self) -> Duration {
        if !IS_ASKED.replace(true) {
            self.look_around();
            IS_ASKED.set(false);
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
fn a_clock_may_ask_presence_for_everything_whatever_happens() {
    without_hanging(async || {
        let (ann, ben, over) = (Guest::new().await, Guest::new().await, ended().await);
        let runtime = Curious::default();
        let presence = Presence::new(runtime.clone());
        let connections = vec![ann.connection.clone(), ben.connection.clone(), over.clone()];
        assert!(runtime.world.set((presence.clone(), connections)).is_ok());

        let watch = presence.watch_here("tea");
        presence.track(&ann.connection, "tea", "ann", ()).unwrap();
        assert!(presence.watch(&ben.connection, "tea").unwrap());
        sleep(2 * WINDOW).await;
        assert!(presence.untrack(ann.connection.id(), "tea"));
        ben.task.abort();
        soon(ben.connection.closed()).await;
        let asked = runtime.asked.load(Ordering::Relaxed);
        assert_eq!(presence.watch(&ben.connection, "tea"), Err(JoinError::Ended));
        // Presence has not seen this one before.
        let refused = presence.track(&over, "tea", "over", ());
        assert!(matches!(refused, Err(TrackError::Ended)));
        assert_eq!(runtime.asked.load(Ordering::Relaxed), asked + 2);
        drop(watch);
    });
}

/// A panic hook is the whole process's: it counts only what this thread panics with.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_ended_is_refused_without_a_panic() {
    let over = ended().await;
    let (presence, rooms) = (Presence::new(Tokio), Rooms::new());
    let (told, thread) = (Arc::new(Mutex::new(Vec::new())), std::thread::current().id());
    let (before, counts) = (panic::take_hook(), told.clone());
    panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == thread {
            counts.lock().unwrap().push(panic.to_string());
        }
        before(panic);
    }));
    assert!(matches!(presence.track(&over, "tea", "over", ()), Err(TrackError::Ended)));
    assert_eq!(presence.watch(&over, "tea"), Err(JoinError::Ended));
    assert_eq!(rooms.join(&over, "tea"), Err(JoinError::Ended));
    assert!(!rooms.add(&over));
    let told = mem::take(&mut *told.lock().unwrap());
    assert_eq!(told, [""; 0]);
}

/// A connection that has ended.
async fn ended() -> Connection {
    let guest = Guest::new().await;
    guest.task.abort();
    soon(guest.connection.closed()).await;
    guest.connection.clone()
}
