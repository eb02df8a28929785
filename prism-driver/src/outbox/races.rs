//! Every interleaving of those who send, wait, close and end with the task that writes, by loom. One
//! who would wait for ever is a deadlock, which loom reports.

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

use crate::outbox::{Outbox, owner::Sleep};
use crate::{
    connection::{Connection, Owned, batch::InTurns, request::RequestInfo},
    error::TrySendError,
    options::Options,
};

mod budget;

/// A frame with one letter.
const FRAME: usize = 3;

const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xE8];

/// A transport that takes so many bytes, and keeps them. As with many, only the last write that found no
/// room is told of it, and none once one has found some. (Its lock is no part of the model: what it does is
/// done at once.)
#[derive(Clone)]
struct Sink(Arc<Mutex<Taken>>);

struct Taken {
    bytes: Vec<u8>,
    room: usize,
    waiting: Option<Waker>,
}

impl Sink {
    fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new(Taken { bytes: Vec::new(), room, waiting: None })))
    }

    fn make_room(&self) {
        // The others have their turn before there is room, and before anybody is told.
        thread::yield_now();
        self.0.lock().unwrap().room = usize::MAX;
        thread::yield_now();
        let waiting = self.0.lock().unwrap().waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// The letters of the messages that were taken, in order.
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
        let mut taken = self.0.lock().unwrap();
        let count = bytes.len().min(taken.room);
        if count == 0 {
            taken.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        taken.waiting = None;
        taken.bytes.extend_from_slice(&bytes[..count]);
        taken.room -= count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// As loom's own, but that other threads never have their turn while a waker is cloned or woken: that
/// happens within the locks of other crates, which loom knows nothing of.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Bell(AtomicBool, Thread);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
            self.1.unpark();
        }
    }

    pin!(future);
    let bell = Arc::new(Bell(AtomicBool::new(false), thread::current()));
    let waker = Waker::from(bell.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !bell.0.swap(false, Ordering::Relaxed) {
            thread::park();
        }
    }
}

fn connection(sink: &Sink, mark: usize) -> Connection {
    let mut options = Options::default();
    options.high_water_mark = mark;
    let (_, outbound) = WebSocket::server(&Config::default()).split();
    let outbox = Outbox::new(Box::new(sink.clone()), outbound, None, None, &options);
    Connection::new(None, RequestInfo::plain("/"), outbox)
}

/// The task that owns the connection: writes, and sleeps, until `done`.
fn write_until(connection: &Connection, done: impl Fn() -> bool) {
    let outbox = connection.outbox();
    block_on(poll_fn(|cx| {
        loop {
            let (_, written) = outbox.poll_write(cx);
            match outbox.prepare_sleep(cx, written.is_pending()) {
                Ok(Sleep::NotYet) => {}
                Ok(Sleep::Until(_)) if done() => return Poll::Ready(()),
                Ok(Sleep::Until(_)) => return Poll::Pending,
                Err(_) => return Poll::Ready(()),
            }
        }
    }));
}

/// A session whose turn sends each letter to a connection that is not its own.
fn send_in_one_turn(connection: &Connection, letters: &[&str]) {
    block_on(InTurns::new(async {
        letters.iter().for_each(|letter| connection.try_send(*letter).unwrap());
    }));
}

#[test]
fn whatever_is_sent_while_the_owner_falls_asleep_is_written() {
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
fn whatever_is_sent_while_the_transport_is_blocked_is_written_when_it_has_room() {
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
fn what_a_session_writes_for_an_owner_that_sleeps_or_falls_asleep_is_written() {
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
                // The owner may look after what the session is about to write.
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
fn what_is_accepted_is_written_before_the_close_frame_and_nothing_after_it() {
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
fn who_waits_for_room_gets_it_though_another_gives_up_waiting() {
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
fn whoever_waits_for_anything_learns_of_the_end_and_each_hook_runs_once() {
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
                assert_eq!(hooked.load(Ordering::Relaxed), 1, "they have run");
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
fn whoever_cuts_a_connection_that_ends_the_hooks_have_run_before_anybody_is_told() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink, 1);
        let hooked = Arc::new(LoomBool::new(false));
        let hook = hooked.clone();
        connection.on_end(move || hook.store(true, Ordering::Relaxed));
        let cutter = thread::spawn({
            let connection = connection.clone();
            move || connection.abort()
        });
        // Its owner, whose peer goes just now.
        connection.outbox().give_up();
        block_on(connection.closed());
        assert!(hooked.load(Ordering::Relaxed), "it has run");
        cutter.join().unwrap();
    });
}
