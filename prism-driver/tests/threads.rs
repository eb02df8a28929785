//! Senders in other threads than the connection's: what they send leaves, even if it comes when the
//! owner is about to fall asleep.

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

/// Nobody's turn comes because time passes.
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

/// How long a message may be on its way before it is taken for lost.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn no_message_is_left_behind_when_its_sender_meets_an_owner_that_falls_asleep() {
    const MESSAGES: u32 = 20_000;
    let (server, client, _) = pipe();
    let (handler, out) = HandOut::new();
    thread::spawn(move || {
        block_on(serve_upgraded(Timeless, server, "/", &Options::default(), &handler))
    });
    let (arrived, arrivals) = channel();
    thread::spawn(move || {
        block_on(async {
            let connection = out.recv().await.unwrap();
            let mut peer = Peer::open(client);
            for n in 0..MESSAGES {
                // The owner has just written the one before: it reads once more, and would sleep.
                connection.try_send(&n.to_be_bytes()).unwrap();
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
    /// What a thread leaves behind, dropped with its other thread-locals in one order or the other.
    static FIRST: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// A connection in the middle of everything: a handler holds its message, and the peer does not take
/// what waits for it.
fn busy() -> impl Any {
    let (server, client, script) = pipe();
    script.set_capacity_to_client(0);
    let (recorder, log, gate) = Recorder::new();
    let mut session = Box::pin(async move {
        serve_upgraded(Timeless, server, "/", &Options::default(), &recorder).await
    });
    let mut peer = Peer::open(client);
    block_on(peer.send_together(&["an echo", "wait", "unread"]));
    let polled = session.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending() && log.contains("begin wait"));
    (session, peer, gate)
}

#[test]
fn a_thread_that_ends_may_drop_connections_last_of_all() {
    for hold in [&FIRST, &LAST] {
        let ending = thread::spawn(move || {
            FIRST.with_borrow_mut(|_| ()); // older than the driver's own
            hold.set(Some(Box::new(busy())));
        });
        // A panic in there would end the process.
        ending.join().unwrap();
    }
}
