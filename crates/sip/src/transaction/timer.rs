//! Timers of RFC 3261 Table 4, by injected time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Round-trip estimate T1.
pub const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions, T2.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network, T4.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: timers B, F, H, J, L, M and the least for D.
pub const T64: Duration = Duration::from_secs(32);

/// How long a request other than INVITE waits for an answer before its client's timer E is at T2: the earliest and the
/// latest time for its 100 (RFC 4320 §4.1).
pub const TRYING: Duration = Duration::from_millis(3_500);

/// Deadlines that are armed with few distinct durations: one queue for each duration, so that arming and expiring
/// cost a push and a pop. A timer is not disarmed; its owner ignores it when it comes.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    queues: Vec<(Duration, VecDeque<(Instant, K)>)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { queues: Vec::new() }
    }
}

impl<K> Timers<K> {
    pub(crate) fn arm(&mut self, after: Duration, key: K, now: Instant) {
        let entry = (now + after, key);
        match self.queues.iter_mut().find(|(duration, _)| *duration == after) {
            Some((_, queue)) => queue.push_back(entry),
            None => self.queues.push((after, VecDeque::from([entry]))),
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|(_, queue)| queue.front()).map(|(due, _)| *due).min()
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<K> {
        let (_, queue) = self
            .queues
            .iter_mut()
            .filter(|(_, queue)| queue.front().is_some_and(|(due, _)| *due <= now))
            .min_by_key(|(_, queue)| queue.front().map(|(due, _)| *due))?;
        queue.pop_front().map(|(_, key)| key)
    }
}
