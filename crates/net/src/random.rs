//! The only place that asks the operating system for randomness.

/// Draws a seed for a core's own generator.
///
/// # Panics
/// Where the operating system has no randomness to give: nothing that is started then would be safe.
#[must_use]
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Draws a secret key.
///
/// # Panics
/// As [`seed`].
#[must_use]
pub fn key() -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    bytes
}

/// Fills `bytes` with randomness that is fit for secrets.
///
/// # Panics
/// As [`seed`].
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("getrandom(2) works on every system that this runs on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_seeds_are_never_the_same_twice() {
        assert_ne!(key(), key());
        assert_ne!(seed(), seed());
        assert_ne!(key(), [0; 32]);
    }
}
