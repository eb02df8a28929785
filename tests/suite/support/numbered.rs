//! Messages with a number in them, so that it can be told which have come.

use super::peer::Peer;

/// How long one is.
pub(crate) const LEN: usize = 24 << 10;

/// Far more than the sockets of both ends can hold, in messages.
pub(crate) const MANY: u32 = (128 << 20) / LEN as u32;

pub(crate) fn message(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 4)
}

/// The number of the next message, which has come whole.
#[track_caller]
pub(crate) fn number(peer: &mut Peer) -> u32 {
    let payload = peer.next().expect("a message").payload;
    let number = u32::from_be_bytes(payload[..4].try_into().expect("four bytes"));
    assert!(payload == message(number), "half a message");
    number
}

/// How many messages come, each later than the one before, until this one has come.
#[track_caller]
pub(crate) fn come_until(peer: &mut Peer, last: u32) -> u32 {
    let (mut got, mut before) = (0, None);
    while before != Some(last) {
        let next = number(peer);
        assert!(before < Some(next), "{next} after {before:?}");
        (got, before) = (got + 1, Some(next));
    }
    got
}
