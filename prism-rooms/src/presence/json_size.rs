//! How large a state is as JSON, without making it: the sum of what each room, person and connection is.
//! Each is counted with the comma behind it, so it is an upper bound, a few bytes above what is told.

use std::io;

use serde::Serialize;

use super::change::{IS_JSON, Tracked};

/// Of a state in which nobody is.
pub(super) fn of_state(room: &str) -> usize {
    r#"{"presence":"state","room":,"number":18446744073709551615,"people":[]}"#.len() + len_of(room)
}

/// Of a person without connections.
pub(super) fn of_person(key: &str) -> usize {
    r#"{"key":,"connections":[]},"#.len() + len_of(key)
}

pub(super) fn of_connection<M>(tracked: &Tracked<M>) -> usize {
    ",".len() + len_of(tracked)
}

fn len_of(value: &(impl Serialize + ?Sized)) -> usize {
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
    serde_json::to_writer(&mut count, value).expect(IS_JSON);
    count.0
}
