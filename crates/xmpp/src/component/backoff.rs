//! How long to wait before the next attempt.

use std::time::Duration;

use crate::seed::Seed;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(60);

/// Doubles from 1 s to 60 s, give or take a fifth, so that many nodes do not come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next delay; `up` tells how long the link that was lost had been in service. Only one that lasted starts
    /// again at the first delay: a server that takes us in and throws us out at once is not to be hammered.
    pub(super) fn next(&mut self, up: Option<Duration>, seed: &mut Seed) -> Duration {
        if up.is_some_and(|up| up >= LAST) {
            self.0 = FIRST;
        }
        let permille = 800 + u32::try_from(seed.next() % 401).unwrap_or_default();
        let delay = self.0 * permille / 1000;
        self.0 = (self.0 * 2).min(LAST);
        delay.min(LAST)
    }
}
