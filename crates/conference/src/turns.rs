//! Which rooms are entered again after a lost link: a few at a time, or the server would answer none of them in time.

use std::collections::{BTreeSet, VecDeque};

use cusax_mixer::ConferenceId;

#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: VecDeque<ConferenceId>,
    at_work: BTreeSet<ConferenceId>,
}

impl Turns {
    /// Begins anew with these, in this order.
    pub(crate) fn begin(&mut self, all: impl IntoIterator<Item = ConferenceId>) {
        self.waiting = all.into_iter().collect();
        self.at_work.clear();
    }

    /// The next whose turn it is.
    pub(crate) fn next(&mut self) -> Option<ConferenceId> {
        if self.at_work.len() >= AT_A_TIME {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.at_work.insert(next);
        Some(next)
    }

    /// Notes that one is done; false where it was none of them.
    pub(crate) fn done(&mut self, conference: ConferenceId) -> bool {
        self.at_work.remove(&conference)
    }
}

/// Rooms that are entered at a time: an answer of a large one is hundreds of stanzas.
const AT_A_TIME: usize = 8;
