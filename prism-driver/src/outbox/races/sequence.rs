//! Loom tests of the frames that queues share: threads extend and join one sequence at the same time.

use std::io::IoSlice;

use loom::thread;
use prism_core::{Output, PreparedMessage};

use crate::outbox::queue::SendQueue;

/// Returns two queues with the same two messages, which are in one sequence.
fn queues_with_a_sequence(first_two: &[PreparedMessage]) -> [SendQueue; 2] {
    let mut queues = [(); 2].map(|()| SendQueue::default());
    queues.iter_mut().for_each(|queue| append(queue, first_two));
    queues
}

fn messages<const COUNT: usize>() -> [PreparedMessage; COUNT] {
    std::array::from_fn(|i| PreparedMessage::new(&[i as u8; 300]))
}

fn append(queue: &mut SendQueue, messages: &[PreparedMessage]) {
    messages.iter().for_each(|message| queue.append(message));
}

/// Writes the queue, piece by piece, and returns everything.
fn written(mut queue: SendQueue) -> Vec<u8> {
    let mut written = Vec::new();
    while !queue.is_empty() {
        let mut pieces = [IoSlice::new(&[])];
        assert_eq!(queue.pieces(&[], &mut pieces), 1);
        written.extend_from_slice(&pieces[0]);
        let len = pieces[0].len();
        queue.advance(len);
    }
    written
}

fn frames(messages: &[PreparedMessage]) -> Vec<u8> {
    messages.iter().flat_map(|message| message.frame().to_vec()).collect()
}

#[test]
fn queues_that_are_sent_different_messages_mix_up_nothing() {
    loom::model(|| {
        let [a, b, c, d] = messages();
        let [mut one, mut other] = queues_with_a_sequence(&[a.clone(), b.clone()]);
        let sent = frames(&[a.clone(), b.clone(), c.clone()]);
        let thread = thread::spawn(move || {
            append(&mut one, &[c]);
            assert_eq!(written(one), sent);
        });
        append(&mut other, &[d.clone()]);
        assert_eq!(written(other), frames(&[a, b, d]));
        thread.join().unwrap();
    });
}

#[test]
fn a_queue_is_written_while_another_is_sent_more() {
    loom::model(|| {
        let [a, b, c] = messages();
        let [one, mut other] = queues_with_a_sequence(&[a.clone(), b.clone()]);
        let sent = frames(&[a.clone(), b.clone()]);
        let thread = thread::spawn(move || assert_eq!(written(one), sent));
        append(&mut other, &[c.clone()]);
        assert_eq!(written(other), frames(&[a, b, c]));
        thread.join().unwrap();
    });
}
