//! What is turned away when there is too much to do, in the order of what can wait (RFC 6357 §4; ARCHITECTURE.md,
//! "Overload"): first what is no call, then registrations, then new calls, then what calls that stand have to say, and
//! never a call for help, which has a lane of its own.

use std::time::{Duration, Instant};

use cusax_event::sip::{OverloadChanged, OverloadLevel, Urgency};

use crate::config::Limits;

/// For how long it must have been better until it is said.
const CALM: Duration = Duration::from_secs(5);

/// How loaded this edge is.
pub(crate) struct Overload {
    /// The fullest receive buffer, in percent.
    backlog: u8,
    /// What was said last, and when it was last so.
    told: OverloadLevel,
    seen: Option<Instant>,
}

impl Default for Overload {
    fn default() -> Self {
        Self { backlog: 0, told: OverloadLevel::None, seen: None }
    }
}

impl Overload {
    /// Takes how full the fullest receive buffer is, in percent: what waits there is late already.
    pub(crate) const fn set_backlog(&mut self, percent: u8) {
        self.backlog = percent;
    }

    /// The level with so many transactions of a side.
    pub(crate) fn level(&self, transactions: usize, limits: &Limits) -> OverloadLevel {
        let part = |percent: usize| transactions >= limits.transactions.saturating_mul(percent) / 100;
        match self.backlog {
            _ if part(100) => OverloadLevel::Dialogs,
            _ if part(95) => OverloadLevel::Calls,
            75.. => OverloadLevel::Calls,
            _ if part(90) => OverloadLevel::Registrations,
            50.. => OverloadLevel::Registrations,
            _ if part(80) => OverloadLevel::Others,
            25.. => OverloadLevel::Others,
            _ => OverloadLevel::None,
        }
    }

    /// What is to be said of the level: a higher one at once, a lower one when it has lasted.
    pub(crate) fn tell(&mut self, level: OverloadLevel, now: Instant) -> Option<OverloadChanged> {
        if level == self.told && level == OverloadLevel::None {
            return None;
        }
        let calm = self.seen.is_some_and(|seen| now.saturating_duration_since(seen) >= CALM);
        if level >= self.told {
            self.seen = Some(now);
        }
        if level > self.told || (level < self.told && calm) {
            self.told = level;
            self.seen = Some(now);
            return Some(OverloadChanged { level });
        }
        None
    }
}

/// True where a level turns away what is so urgent.
pub(crate) fn sheds(level: OverloadLevel, urgency: Urgency) -> bool {
    match urgency {
        Urgency::Emergency => false,
        Urgency::Dialog => level >= OverloadLevel::Dialogs,
        Urgency::Call => level >= OverloadLevel::Calls,
        Urgency::Registration => level >= OverloadLevel::Registrations,
        Urgency::Other => level >= OverloadLevel::Others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(backlog: u8, transactions: usize) -> OverloadLevel {
        let mut overload = Overload::default();
        overload.set_backlog(backlog);
        overload.level(transactions, &Limits { transactions: 1_000, ..Limits::default() })
    }

    #[test]
    fn the_fuller_the_more_is_turned_away() {
        let by_table = [0, 799, 800, 900, 950, 999, 1_000].map(|transactions| level(0, transactions));
        let by_backlog = [0, 24, 25, 50, 75, 100].map(|backlog| level(backlog, 0));
        use OverloadLevel::{Calls, Dialogs, None, Others, Registrations};
        assert_eq!(by_table, [None, None, Others, Registrations, Calls, Calls, Dialogs]);
        assert_eq!(by_backlog, [None, None, Others, Registrations, Calls, Calls]);
        assert_eq!(level(60, 960), Calls);
        assert_eq!(level(80, 1_000), Dialogs);
    }

    #[test]
    fn each_level_turns_away_one_more_kind() {
        let shed = |level| Urgency::ALL.iter().filter(|urgency| sheds(level, **urgency)).count();
        assert_eq!(OverloadLevel::ALL.iter().copied().map(shed).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!(OverloadLevel::ALL.iter().all(|level| !sheds(*level, Urgency::Emergency)));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one instant is as good as another to count from")]
    fn worse_is_said_at_once_and_better_when_it_lasts() {
        let (mut overload, start) = (Overload::default(), Instant::now());
        let mut said =
            |level, seconds| overload.tell(level, start + Duration::from_secs(seconds)).map(|changed| changed.level);
        use OverloadLevel::{Calls, None as Calm, Others};
        assert_eq!(said(Calm, 0), None);
        assert_eq!(said(Others, 1), Some(Others));
        assert_eq!(said(Calls, 1), Some(Calls));
        assert_eq!(said(Calm, 3), None);
        assert_eq!(said(Calls, 4), None);
        assert_eq!(said(Others, 8), None);
        assert_eq!(said(Others, 9), Some(Others));
        assert_eq!(said(Calm, 14), Some(Calm));
        assert_eq!(said(Calm, 30), None);
    }
}
