//! Tests of the send queue.

use std::{io::IoSlice, sync::Barrier, thread};

use prism_core::{OpCode, Output, PreparedMessage};

use crate::outbox::queue::{MAX_DOUBLED, MAX_PIECES, MIN_SHARED, SendQueue, frame::FrameBytes};

/// Returns a queue with own bytes and with long and short frames, prepared ones and kept payloads, and all its bytes in
/// one piece.
fn mixed() -> (SendQueue, Vec<u8>) {
    let (mut queue, mut all) = (SendQueue::default(), Vec::new());
    for (i, len) in
        [MIN_SHARED, 3, MIN_SHARED + 7, MIN_SHARED, 1, MIN_SHARED * 2].into_iter().enumerate()
    {
        let payload = vec![i as u8; len];
        let message = PreparedMessage::new(&payload);
        if i % 2 == 0 {
            queue.append(&message);
        } else {
            queue.push(FrameBytes::new(OpCode::Binary, payload.into()));
        }
        let own = vec![b'a' + i as u8; i % 3];
        queue.buffer().extend_from_slice(&own);
        all.extend([message.frame(), &own].concat());
    }
    (queue, all)
}

fn pieces_of(queue: &SendQueue, tail: &[u8]) -> Vec<u8> {
    let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
    let count = queue.pieces(tail, &mut pieces);
    pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect()
}

#[test]
fn pieces_are_all_bytes_in_order_after_any_advance() {
    let all = mixed().1;
    for first in 0..=all.len() {
        let mut queue = mixed().0;
        queue.advance(first);
        assert_eq!(queue.len(), all.len() - first);
        assert_eq!(pieces_of(&queue, b"tail"), [&all[first..], b"tail"].concat());
        queue.advance((all.len() - first) / 2);
        assert_eq!(pieces_of(&queue, b"").len(), queue.len());
        queue.advance(queue.len());
        assert!(queue.is_empty() && queue.contiguous() == Some(b""));
    }
}

#[test]
fn what_is_left_of_a_single_frame_is_returned_without_a_copy() {
    let mut queue = SendQueue::default();
    let message = PreparedMessage::new(&[7; MIN_SHARED]);
    queue.append(&message);
    for written in [0, 1, MIN_SHARED] {
        queue.advance(queue.len() - message.frame()[written..].len());
        let left = queue.contiguous().unwrap();
        assert!(std::ptr::eq(left, &message.frame()[written..]), "{written} bytes written");
    }
    queue.buffer().extend_from_slice(b"more");
    assert_eq!(queue.contiguous(), None);
}

#[test]
fn pieces_beyond_one_write_are_left_for_the_next() {
    let mut queue = SendQueue::default();
    let message = PreparedMessage::new(&[7; MIN_SHARED]);
    (0..MAX_PIECES + 3).for_each(|_| queue.push(message.clone().into()));
    let mut writes = Vec::new();
    while !queue.is_empty() {
        writes.push(pieces_of(&queue, b"").len() / message.frame().len());
        queue.advance(pieces_of(&queue, b"").len());
    }
    assert_eq!(writes, [MAX_PIECES, 3]);
}

#[test]
fn a_large_buffer_is_little_larger_than_its_contents() {
    for len in [1, 100, 5000, 40_000] {
        let mut queue = SendQueue::default();
        while queue.len() < 200_000 {
            queue.reserve(len);
            let room = queue.own.capacity() - queue.own.len();
            assert!(room >= len, "room for {room} of {len} bytes");
            queue.buffer().extend(std::iter::repeat_n(7, len));
            let limit = (queue.len() * 17 / 16).max(MAX_DOUBLED * 2);
            assert!(queue.capacity() <= limit, "{} bytes for {}", queue.capacity(), queue.len());
            queue.advance(len / 7);
        }
        assert!(queue.own.iter().all(|&byte| byte == 7), "the contents are unchanged");
    }
}

#[test]
fn long_frames_are_shared_and_short_ones_are_copied() {
    let mut queue = SendQueue::default();
    queue.append(&PreparedMessage::new(&[1; MIN_SHARED]));
    queue.append(&PreparedMessage::new(&[2; MIN_SHARED / 2]));
    assert_eq!((queue.frames.len(), queue.own.len()), (1, 4 + MIN_SHARED / 2));
    queue.advance(MIN_SHARED + 4);
    assert_eq!(queue.frames.len(), 0, "the frame has been written");
    queue.append(&PreparedMessage::new(&[1; MIN_SHARED]));
    queue.clear();
    assert!(queue.frames.is_empty() && queue.is_empty());
}

#[test]
fn drop_oldest_keeps_own_bytes_and_a_partly_written_frame() {
    let all = mixed().1;
    for first in 0..=all.len() {
        let mut queue = mixed().0;
        queue.advance(first);
        let partly_written = queue.frames.front().filter(|_| queue.front_written > 0);
        let partly_written = partly_written
            .map_or_else(Vec::new, |frame| frame.bytes.rest(queue.front_written).concat());
        let mut kept = [&partly_written, &queue.own[..]].concat();
        kept.sort_unstable();
        while queue.drop_oldest() {
            assert_eq!(queue.len(), pieces_of(&queue, b"").len());
        }
        let mut pieces = pieces_of(&queue, b"");
        pieces.sort_unstable();
        assert!(pieces == kept, "after {first} bytes");
        queue.append(&PreparedMessage::new(&[9; MIN_SHARED]));
        queue.advance(queue.len());
        assert!(queue.is_empty());
    }
}

#[test]
fn drop_oldest_skips_frames_to_which_others_refer() {
    let mut queue = SendQueue::default();
    let message = |byte| PreparedMessage::new(&[byte; MIN_SHARED]);
    queue.undroppable().append(&message(1));
    queue.undroppable().append(&PreparedMessage::new(&[2; 10]));
    queue.droppable().append(&message(3));
    queue.undroppable().append(&message(4));
    queue.droppable().append(&PreparedMessage::new(&[5; 10]));
    assert_eq!((queue.frames.len(), queue.own.len()), (4, 12), "short ones may be copied");
    let all = [message(1).frame(), &[0x82, 10], &[2; 10], message(4).frame()].concat();
    assert!(queue.drop_oldest() && queue.drop_oldest() && !queue.drop_oldest());
    assert_eq!(pieces_of(&queue, b""), all);
    queue.advance(1);
    assert!(!queue.drop_oldest());
    assert_eq!(size_of::<super::Frame>(), 3 * size_of::<usize>(), "it takes no memory");
}

#[test]
fn the_payload_of_a_kept_frame_is_written_without_a_copy() {
    let mut queue = SendQueue::default();
    let payload = vec![7; 1000];
    let address = payload.as_ptr();
    queue.push(FrameBytes::new(OpCode::Text, payload.into()));
    assert_eq!(queue.len(), 4 + 1000);
    assert_eq!(pieces_of(&queue, b"")[..5], [0x81, 126, 3, 232, 7]);
    assert_eq!(queue.contiguous(), None, "the header lies apart");
    for written in [4, 5, 1003] {
        queue.advance(queue.len() - (1004 - written));
        let left = queue.contiguous().expect("only a part of the payload is left");
        assert_eq!(
            (left.as_ptr(), left.len()),
            (address.wrapping_add(written - 4), 1004 - written)
        );
    }
}

#[test]
fn append_rest_continues_a_frame_wherever_its_writing_stopped() {
    let payload = [7; 1000];
    let all = PreparedMessage::new(&payload).frame().to_vec();
    for written in 0..all.len() {
        let mut queue = SendQueue::default();
        queue.buffer().extend_from_slice(&all[written.min(4)..4]);
        let unwritten = (all.len() - written).min(payload.len());
        queue.append_rest(FrameBytes::new(OpCode::Binary, payload.to_vec().into()), unwritten);
        assert_eq!(queue.len(), all.len() - written);
        assert_eq!(pieces_of(&queue, b""), all[written..], "after {written} bytes");
    }
}

fn messages(lens: &[usize]) -> Vec<PreparedMessage> {
    let message = |(i, len): (usize, &usize)| PreparedMessage::new(&vec![i as u8; *len]);
    lens.iter().enumerate().map(message).collect()
}

#[test]
fn queues_that_are_sent_the_same_messages_share_one_copy_of_all_of_them() {
    let messages = messages(&[MIN_SHARED, 300, 5000, MIN_SHARED]);
    let mut queues = [(); 3].map(|()| SendQueue::default());
    for message in &messages {
        queues.iter_mut().for_each(|queue| queue.append(message));
    }
    let all: Vec<u8> = messages.iter().flat_map(|message| message.frame().to_vec()).collect();
    let [first, others @ ..] = &queues;
    assert_eq!(first.contiguous(), Some(&all[..]));
    for other in others {
        assert!(std::ptr::eq(other.contiguous().unwrap(), first.contiguous().unwrap()));
        assert_eq!(other.frames().count(), 1);
    }
}

#[test]
fn a_queue_that_missed_a_message_or_got_another_shares_only_what_came_before() {
    let messages = messages(&[300; 4]);
    let [a, b, c, d] = &messages[..] else { unreachable!() };
    let mut queues = [(); 4].map(|()| SendQueue::default());
    let sent = [vec![a, b, c, d], vec![a, c, d], vec![a, b, d, c], vec![b, a]];
    for (queue, sent) in queues.iter_mut().zip(&sent) {
        sent.iter().for_each(|message| queue.append(message));
    }
    for (queue, sent) in queues.iter().zip(&sent) {
        let all: Vec<u8> = sent.iter().flat_map(|message| message.frame().to_vec()).collect();
        assert_eq!(pieces_of(queue, b""), all);
    }
}

#[test]
fn a_write_joins_at_most_one_sequence() {
    const LEN: usize = 304;
    let messages = messages(&[300; 40]);
    let mut queues = [(); 2].map(|()| SendQueue::default());
    for message in &messages {
        queues.iter_mut().for_each(|queue| queue.append(message));
    }
    for queue in &mut queues {
        assert_eq!(queue.frames().count(), 2, "sequences of 32 and of 8 frames");
        queue.buffer().extend_from_slice(b"own");
    }
    let [first, second] = &mut queues;
    assert_eq!(pieces_of(first, b"tail").len(), 32 * LEN);
    first.advance(32 * LEN);
    assert_eq!(pieces_of(first, b"tail").len(), 8 * LEN + 7);
    assert_eq!(pieces_of(second, b"tail").len(), 40 * LEN + 7, "there is nothing left to join");
}

#[test]
fn a_queue_that_waits_for_its_peer_holds_no_sequences() {
    let messages = messages(&[300; 4]);
    let [a, b, c, d] = &messages[..] else { unreachable!() };
    let mut queue = SendQueue::default();
    [a, b].into_iter().for_each(|message| queue.append(message));
    assert_eq!(queue.frames().count(), 1);
    queue.note_stalled();
    [c, d].into_iter().for_each(|message| queue.append(message));
    assert_eq!(queue.frames().count(), 4);
    queue.advance(queue.len());
    queue.clear();
    [a, b].into_iter().for_each(|message| queue.append(message));
    assert_eq!(queue.frames().count(), 1);
}

#[test]
fn joined_frames_are_not_extended() {
    let messages = messages(&[300; 3]);
    let mut queues = [(); 2].map(|()| SendQueue::default());
    for queue in &mut queues {
        messages[..2].iter().for_each(|message| queue.append(message));
    }
    assert!(queues[0].contiguous().is_some(), "this joins the first two");
    queues.iter_mut().for_each(|queue| queue.append(&messages[2]));
    for queue in &queues {
        assert_eq!((queue.frames().count(), pieces_of(queue, b"").len()), (2, 3 * 304));
    }
}

#[test]
fn frames_of_which_the_peer_takes_a_part_can_be_dropped_one_by_one() {
    let messages = messages(&[300; 4]);
    let mut queue = SendQueue::default();
    messages.iter().for_each(|message| queue.append(message));
    queue.advance(304 + 1);
    assert!(queue.drop_oldest());
    let left = [&messages[1].frame()[1..], messages[3].frame()].concat();
    assert_eq!(pieces_of(&queue, b""), left);
    assert!(queue.drop_oldest() && !queue.drop_oldest(), "of one frame a part has been written");
}

#[test]
fn whatever_queues_are_sent_and_however_they_are_written_all_bytes_are_there() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let messages = messages(&[300, 400, 20, 14 << 10, 300, 33 << 10, 256]);
        let mut queues: [(SendQueue, Vec<u8>); 3] = Default::default();
        for _ in 0..30 {
            let message = &messages[random.usize(..messages.len())];
            for (queue, all) in &mut queues {
                match random.u8(..12) {
                    0 => {
                        queue.buffer().extend_from_slice(b"own");
                        all.extend_from_slice(b"own");
                    }
                    1 => {
                        let written = random.usize(..=pieces_of(queue, b"").len());
                        queue.advance(written);
                        all.drain(..written);
                    }
                    2 => queue.clear(),
                    3 => continue,
                    _ => {
                        queue.append(message);
                        all.extend_from_slice(message.frame());
                    }
                }
                if queue.is_empty() {
                    all.clear();
                }
                assert_eq!(queue.len(), all.len(), "seed {seed}");
                let pieces = pieces_of(queue, b"");
                assert!(all.starts_with(&pieces), "seed {seed}");
            }
        }
    }
}

#[test]
fn threads_that_extend_and_join_one_sequence_at_the_same_time_mix_up_nothing() {
    for seed in 0..500 {
        let messages = messages(&[300; 8]);
        // One thread begins the sequence for the queues of both.
        let mut queues = [(); 2].map(|()| [(); 4].map(|()| SendQueue::default()));
        for queue in queues.as_flattened_mut() {
            messages[..2].iter().for_each(|message| queue.append(message));
        }
        let begin = Barrier::new(2);
        let send = |number: u64, mut queues: [SendQueue; 4]| {
            let mut random = fastrand::Rng::with_seed(2 * seed + number);
            let mut sent: Vec<_> = messages.iter().collect();
            // Often the same message is the next of both threads.
            let swapped = random.usize(2..8);
            sent.swap(swapped, random.usize(2..8));
            let read_after = random.usize(2..=8);
            begin.wait();
            for count in 2..=8 {
                if count > 2 {
                    queues.iter_mut().for_each(|queue| queue.append(sent[count - 1]));
                }
                if count == read_after || count == 8 {
                    let sent = sent[..count].iter();
                    let all: Vec<u8> = sent.flat_map(|message| message.frame().to_vec()).collect();
                    let are_right = queues.iter().all(|queue| whole(queue) == all);
                    assert!(are_right, "seed {seed}, thread {number}, {count} messages");
                }
            }
        };
        thread::scope(|scope| {
            let [first, second] = queues;
            scope.spawn(|| send(0, first));
            scope.spawn(|| send(1, second));
        });
    }
}

/// Returns all bytes of a queue, whose sequences are joined for that.
fn whole(queue: &SendQueue) -> Vec<u8> {
    queue.frames().flat_map(|frame| frame.rest(0).concat()).collect()
}
