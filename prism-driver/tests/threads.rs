//! Senders in other threads: their messages leave even when the connection's own task is about to fall
//! asleep.

mod common;

use std::{
    any::Any,
    cell::RefCell,
    future::{Pending, pending},
    sync::mpsc::channel,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use common::{
    binary,
    handlers::{HandOut, Recorder},
    peer::Peer,
    pipe::pipe,
};
use futures_lite::future::block_on;
use prism_driver::{Options, Runtime, serve_upgraded};

/// A runtime in which time stands still.
#[derive(Clone)]
struct Timeless;

impl Runtime for Timeless {
    type Sleep = Pending<()>;

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Pending<()> {
        pending()
    }

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {
        panic!("one connection, one task")
    }
}

/// How long a message may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn no_message_is_lost_as_its_owner_falls_asleep() {
    const MESSAGES: u32 = 20_000;
    let (server, client, _) = pipe();
    let (handler, out) = HandOut::new();
    thread::spawn(move || {
        block_on(serve_upgraded(Timeless, server, "/", &Options::default(), handler))
    });
    let (arrived, arrivals) = channel();
    thread::spawn(move || {
        block_on(async {
            let connection = out.recv().await.unwrap();
            let mut peer = Peer::open(client);
            for n in 0..MESSAGES {
                // The owner has just written the previous message. It reads once more, and falls asleep.
                connection.try_send(n.to_be_bytes()).unwrap();
                assert_eq!(peer.next().await, binary(n.to_be_bytes()));
                arrived.send(n).unwrap();
            }
        });
    });
    for n in 0..MESSAGES {
        assert_eq!(arrivals.recv_timeout(PATIENCE), Ok(n), "it never came");
    }
}

// ---- threads that end

thread_local! {
    /// What a thread leaves behind, dropped before or after its other thread-locals.
    static FIRST: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Opens a busy connection: its handler holds a message, and its peer does not take what waits for it.
fn busy() -> impl Any {
    let (server, client, script) = pipe();
    script.set_capacity_to_client(0);
    let (recorder, log, gate) = Recorder::new();
    let mut session = Box::pin(async move {
        serve_upgraded(Timeless, server, "/", &Options::default(), recorder).await
    });
    let mut peer = Peer::open(client);
    block_on(peer.send_together(&["an echo", "wait", "unread"]));
    let polled = session.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending() && log.contains("begin wait"));
    (session, peer, gate)
}

#[test]
fn an_ending_thread_may_drop_connections_last() {
    for hold in [&FIRST, &LAST] {
        let ending = thread::spawn(move || {
            FIRST.with_borrow_mut(|_| ()); // initialized before the driver's own
            hold.set(Some(Box::new(busy())));
        });
        // A panic in a destructor would end the process.
        ending.join().unwrap();
    }
}
