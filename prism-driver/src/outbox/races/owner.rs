//! Loom tests of an owner whose waker changes, as that of a future that moves to another task.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

use loom::thread;

use crate::{
    connection::Connection,
    outbox::{
        owner::Sleep,
        races::{Sink, connection},
        send::{AfterSend, WhenFull},
        source::Source,
    },
};

/// A task that is polled by hand.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Runs the task that owns the connection until it sleeps.
fn poll_owner(connection: &Connection, waker: &Waker) {
    let mut cx = Context::from_waker(waker);
    loop {
        let mut step = connection.outbox().step(waker);
        let (_, written) = step.poll_write(&mut cx);
        match step.prepare_sleep(written.is_pending()) {
            Ok(Sleep::NotYet) => {}
            Ok(Sleep::Until(_)) => return,
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

fn send(connection: &Connection, letter: &str) -> AfterSend {
    let sent = connection.outbox().send(&mut Source::borrowed(letter), WhenFull::Fail);
    sent.unwrap()
}

#[test]
fn an_owner_that_sleeps_has_its_last_waker() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink, 100);
        let [first, last] = [(); 2].map(|()| Waker::from(Arc::new(Task)));
        poll_owner(&connection, &first);
        let sender = thread::spawn({
            let connection = connection.clone();
            // It may wake the owner much later.
            move || send(&connection, "a")
        });
        poll_owner(&connection, &last);
        let late = sender.join().unwrap();
        // If the owner has written "a", it has fallen asleep after that, and nobody has woken it since.
        if sink.letters() == "a" {
            let AfterSend::WakeOwner(woken) = send(&connection, "b") else {
                panic!("nobody wakes the owner")
            };
            assert!(woken.will_wake(&last));
        }
        drop(late);
    });
}
