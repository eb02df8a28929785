//! Rooms as JSON: an answer to a client that does not keep up, while others send to it, too.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Wake, Waker},
};

use futures_lite::future::block_on;
use prism_driver::{Connection, Handler, Message, Options, TrySendError, WhenSlow, serve_upgraded};
use prism_rooms::{Authorize, JsonRooms, Presence, Rooms};
use prism_test::{Sim, pipe};

use crate::json_rooms::allow_all;

/// Shows the test its connection.
struct Shown<A> {
    rooms: JsonRooms<A>,
    connection: OnceLock<Connection>,
}

impl<A: Authorize> Handler for Shown<A> {
    async fn on_connect(&self, connection: &Connection) {
        self.rooms.on_connect(connection).await;
        self.connection.set(connection.clone()).expect("there is one connection");
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.rooms.on_message(connection, message).await;
    }
}

/// Another sender to the same connection, which sends at the moment when the connection's task is woken.
struct OtherSender {
    connection: Connection,
    dropped: AtomicU64,
}

impl Wake for OtherSender {
    fn wake(self: Arc<Self>) {
        if self.connection.try_send("news") == Err(TrySendError::Full) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_accepted_answer_closes_nothing_although_another_message_is_dropped_at_that_moment() {
    let sim = Sim::new();
    let rooms = JsonRooms::new(Rooms::new(), Presence::new(sim.clone()), allow_all);
    let handler = Arc::new(Shown { rooms, connection: OnceLock::new() });
    let options = Options::default().when_slow(WhenSlow::DropNewest).high_water_mark(1);
    let (io, _client, faults) = pipe();
    let mut session = Box::pin(serve_upgraded(sim, io, "/", &options, handler.clone()));
    let mut poll = |waker| {
        assert!(session.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    };
    poll(Waker::noop().clone());
    let connection = handler.connection.get().expect("it is connected");
    faults.to_client().set_capacity(0);
    let other = OtherSender { connection: connection.clone(), dropped: AtomicU64::new(0) };
    let other = Arc::new(other);
    poll(other.clone().into());
    // Not in the session's own call of the handler: its task is to sleep, and to be woken by the answer.
    block_on(handler.on_message(connection, Message::Text(r#"{"type":"ping","id":1}"#)));
    assert_eq!(other.dropped.load(Ordering::Relaxed), 1, "the answer has filled the outbox");
    assert!(connection.is_open());
    assert!(connection.buffered() > 0, "the answer is to be sent");
    block_on(handler.on_message(connection, Message::Text(r#"{"type":"ping","id":2}"#)));
    assert!(!connection.is_open(), "the second answer was dropped");
}
