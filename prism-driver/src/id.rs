//! [`ConnectionId`].

use std::fmt;

/// A connection's name: 128 random bits, unique across machines.
///
/// It prints as 32 hexadecimal digits; `{:.8}` prints the first eight, enough for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u128);

impl ConnectionId {
    pub(crate) fn random() -> Self {
        Self(u128::from_ne_bytes(random_bytes()))
    }

    /// The id as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
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
    use super::ConnectionId;

    #[test]
    fn an_id_prints_in_full_and_in_short() {
        let id = ConnectionId(0x00ab_cdef << 96);
        assert_eq!(id.to_string(), "00abcdef000000000000000000000000");
        assert_eq!(format!("{id:.8}"), "00abcdef");
        assert_ne!(ConnectionId::random(), ConnectionId::random());
    }
}
