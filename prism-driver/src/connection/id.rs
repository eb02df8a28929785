//! [`ConnectionId`], and the random numbers that it is made of.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::runtime::random::random_bytes;

/// A globally unique ID of a connection, of 128 bits. It is not a secret.
///
/// It prints as 32 hexadecimal digits; `{:.8}` prints the first eight, which is enough for a log.
///
/// A process that forks has to do so before its first connection, and before its first call of [`origin`]. Otherwise
/// both processes have the same [`origin`], and may assign the same IDs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u128);

impl ConnectionId {
    /// Returns the ID with this number, such as one that another process has sent.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// Returns the ID as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Returns the lower half of the ID, which all connections of a process share; see [`origin`].
    #[must_use]
    pub const fn origin(self) -> u64 {
        self.0 as u64
    }
}

/// Returns this process's globally unique ID: 64 random bits, new with each start. A process that is
/// [forked](ConnectionId) after the first call has the same ID. (This has nothing to do with the
/// [`Origins`](crate::Origins) of web pages.)
#[must_use]
pub fn origin() -> u64 {
    PROCESS[1]
}

/// The half of an ID that differs between the connections of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalId(u64);

/// Random numbers: the start of this process's counter, and its half of each ID.
static PROCESS: LazyLock<[u64; 2]> =
    LazyLock::new(|| [random_bytes(), random_bytes()].map(u64::from_ne_bytes));

impl LocalId {
    /// Returns the connection's number in this process, shuffled so that IDs differ in their first digits. The
    /// operating system's generator would cost more than the rest of a new connection.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let [start, _] = *PROCESS;
        Self(shuffle(start.wrapping_add(NUMBER.fetch_add(1, Ordering::Relaxed))))
    }

    pub(crate) fn global(self) -> ConnectionId {
        ConnectionId(u128::from(self.0) << 64 | u128::from(origin()))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:032x}", self.0))
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Maps each number to another one, of which each bit depends on all bits (the finalizer of SplitMix64).
const fn shuffle(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::{ConnectionId, LocalId, origin, shuffle};

    #[test]
    fn an_id_prints_in_full_and_shortened() {
        let id = ConnectionId(0x00ab_cdef << 96);
        assert_eq!(id.to_string(), "00abcdef000000000000000000000000");
        assert_eq!(format!("{id:.8}"), "00abcdef");
        assert_eq!(format!("{id:?}"), id.to_string());
    }

    #[test]
    fn an_id_contains_the_origin_of_its_process() {
        assert_eq!(LocalId::new().global().origin(), origin());
        assert!(origin() > 1, "random numbers are hardly ever that small");
    }

    #[test]
    fn numbers_are_shuffled_as_splitmix64_does() {
        assert_eq!(shuffle(0), 0);
        assert_eq!(shuffle(1), 0x5692_161d_100b_05e5);
        assert_eq!(shuffle(u64::MAX), 0xb4d0_55fc_f2cb_bd7b);
    }

    #[test]
    fn ids_differ_in_their_first_digits() {
        let ids: Vec<_> = std::iter::repeat_with(|| LocalId::new().global()).take(1000).collect();
        let distinct = |digits: usize| {
            let printed = ids.iter().map(|id| format!("{id:.digits$}"));
            printed.collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(distinct(16), 1000);
        // A thousand IDs rarely share one of the 2^32 prefixes.
        assert!(distinct(8) > 990, "{}", distinct(8));
    }
}
