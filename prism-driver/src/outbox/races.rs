//! Loom tests: every interleaving of tasks that send, wait, close and end a connection with the task that writes. A
//! task that would wait forever is a deadlock, which loom reports.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{
    future::{poll_fn, poll_once},
    pin,
};
use loom::{
    sync::atomic::AtomicBool as LoomBool,
    thread::{self, Thread},
};
use prism_core::{CloseCode, Config, SendError, WebSocket};

use crate::{
    connection::{Connection, batch::InBatches, owned::Owned, request_info::RequestInfo},
    error::TrySendError,
    options::Options,
    outbox::{Outbox, owner::Sleep},
};

mod budget;
mod owner;
mod sequence;
mod takeover;

/// The length of a frame with one letter.
const FRAME: usize = 3;

const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xE8];

/// A transport that takes a limited number of bytes and keeps them. As with many real transports, new room wakes only
/// the task whose write was the last to find no room, and no task if a write has succeeded since. (The lock is not part
/// of the model: each call is atomic.)
#[derive(Clone)]
struct Sink(Arc<Mutex<SinkState>>);

struct SinkState {
    bytes: Vec<u8>,
    room: usize,
    waiting: Option<Waker>,
}

impl Sink {
    fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new(SinkState { bytes: Vec::new(), room, waiting: None })))
    }

    fn make_room(&self) {
        // Other threads may run before there is room, and before the waiting task is woken.
        thread::yield_now();
        self.0.lock().unwrap().room = usize::MAX;
        thread::yield_now();
        let waiting = self.0.lock().unwrap().waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// Returns the letters of the messages that were taken, in order.
    fn letters(&self) -> String {
        self.bytes().chunks(FRAME).map(|frame| char::from(frame[2])).collect()
    }
}

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        let count = bytes.len().min(state.room);
        if count == 0 {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.waiting = None;
        state.bytes.extend_from_slice(&bytes[..count]);
        state.room -= count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Blocks on a future as loom's own function does, but never switches threads while a waker is cloned or woken, because
/// that happens within locks of other crates, which loom does not know.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unparker(AtomicBool, Thread);

    impl Wake for Unparker {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
            self.1.unpark();
        }
    }

    pin!(future);
    let unparker = Arc::new(Unparker(AtomicBool::new(false), thread::current()));
    let waker = Waker::from(unparker.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !unparker.0.swap(false, Ordering::Relaxed) {
            thread::park();
        }
    }
}

fn connection(sink: &Sink, high_water_mark: usize) -> Connection {
    let mut options = Options::default();
    options.high_water_mark = high_water_mark;
    let (_, outbound, _) = WebSocket::server(&Config::default()).split();
    let outbox = Outbox::new(Box::new(sink.clone()), outbound, None, None, false, &options);
    Connection::new(None, RequestInfo::plain("/"), outbox)
}

/// Runs the task that owns the connection, which writes and sleeps until `done`.
fn write_until(connection: &Connection, done: impl Fn() -> bool) {
    let outbox = connection.outbox();
    block_on(poll_fn(|cx| {
        loop {
            let mut step = outbox.step(cx.waker());
            let (_, written) = step.poll_write(cx);
            let slept = step.prepare_sleep(written.is_pending());
            drop(step);
            match slept {
                Ok(Sleep::NotYet) => {}
                Ok(Sleep::Until(_)) if done() => return Poll::Ready(()),
                Ok(Sleep::Until(_)) => return Poll::Pending,
                Err(_) => return Poll::Ready(()),
            }
        }
    }));
}

/// Runs a session that sends each letter to another session's connection, in one turn.
fn send_in_one_turn(connection: &Connection, letters: &[&str]) {
    block_on(InBatches::new(async {
        letters.iter().for_each(|letter| connection.try_send(*letter).unwrap());
    }));
}

#[test]
fn a_message_sent_while_the_owner_falls_asleep_is_written() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink, 100);
        let senders = ["a", "b"].map(|letter| {
            let connection = connection.clone();
            thread::spawn(move || connection.try_send(letter).unwrap())
        });
        write_until(&connection, || sink.bytes().len() == 2 * FRAME);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(["ab", "ba"].contains(&&*sink.letters()));
    });
}

#[test]
fn a_message_sent_while_the_transport_blocks_is_written_later() {
    loom::model(|| {
        let sink = Sink::with_room(1);
        let connection = connection(&sink, 100);
        connection.try_send("a").unwrap();
        let sender = thread::spawn({
            let connection = connection.clone();
            move || connection.try_send("b").unwrap()
        });
        let peer = thread::spawn({
            let sink = sink.clone();
            move || sink.make_room()
        });
        write_until(&connection, || sink.bytes().len() == 2 * FRAME);
        sender.join().unwrap();
        peer.join().unwrap();
        assert_eq!(sink.letters(), "ab");
    });
}

#[test]
fn a_batch_is_written_though_its_owner_sleeps_or_falls_asleep() {
    loom::model(|| {
        let sink = Sink::with_room(1);
        let connection = connection(&sink, 100);
        let session = thread::spawn({
            let connection = connection.clone();
            move || {
                send_in_one_turn(&connection, &["a", "b"]);
                connection.try_send("c").unwrap();
            }
        });
        let peer = thread::spawn({
            let (connection, sink) = (connection.clone(), sink.clone());
            move || {
                // The owner may wake up while the session is about to write.
                connection.outbox().fire_timer();
                sink.make_room();
            }
        });
        write_until(&connection, || sink.bytes().len() == 3 * FRAME);
        session.join().unwrap();
        peer.join().unwrap();
        assert_eq!(sink.letters(), "abc");
    });
}

#[test]
fn a_handler_that_is_woken_while_its_owner_falls_asleep_sees_what_happened_before() {
    loom::model(|| {
        let connection = connection(&Sink::with_room(usize::MAX), 100);
        let events = Arc::new([LoomBool::new(false), LoomBool::new(false)]);
        // In a thread of its own, because loom does not expect that a thread is unparked while it joins another.
        let owner = thread::spawn({
            let (connection, events) = (connection.clone(), events.clone());
            move || handle_wake_ups_until(&connection, || events.iter().all(is_set))
        });
        for event in &*events {
            event.store(true, Ordering::Relaxed);
            connection.wake();
        }
        owner.join().unwrap();
    });
}

fn is_set(flag: &LoomBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Sleeps as a session does, until `done` returns true when the handler has been woken.
fn handle_wake_ups_until(connection: &Connection, done: impl Fn() -> bool) {
    let outbox = connection.outbox();
    block_on(poll_fn(|cx| {
        loop {
            if outbox.take_woken() && done() {
                return Poll::Ready(());
            }
            let slept = outbox.step(cx.waker()).prepare_sleep(false).unwrap();
            match slept {
                Sleep::Until(_) if outbox.is_woken() => outbox.set_awake(),
                Sleep::Until(_) => return Poll::Pending,
                Sleep::NotYet => unreachable!("nothing is unsent"),
            }
        }
    }));
}

#[test]
fn accepted_messages_precede_the_close_frame_and_none_follow() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink, 100);
        let sender = thread::spawn({
            let connection = connection.clone();
            move || connection.try_send("a")
        });
        let closer = thread::spawn({
            let connection = connection.clone();
            move || assert!(connection.close(CloseCode::NORMAL, ""))
        });
        write_until(&connection, || sink.bytes().ends_with(&CLOSE));
        closer.join().unwrap();
        let expected = match sender.join().unwrap() {
            Ok(()) => [&[0x81, 1, b'a'], &CLOSE[..]].concat(),
            Err(TrySendError::Refused(SendError::Closed)) => CLOSE.to_vec(),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(sink.bytes(), expected);
    });
}

#[test]
fn a_sender_gets_room_though_another_gives_up_waiting() {
    loom::model(|| {
        let sink = Sink::with_room(0);
        let connection = connection(&sink, 1);
        connection.try_send("a").unwrap();
        let patient = thread::spawn({
            let connection = connection.clone();
            move || block_on(connection.send("b")).unwrap()
        });
        let impatient = thread::spawn({
            let (connection, sink) = (connection.clone(), sink.clone());
            move || {
                let sent = block_on(poll_once(connection.send("c")));
                sink.make_room();
                sent.is_some()
            }
        });
        write_until(&connection, || sink.letters().contains('b'));
        patient.join().unwrap();
        let expected = if impatient.join().unwrap() { 3 } else { 2 };
        write_until(&connection, || sink.letters().len() == expected);
    });
}

#[test]
fn waiters_learn_of_the_end_and_each_hook_runs_once() {
    loom::model(|| {
        let sink = Sink::with_room(0);
        let connection = connection(&sink, 1);
        let owned = Owned::new(connection.clone());
        connection.try_send("a").unwrap();
        let hooked = Arc::new(AtomicUsize::new(0));
        let waiter = thread::spawn({
            let (connection, hooked) = (connection.clone(), hooked.clone());
            move || {
                let hook = hooked.clone();
                connection.on_end(move || {
                    hook.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(block_on(connection.flush()), Err(SendError::Closed));
                block_on(connection.closed());
                assert_eq!(hooked.load(Ordering::Relaxed), 1, "the hook has run once");
            }
        });
        let sender = thread::spawn({
            let connection = connection.clone();
            move || assert_eq!(block_on(connection.send("b")), Err(SendError::Closed))
        });
        drop(owned);
        waiter.join().unwrap();
        sender.join().unwrap();
        assert_eq!(hooked.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn hooks_run_before_closed_returns_even_if_abort_races() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink, 1);
        let hooked = Arc::new(LoomBool::new(false));
        let hook = hooked.clone();
        connection.on_end(move || hook.store(true, Ordering::Relaxed));
        let aborter = thread::spawn({
            let connection = connection.clone();
            move || connection.abort()
        });
        // The owner ends the connection at the same time, because its peer is gone.
        connection.outbox().give_up();
        block_on(connection.closed());
        assert!(hooked.load(Ordering::Relaxed), "the hook has run");
        aborter.join().unwrap();
    });
}
