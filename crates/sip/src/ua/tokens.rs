//! Tags, Call-IDs and other values that nobody may guess (RFC 3261 §19.3), from a seed.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// A keyed hash over a counter: what was given out does not tell what comes next.
pub(super) struct Tokens {
    seed: [u64; 2],
    counter: u64,
}

impl Tokens {
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        Self { seed, counter: 0 }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        let mut hasher = SipHasher13::new_with_keys(self.seed[0], self.seed[1]);
        // The transaction layer hashes its branches with the same keys: the word keeps the two apart.
        hasher.write(b"user agent token");
        hasher.write_u64(self.counter);
        hasher.finish()
    }

    /// 16 hex digits.
    pub(super) fn tag(&mut self) -> String {
        format!("{:016x}", self.number())
    }

    /// 32 hex digits.
    pub(super) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.number(), self.number())
    }
}
