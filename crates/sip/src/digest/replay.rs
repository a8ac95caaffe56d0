//! Nonce counts that were used (RFC 7616 §3.4.5), in a bounded table.

use std::collections::{HashMap, VecDeque};

/// What became of a nonce count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It was not used before.
    New,
    /// It was used before, or is too far behind to tell.
    Repeated,
    /// The table no longer knows what was used with this nonce: challenge again with `stale=true`.
    Forgotten,
}

/// The last 64 counts of each nonce that proved right, so that requests may overtake one another.
#[derive(Debug)]
pub struct ReplayWindow {
    windows: HashMap<String, Window>,
    /// Nonces in the order of their first use, with the time of issue.
    order: VecDeque<(u64, String)>,
    capacity: usize,
    lifetime: u64,
    /// Nonces issued up to here may have been pushed out of the table.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit n: the count `highest - n` was used.
    used: u64,
}

impl ReplayWindow {
    /// Makes an empty table for at most `capacity` nonces that live `lifetime` seconds.
    #[must_use]
    pub fn new(capacity: usize, lifetime: u64) -> Self {
        let (windows, order) = (HashMap::new(), VecDeque::new());
        Self { windows, order, capacity: capacity.max(1), lifetime, forgotten: 0 }
    }

    /// Notes the use of a count. To be asked only of a fresh nonce, after the credentials have proved right: what
    /// strangers send must not push out what users sent. Times are seconds since 1970.
    pub fn note(&mut self, nonce: &str, issued: u64, count: u32, now: u64) -> Count {
        if let Some(window) = self.windows.get_mut(nonce) {
            return window.note(count);
        }
        if issued <= self.forgotten {
            return Count::Forgotten;
        }
        while let Some((oldest, _)) = self.order.front() {
            let expired = oldest.saturating_add(self.lifetime) < now;
            if !expired && self.order.len() < self.capacity {
                break;
            }
            if let Some((oldest, gone)) = self.order.pop_front() {
                self.windows.remove(&gone);
                if !expired {
                    self.forgotten = self.forgotten.max(oldest);
                }
            }
        }
        self.order.push_back((issued, nonce.to_owned()));
        self.windows.insert(nonce.to_owned(), Window { highest: count, used: 1 });
        Count::New
    }

    /// How many nonces it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// True where it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}

impl Window {
    fn note(&mut self, count: u32) -> Count {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return Count::New;
        }
        let Some(bit) = 1_u64.checked_shl(self.highest - count) else { return Count::Repeated };
        if self.used & bit != 0 {
            return Count::Repeated;
        }
        self.used |= bit;
        Count::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_each_count_once_in_any_order_within_the_window() {
        let mut table = ReplayWindow::new(8, 300);
        let mut note = |count| table.note("n", 100, count, 100);
        assert_eq!([note(1), note(3), note(2)], [Count::New; 3]);
        assert_eq!([note(1), note(2), note(3)], [Count::Repeated; 3]);
        assert_eq!(note(70), Count::New);
        assert_eq!(note(6), Count::Repeated, "64 behind");
        assert_eq!(note(7), Count::New, "63 behind");
        assert_eq!(note(u32::MAX), Count::New);
        assert_eq!(note(70), Count::Repeated);
    }

    #[test]
    fn a_nonce_that_was_pushed_out_is_not_taken_for_new() {
        let mut table = ReplayWindow::new(2, 300);
        for (nonce, issued) in [("a", 100), ("b", 101), ("c", 102)] {
            assert_eq!(table.note(nonce, issued, 1, 102), Count::New);
        }
        assert_eq!(table.len(), 2);
        assert_eq!(table.note("a", 100, 1, 102), Count::Forgotten);
        assert_eq!(table.note("c", 102, 1, 102), Count::Repeated);
    }

    #[test]
    fn forgets_what_is_too_old_to_be_sent_again() {
        let mut table = ReplayWindow::new(10, 300);
        table.note("a", 100, 1, 100);
        table.note("b", 500, 1, 500);
        assert_eq!(table.len(), 1);
        assert_eq!(table.note("c", 100, 1, 500), Count::New);
    }
}
