//! Numbered messages, so that a scenario knows which of them arrived.

use super::peer::Peer;

/// The length of a message in bytes.
pub(crate) const LEN: usize = 24 << 10;

/// A number of messages that far exceeds what the sockets of both ends can buffer.
pub(crate) const MANY: u32 = (128 << 20) / LEN as u32;

pub(crate) fn message(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 4)
}

/// Receives a message, asserts that it is complete, and returns its number.
#[track_caller]
pub(crate) fn read_number(peer: &mut Peer) -> u32 {
    let payload = peer.next().expect("a message").payload;
    let number = u32::from_be_bytes(payload[..4].try_into().expect("four bytes"));
    assert!(payload == message(number), "a damaged message");
    number
}

/// Receives messages up to number `last`, asserts that their numbers increase, and returns how many
/// there were.
#[track_caller]
pub(crate) fn read_until(peer: &mut Peer, last: u32) -> u32 {
    let (mut count, mut before) = (0, None);
    while before != Some(last) {
        let next = read_number(peer);
        assert!(before < Some(next), "{next} after {before:?}");
        (count, before) = (count + 1, Some(next));
    }
    count
}
