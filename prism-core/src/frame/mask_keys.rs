//! [`MaskKeys`]: the keys that a client masks its frames with (RFC 6455 §5.3).

use alloc::boxed::Box;
use core::fmt;

/// The source of a client's masking keys: a function, supplied by the caller, that fills memory
/// with random bytes.
///
/// The keys must be unpredictable to the authors of the messages (RFC 6455 §10.3): use the
/// operating system's generator, or a cryptographic one seeded from it. The function is called for
/// 64 keys at a time. In a test it may give a fixed sequence, so that each run produces the same
/// bytes.
///
/// ```
/// let mut counter = 0;
/// let keys = prism_core::MaskKeys::new(move |bytes| {
///     bytes.fill_with(|| { counter += 1; counter }); // for tests only: predictable
/// });
/// ```
// Boxed, because a server's sending half has no keys.
pub struct MaskKeys(Box<Keys>);

struct Keys {
    fill: Fill,
    batch: [[u8; 4]; MaskKeys::BATCH],
    /// How many keys of the batch are used.
    used: usize,
}

type Fill = Box<dyn FnMut(&mut [u8]) + Send>;

impl MaskKeys {
    const BATCH: usize = 64;

    /// Takes keys from the bytes that `fill` writes. The function must fill the whole slice,
    /// because any byte that it leaves unwritten is predictable. If it cannot, it has to panic.
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        let fill = Box::new(fill);
        Self(Box::new(Keys { fill, batch: [[0; 4]; Self::BATCH], used: Self::BATCH }))
    }

    pub(crate) fn next_key(&mut self) -> [u8; 4] {
        let Keys { batch, used, .. } = &mut *self.0;
        let Some(key) = batch.get(*used) else { return self.refill() };
        *used += 1;
        *key
    }

    #[cold]
    fn refill(&mut self) -> [u8; 4] {
        let Keys { fill, batch, used } = &mut *self.0;
        fill(batch.as_flattened_mut());
        *used = 1;
        batch[0]
    }
}

impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys to come are secret.
        f.debug_struct("MaskKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::MaskKeys;

    #[test]
    fn each_key_is_used_once_and_batches_are_requested_on_demand() {
        let mut asked = 0u8;
        let mut keys = MaskKeys::new(move |bytes| {
            asked += 1;
            for (i, key) in bytes.chunks_mut(4).enumerate() {
                key.copy_from_slice(&[asked, i as u8, 0, 0]);
            }
        });
        let drawn: Vec<_> = (0..130).map(|_| keys.next_key()).collect();
        assert_eq!(drawn[0], [1, 0, 0, 0]);
        assert_eq!(drawn[63], [1, 63, 0, 0]);
        assert_eq!(drawn[64], [2, 0, 0, 0]);
        assert_eq!(drawn[129], [3, 1, 0, 0]);
    }
}
