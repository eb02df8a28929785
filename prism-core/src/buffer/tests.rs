//! Tests of the parts of a receive buffer.

use super::RecvBuffer;

fn filled(bytes: &[u8]) -> RecvBuffer {
    let mut buffer = RecvBuffer::new();
    buffer.extend_from_slice(bytes);
    buffer
}

#[test]
fn text_that_has_been_checked_is_not_checked_again() {
    let mut buffer = filled(b"abcdefgh");
    buffer.join(6);
    for left in ["cdef", "ef"] {
        buffer.checked(2);
        assert_eq!(buffer.unchecked(), left.as_bytes());
    }
}

#[test]
fn a_whole_payload_is_lent_in_place() {
    let mut buffer = filled(b"HHpayload-next");
    buffer.skip(2);
    let before = buffer.unparsed().as_ptr();
    buffer.join(7);
    let message = buffer.lend_message();
    assert_eq!((message, message.as_ptr()), (&b"payload"[..], before));
    assert_eq!(buffer.unparsed(), b"-next");
}

#[test]
fn fragments_are_joined_over_the_headers_between_them() {
    let mut buffer = filled(b"HabcH.PINGHdefrest");
    buffer.skip(1);
    buffer.join(3);
    buffer.skip(2);
    assert_eq!(buffer.lend(4), b"PING");
    buffer.skip(1);
    buffer.join(3);
    assert_eq!(buffer.lend_message(), b"abcdef");
    assert_eq!(buffer.unparsed(), b"rest");
}

#[test]
fn an_emptied_buffer_starts_over_at_the_front() {
    let mut buffer = filled(b"HHabc");
    buffer.skip(2);
    buffer.join(3);
    assert!(!buffer.is_empty());
    buffer.lend_message();
    assert!(buffer.is_empty());
    let capacity = buffer.capacity();
    buffer.extend_from_slice(b"12345");
    assert_eq!((buffer.unparsed(), buffer.capacity()), (&b"12345"[..], capacity));
}

#[test]
fn the_contents_can_move_to_another_buffer_at_any_time() {
    let mut small = filled(b"HabcHde");
    small.skip(1);
    small.join(3);
    small.skip(1);
    let mut large = filled(b"what was here before");
    small.move_to(&mut large);
    assert!(small.is_empty());
    assert_eq!((large.message(), large.unparsed(), large.len()), (&b"abc"[..], &b"de"[..], 5));
    large.join(2);
    assert_eq!(large.lend_message(), b"abcde");
}

#[test]
fn spare_reclaims_dead_bytes_before_it_grows() {
    let mut buffer = RecvBuffer::with_capacity(64);
    buffer.extend_from_slice(&[7; 60]);
    buffer.skip(50);
    for (at_least, spare, capacity) in [(4, 4, 64), (54, 54, 64), (55, 118, 128)] {
        assert_eq!(buffer.spare(at_least).len(), spare);
        assert_eq!((buffer.unparsed(), buffer.capacity()), (&[7; 10][..], capacity));
    }
}

#[test]
fn nothing_pauses_with_a_new_buffer() {
    for buffer in [RecvBuffer::default(), RecvBuffer::new(), RecvBuffer::with_capacity(4)] {
        assert!(!buffer.is_paused());
    }
}
