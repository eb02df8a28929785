//! Senders in other threads: their messages leave even when the connection's own task is about to fall
//! asleep.

use std::{
    any::Any,
    cell::RefCell,
    future::{Pending, pending},
    sync::mpsc::{Receiver, Sender, channel},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use futures_lite::future::block_on;
use prism_driver::{Connection, ConnectionHandler, Message, Options, Runtime, serve_upgraded};
use prism_test::{Peer, pipe};

use crate::common::{
    binary,
    handlers::{HandOut, Recorder},
};

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
            let mut peer = Peer::new(client);
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

/// Reports the numbers that it finds in its channel whenever it is woken.
struct Numbers {
    numbers: Receiver<u32>,
    hand: Option<async_channel::Sender<Connection>>,
    found: Sender<u32>,
}

impl ConnectionHandler for Numbers {
    async fn on_connect(&mut self, connection: &Connection) {
        self.hand.take().unwrap().send(connection.clone()).await.unwrap();
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_wake(&mut self, _: &Connection) {
        self.numbers.try_iter().for_each(|number| self.found.send(number).unwrap());
    }
}

/// Serves such a handler in a thread of its own. Returns its connection, and both ends of the numbers' way.
fn serve_numbers() -> (Connection, Sender<u32>, Receiver<u32>, Peer) {
    let (server, client, _) = pipe();
    let ((sender, numbers), (found, all_found)) = (channel(), channel());
    let (hand, out) = async_channel::bounded(1);
    let handler = Numbers { numbers, hand: Some(hand), found };
    thread::spawn(move || {
        block_on(serve_upgraded(Timeless, server, "/", &Options::default(), handler))
    });
    (block_on(out.recv()).unwrap(), sender, all_found, Peer::new(client))
}

#[test]
fn no_wake_up_is_lost_as_the_session_falls_asleep() {
    let (connection, numbers, found, _peer) = serve_numbers();
    for n in 0..20_000 {
        // The session has just handled the last one, and falls asleep.
        numbers.send(n).unwrap();
        connection.wake();
        assert_eq!(found.recv_timeout(PATIENCE), Ok(n), "it was not woken");
    }
}

#[test]
fn no_wake_up_of_several_threads_is_lost_amid_messages() {
    const THREADS: u32 = 3;
    const EACH: u32 = 10_000;
    let (connection, numbers, found, mut peer) = serve_numbers();
    for thread in 0..THREADS {
        let (connection, numbers) = (connection.clone(), numbers.clone());
        thread::spawn(move || {
            for n in 0..EACH {
                numbers.send(thread * EACH + n).unwrap();
                connection.wake();
            }
        });
    }
    thread::spawn(move || {
        block_on(async {
            for _ in 0..EACH {
                peer.send("hello").await;
            }
            pending::<()>().await; // keeps the connection open
        });
    });
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * EACH {
        let number = found.recv_timeout(PATIENCE).expect("it was not woken");
        let next = &mut next[(number / EACH) as usize];
        assert_eq!(number % EACH, *next, "each thread's numbers keep their order");
        *next += 1;
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
    let (server, client, faults) = pipe();
    faults.to_client().set_capacity(0);
    let (recorder, log, gate) = Recorder::new();
    let mut session = Box::pin(async move {
        serve_upgraded(Timeless, server, "/", &Options::default(), recorder).await
    });
    let mut peer = Peer::new(client);
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
