//! The size of a room's state as JSON, computed without encoding it.
//!
//! The part of each person and connection is added when it comes and subtracted when it leaves. So a change that
//! would make the state too large is refused before it is made, and only its own part is measured for that.
//!
//! The size is the sum of the sizes of its room, people and connections. Each is counted with the comma
//! behind it, so the sum is an upper bound, a few bytes above the size of the message.

use std::io;

use serde::Serialize;

use super::change::{ENCODES, Tracked};

/// Returns the size of the state of a room without people.
pub(super) fn of_state(room: &str) -> usize {
    r#"{"presence":"state","room":,"number":18446744073709551615,"people":[]}"#.len() + of(room)
}

/// Returns the size of a person without connections.
pub(super) fn of_person(key: &str) -> usize {
    r#"{"key":,"connections":[]},"#.len() + of(key)
}

pub(super) fn of_connection<M>(tracked: &Tracked<M>) -> usize {
    ",".len() + of(tracked)
}

fn of(value: &(impl Serialize + ?Sized)) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect(ENCODES);
    count.0
}
