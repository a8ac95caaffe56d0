//! When which conference wants to be called.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cusax_mixer::ConferenceId;

#[derive(Debug, Default)]
pub(crate) struct Timetable {
    due: BTreeSet<(Instant, ConferenceId)>,
    of: BTreeMap<ConferenceId, Instant>,
}

impl Timetable {
    /// Notes when a conference is due next, in place of what was noted before.
    pub(crate) fn set(&mut self, conference: ConferenceId, due: Option<Instant>) {
        let before = match due {
            Some(due) => self.of.insert(conference, due),
            None => self.of.remove(&conference),
        };
        if let Some(before) = before {
            self.due.remove(&(before, conference));
        }
        if let Some(due) = due {
            self.due.insert((due, conference));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Those that are due now.
    pub(crate) fn due(&self, now: Instant) -> Vec<ConferenceId> {
        self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, conference)| *conference).collect()
    }
}
