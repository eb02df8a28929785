//! [`ConnectionId`].

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A connection's name: 128 bits, unique across machines. It is no secret.
///
/// It prints as 32 hexadecimal digits; `{:.8}` prints the first eight, enough for people.
///
/// A process that forks has to do so before its first connection, and before its first call of [`origin`]:
/// behind that, both processes go on with the same origin, and may give the same ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u128);

impl ConnectionId {
    /// The id as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Which process the connection is in: the lower half of the id, the same for all connections of
    /// that process; see [`origin`].
    #[must_use]
    pub const fn origin(self) -> u64 {
        self.0 as u64
    }
}

/// This process's name among all that there are: 64 random bits, new with each start, though not with a
/// [fork](ConnectionId) that comes later than the first call of this.
#[must_use]
pub fn origin() -> u64 {
    PROCESS[1]
}

/// The half of an id that is not the same for all connections of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalId(u64);

/// Random: where this process's numbers start, and its half of each id.
static PROCESS: LazyLock<[u64; 2]> =
    LazyLock::new(|| [random_bytes(), random_bytes()].map(u64::from_ne_bytes));

impl LocalId {
    /// A new one: the number of the connection in this process, shuffled so that no two begin alike.
    /// (The operating system's generator costs more than all else that a connection is made of.)
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

/// Gives each number another one, of which every bit depends on every bit (the finalizer of
/// SplitMix64).
const fn shuffle(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Bytes of the operating system's generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

/// Fills memory from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    // Without randomness there is no safe way on: predictable mask keys are a vulnerability.
    getrandom::fill(bytes).expect("the operating system has a random number generator");
}

#[cfg(test)]
mod tests {
    use super::{ConnectionId, LocalId, origin};

    #[test]
    fn an_id_prints_in_full_and_in_short() {
        let id = ConnectionId(0x00ab_cdef << 96);
        assert_eq!(id.to_string(), "00abcdef000000000000000000000000");
        assert_eq!(format!("{id:.8}"), "00abcdef");
    }

    #[test]
    fn an_id_tells_which_process_it_is_of() {
        assert_eq!(LocalId::new().global().origin(), origin());
    }

    #[test]
    fn ids_differ_from_their_first_digits_on() {
        let ids: Vec<_> = std::iter::repeat_with(|| LocalId::new().global()).take(1000).collect();
        let distinct = |digits: usize| {
            let printed = ids.iter().map(|id| format!("{id:.digits$}"));
            printed.collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(distinct(16), 1000);
        // Of 2^32 beginnings, a thousand rarely share one.
        assert!(distinct(8) > 990, "{}", distinct(8));
    }
}
