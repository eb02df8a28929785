//! Waiters a message that is sent to one connection after another, so that they share its bytes.
//!
//! A handler that tells everybody something is most often a loop over
//! [`try_send`](crate::Connection::try_send), which would copy the message into each outbox. So each
//! thread remembers what it has sent last:
//!
//! ```text
//!              it is sent again,               it is sent again,
//!              to another connection           to any connection
//!   Once ───────────────────────────► Shared ────────────────────► Shared
//!   the message is copied             it is encoded, and kept      the same bytes
//! ```
//!
//! Any other message is `Once`. Which message it is, its address and its length say; but a buffer may
//! have been filled with something else since, so what is kept is compared before it is sent. That
//! costs less than the copy.

use std::cell::Cell;

use prism_core::{Message, PreparedMessage};

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(Last::Nothing) };
}

/// What was sent last on a thread.
#[derive(Default)]
enum Last {
    #[default]
    Nothing,
    Once {
        location: Location,
        /// Whoever has got it.
        connection: usize,
    },
    Shared {
        location: Location,
        message: PreparedMessage,
    },
}

/// Where a message lies, and of which kind it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Location {
    is_text: bool,
    address: usize,
    len: usize,
}

/// Returns what to send in place of a message that several connections get in a row; `None` if it is
/// the first, as far as can be seen. `connection`: a number that no other has at the same time.
pub(crate) fn share(message: Message<'_>, connection: usize) -> Option<PreparedMessage> {
    let last = LAST.try_with(Cell::take).unwrap_or_default();
    let (last, shared) = last.followed_by(message, connection);
    let _ = LAST.try_with(|kept| kept.set(last)); // or the thread ends
    shared
}

/// Forgets what was sent. To be called when a turn ends: what many get, they get in one.
pub(crate) fn forget() {
    let _ = LAST.try_with(Cell::take); // or the thread ends
}

impl Last {
    fn followed_by(
        self,
        message: Message<'_>,
        connection: usize,
    ) -> (Self, Option<PreparedMessage>) {
        let location = Location::of(message);
        let shared = match self {
            Self::Shared { location: before, message: kept }
                if before == location && kept.payload() == message.as_bytes() =>
            {
                kept
            }
            // One connection that is sent the same twice gains nothing by it.
            Self::Once { location: before, connection: first }
                if before == location && first != connection =>
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

    /// What the connection is sent.
    fn sent(message: Message<'_>, connection: usize) -> PreparedMessage {
        share(message, connection).unwrap_or_else(|| PreparedMessage::new(message))
    }

    #[test]
    fn from_the_second_connection_on_all_share_the_same_bytes() {
        let payload = [7; LEN];
        let message = Message::Binary(&payload);
        assert_eq!(share(message, 1), None, "it is not known yet that others get it, too");
        let second = share(message, 2).expect("it is sent again");
        assert_eq!(second, PreparedMessage::new(message));
        for connection in [3, 1, 1, 2] {
            let another = share(message, connection).expect("it is sent again");
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
    fn a_buffer_that_is_filled_anew_is_never_sent_as_it_was() {
        for len in [256, 257, LEN, 1 << 16] {
            for at in [0, 1, len / 2, len - 1] {
                // Before each message but the first the buffer is changed, or is not: each way to do that.
                for changes in 0..1 << 6 {
                    let mut buffer = vec![7; len];
                    for nth in 0..7 {
                        if nth > 0 && changes >> (nth - 1) & 1 == 1 {
                            buffer[at] ^= 1;
                        }
                        let frame = sent(Message::Binary(&buffer), nth);
                        assert!(frame.payload() == buffer, "{nth} of {changes:06b}, byte {at}");
                    }
                    forget();
                }
            }
        }
    }

    #[test]
    fn where_each_connection_gets_other_bytes_none_are_shared_twice() {
        let mut buffer = [0; LEN];
        let shared = (0..100).filter(|&nth| {
            buffer[LEN - 1] = nth;
            share(Message::Binary(&buffer), nth.into()).is_some()
        });
        assert_eq!(shared.count(), 50, "every second one is encoded for nothing");
    }

    #[test]
    fn a_text_and_a_binary_message_of_the_same_bytes_are_two_messages() {
        let text = "x".repeat(LEN);
        let both = [Message::Text(&text), Message::Binary(text.as_bytes())];
        // Each order of four.
        for order in 0..1 << 4 {
            for nth in 0..4 {
                let message = both[order >> nth & 1];
                assert_eq!(sent(message, nth), PreparedMessage::new(message), "{order:04b}");
            }
            forget();
        }
    }

    #[test]
    fn a_part_of_a_message_is_another_message() {
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
    fn whatever_is_sent_comes_out_as_it_is() {
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
    fn when_the_turn_is_over_it_is_forgotten_and_its_bytes_are_given_back() {
        let payload = [7; LEN];
        let message = Message::Binary(&payload);
        share(message, 1);
        let held = measure(|| drop(share(message, 2))).bytes_current;
        assert!(held > LEN as i64, "it is kept for whoever comes next");
        assert_eq!(measure(forget).bytes_current, -held);
        assert_eq!(share(message, 3), None, "it is the first again");
    }

    #[test]
    fn another_message_takes_its_place() {
        let (payload, other) = ([7; LEN], [8; LEN]);
        share(Message::Binary(&payload), 1);
        let held = measure(|| drop(share(Message::Binary(&payload), 2))).bytes_current;
        let given_back = measure(|| drop(share(Message::Binary(&other), 3))).bytes_current;
        assert_eq!(given_back, -held);
        assert_eq!(share(Message::Binary(&payload), 3), None, "it is the first again");
    }

    #[test]
    fn a_thread_that_ends_may_still_send() {
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
            // Those that were first used last are dropped first.
            SENDS.with(|_| ());
            forget();
        });
        thread.join().expect("it has ended well");
    }
}
