//! Random numbers from the operating system, for IDs, nonces and mask keys.

/// Returns bytes from the operating system's random number generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

/// Fills memory from the operating system's random number generator.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    // It is not safe to continue without randomness: predictable mask keys are a vulnerability.
    getrandom::fill(bytes).expect("the operating system has a random number generator");
}
