//! Detects a message that is sent to one connection after another, so that the connections share its bytes.
//!
//! A handler usually broadcasts by a loop over [`try_send`](crate::Connection::try_send), which would copy the message
//! into each outbox. So each thread remembers the message that it sent last:
//!
//! ```text
//!              sent again,                     sent again,
//!              to another connection           to any connection
//!   Once ───────────────────────────► Shared ────────────────────► Shared
//!   the message is copied             encoded and kept             the kept bytes are sent
//! ```
//!
//! A message that differs from the last becomes `Once`. A kept message is forgotten when the session's turn ends, and
//! outside of sessions when the thread sends another.
//!
//! A message is recognized by its address and length. But its buffer may have been refilled since, so a kept message is
//! compared before it is sent. The comparison takes less than half the time of the copy from 4 KiB on, and no more than
//! the copy below that. If the buffer is refilled for each connection, every second message is encoded in vain, which
//! costs 40 to 70 ns.
//!
//! Messages of less than 256 bytes are not looked at, because they are [copied](crate::outbox::queue::MIN_SHARED)
//! anyway. A large message is looked at only if it has to wait and was not passed by value, so peers that keep up cost
//! nothing here.

use std::cell::Cell;

use prism_core::{Message, PreparedMessage};

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(Last::Nothing) };
    /// Whether there is a last message. This has a flag of its own because every turn asks at its end.
    static HAS_LAST: Cell<bool> = const { Cell::new(false) };
}

/// The last message sent on a thread.
#[derive(Default)]
enum Last {
    #[default]
    Nothing,
    Once {
        location: Location,
        /// The connection that the message was sent to.
        connection: usize,
    },
    Shared {
        location: Location,
        message: PreparedMessage,
    },
}

/// Where a message lies in memory, and its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Location {
    is_text: bool,
    address: usize,
    len: usize,
}

/// Returns the shared form of a message that is sent to several connections in a row, or `None` if this appears to be
/// the first of them. `connection` is a number that identifies the connection while it exists.
pub(crate) fn share(message: Message<'_>, connection: usize) -> Option<PreparedMessage> {
    let last = LAST.try_with(Cell::take).unwrap_or_default();
    let (last, shared) = last.followed_by(message, connection);
    let _ = LAST.try_with(|kept| kept.set(last)); // or the thread ends
    HAS_LAST.set(true);
    shared
}

/// Forgets the last message. To be called when a turn ends, because a broadcast happens within one turn.
#[inline]
pub(crate) fn forget() {
    if HAS_LAST.replace(false) {
        let _ = LAST.try_with(Cell::take); // or the thread ends
    }
}

impl Last {
    fn followed_by(
        self,
        message: Message<'_>,
        connection: usize,
    ) -> (Self, Option<PreparedMessage>) {
        let location = Location::of(message);
        let shared = match self {
            Self::Shared { location: last, message: kept }
                if last == location && kept.payload() == message.as_bytes() =>
            {
                kept
            }
            // Sharing gains nothing where one connection is sent the same message twice.
            Self::Once { location: last, connection: first }
                if last == location && first != connection =>
            {
                PreparedMessage::new(message)
            }
            _ => return (Self::Once { location, connection }, None),
        };
        (Self::Shared { location, message: shared.clone() }, Some(shared))
    }
}

impl Location {
    fn of(message: Message<'_>) -> Self {
        let bytes = message.as_bytes();
        Self {
            is_text: message.as_text().is_some(),
            address: bytes.as_ptr().addr(),
            len: bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use allocation_counter::measure;
    use prism_core::{Message, PreparedMessage};

    use super::{forget, share};

    const LEN: usize = 1000;

    /// Returns the frame that the connection is sent.
    fn sent(message: Message<'_>, connection: usize) -> PreparedMessage {
        share(message, connection).unwrap_or_else(|| PreparedMessage::new(message))
    }

    #[test]
    fn connections_from_the_second_on_share_the_same_bytes() {
        let payload = [7; LEN];
        let message = Message::Binary(&payload);
        assert_eq!(share(message, 1), None, "nothing shows yet that it is sent again");
        let second = share(message, 2).expect("the message is sent again");
        assert_eq!(second, PreparedMessage::new(message));
        for connection in [3, 1, 1, 2] {
            let another = share(message, connection).expect("the message is sent again");
            assert!(ptr::eq(another.frame(), second.frame()), "connection {connection}");
        }
    }

    #[test]
    fn one_connection_shares_nothing_with_itself() {
        let payload = [7; LEN];
        for _ in 0..3 {
            assert_eq!(share(Message::Binary(&payload), 1), None);
        }
    }

    #[test]
    fn a_refilled_buffer_is_never_sent_with_its_old_contents() {
        for len in [256, 257, LEN, 1 << 16] {
            for at in [0, 1, len / 2, len - 1] {
                // Bit n - 1 says whether the buffer is changed before message n. All combinations are tried.
                for changes in 0..1 << 6 {
                    let mut buffer = vec![7; len];
                    for nth in 0..7 {
                        if nth > 0 && changes >> (nth - 1) & 1 == 1 {
                            buffer[at] ^= 1;
                        }
                        let frame = sent(Message::Binary(&buffer), nth);
                        assert!(
                            frame.payload() == buffer,
                            "message {nth} of {changes:06b}, byte {at}"
                        );
                    }
                    forget();
                }
            }
        }
    }

    #[test]
    fn a_changing_buffer_is_encoded_in_vain_every_second_time() {
        let mut buffer = [0; LEN];
        let shared = (0..100).filter(|&nth| {
            buffer[LEN - 1] = nth;
            share(Message::Binary(&buffer), nth.into()).is_some()
        });
        assert_eq!(shared.count(), 50, "every second message is encoded in vain");
    }

    #[test]
    fn text_and_binary_messages_of_the_same_bytes_are_distinct() {
        let text = "x".repeat(LEN);
        let both = [Message::Text(&text), Message::Binary(text.as_bytes())];
        // All sequences of four messages.
        for order in 0..1 << 4 {
            for nth in 0..4 {
                let message = both[order >> nth & 1];
                assert_eq!(sent(message, nth), PreparedMessage::new(message), "{order:04b}");
            }
            forget();
        }
    }

    #[test]
    fn a_part_of_a_message_is_a_different_message() {
        let payload = [7; LEN];
        for part in [&payload[..LEN - 1], &payload[1..], &payload[..256]] {
            for nth in 0..6 {
                let message = if nth < 3 { &payload[..] } else { part };
                let message = Message::Binary(message);
                assert_eq!(sent(message, nth), PreparedMessage::new(message));
            }
        }
    }

    #[test]
    fn every_message_is_sent_unchanged() {
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut buffers = [[b'a'; LEN], [b'a'; LEN]];
            for _ in 0..50 {
                let buffer = &mut buffers[random.usize(..2)];
                if random.u8(..4) == 0 {
                    buffer[random.usize(..LEN)] = random.u8(b'a'..=b'b');
                }
                let begin = random.usize(..2);
                let bytes = &buffer[begin..LEN - random.usize(..2)];
                let message = match random.bool() {
                    true => Message::Text(str::from_utf8(bytes).unwrap()),
                    false => Message::Binary(bytes),
                };
                let frame = sent(message, random.usize(..3));
                assert!(frame == PreparedMessage::new(message), "seed {seed}");
                if random.u8(..10) == 0 {
                    forget();
                }
            }
        }
    }

    #[test]
    fn forget_frees_the_kept_message() {
        let payload = [7; LEN];
        let message = Message::Binary(&payload);
        share(message, 1);
        let held = measure(|| drop(share(message, 2))).bytes_current;
        assert!(held > LEN as i64, "the message is kept for the next connection");
        assert_eq!(measure(forget).bytes_current, -held);
        assert_eq!(share(message, 3), None, "the next message is the first again");
    }

    #[test]
    fn a_different_message_replaces_and_frees_the_kept_one() {
        let (payload, other) = ([7; LEN], [8; LEN]);
        share(Message::Binary(&payload), 1);
        let held = measure(|| drop(share(Message::Binary(&payload), 2))).bytes_current;
        let freed = measure(|| drop(share(Message::Binary(&other), 3))).bytes_current;
        assert_eq!(freed, -held);
        assert_eq!(
            share(Message::Binary(&payload), 3),
            None,
            "the next message is the first again"
        );
    }

    #[test]
    fn a_thread_that_is_ending_can_still_send() {
        struct Sends;
        impl Drop for Sends {
            fn drop(&mut self) {
                let payload = [7; LEN];
                for connection in 0..3 {
                    let message = Message::Binary(&payload);
                    assert_eq!(sent(message, connection), PreparedMessage::new(message));
                }
                forget();
            }
        }
        thread_local! {
            static SENDS: Sends = const { Sends };
        }
        let thread = std::thread::spawn(|| {
            // Thread-locals are dropped in the reverse order of their first use.
            SENDS.with(|_| ());
            forget();
        });
        thread.join().expect("the thread has not panicked");
    }
}
