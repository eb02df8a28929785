//! Threads that end while their thread-locals hold connections. By then Prism's own thread-locals may be gone. A panic
//! in a destructor of a thread-local would end the process, or be swallowed by a runtime.

use std::{
    any::Any,
    cell::RefCell,
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures_lite::future::or;

use super::support::{
    block_on,
    handlers::{Gate, recorder},
    own_process::in_own_process,
    pattern,
    peer::{Peer, TEXT},
    server::{listen, serve},
};
use crate::{
    prism::{Connection, Handler, Message, Options, serve_upgraded},
    runtime::adopt,
};

thread_local! {
    /// What a thread leaves behind, dropped after or before Prism's thread-locals.
    static DROPPED_AFTER: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    static DROPPED_BEFORE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Holds each message, and sends to another connection: when a message arrives, and when its own connection ends.
struct Busy {
    other: Connection,
    is_busy: Gate,
}

impl Handler for Busy {
    async fn on_connect(&self, connection: &Connection) {
        let other = self.other.clone();
        connection.on_end(move || other.try_send("the end").expect("an open connection"));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.try_send(pattern(8 << 20)).expect("there is room"); // more than sockets take
        self.other.try_send(message).expect("an open connection");
        self.is_busy.open();
        Gate::closed().pass().await;
    }
}

/// Runs a session in this thread until its handler is busy, and returns it with its peer.
fn busy_session(other: &Connection) -> impl Any {
    let (listener, _) = listen();
    let mut peer = Peer::dial(listener.local_addr().expect("a bound listener"));
    peer.send(TEXT, b"hold this");
    peer.send(TEXT, b"unread");
    let stream = listener.accept().expect("the peer").0;
    let is_busy = Gate::closed();
    let handler = Busy { other: other.clone(), is_busy: is_busy.clone() };
    let mut session = Box::pin(async move {
        serve_upgraded(adopt(stream), "/", &Options::default(), handler).await;
    });
    block_on(or(is_busy.pass(), session.as_mut()));
    (session, peer)
}

#[test]
fn an_ending_thread_drops_busy_connections_without_a_panic() {
    in_own_process(&an_ending_thread_drops_busy_connections_without_a_panic, || {
        let panics = Arc::new(AtomicUsize::new(0));
        let default = panic::take_hook();
        panic::set_hook(Box::new({
            let panics = panics.clone();
            move |info| {
                panics.fetch_add(1, Ordering::Relaxed);
                default(info);
            }
        }));
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", recorder));
        let mut other = server.open("/");
        let connection = events.connected();
        for hold in [&DROPPED_AFTER, &DROPPED_BEFORE] {
            let connection = connection.clone();
            let ending = thread::spawn(move || {
                DROPPED_AFTER.with_borrow(|_| ()); // initialized before Prism's
                hold.set(Some(Box::new(busy_session(&connection))));
            });
            ending.join().expect("no panic");
            other.expect(TEXT, b"hold this");
            other.expect(TEXT, b"the end");
        }
        assert_eq!(panics.load(Ordering::Relaxed), 0);
    });
}
