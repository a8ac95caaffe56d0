//! What moderators decided, from the stanza to its confirmation by mixer or dialog.

use std::collections::BTreeMap;
use std::time::Instant;

use cusax_event::moderation::{Action, ActionResult, Moderation, Origin};
use cusax_event::{Correlation, Event, Identity, LegId};
use cusax_xmpp::muc::{Actor, Cause};

/// A moderator's decision.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    pub(crate) origin: Origin,
    pub(crate) actor: Option<Identity>,
    pub(crate) reason: Option<String>,
    /// When the last byte of its stanza was received.
    pub(crate) received: Instant,
}

impl Decision {
    /// What the room told, or what was found by comparing with it.
    pub(crate) fn of(action: Action, cause: &Cause, found: bool, room: &str) -> Self {
        let actor = cause.actor.as_ref().and_then(|actor| identity(actor, room));
        Self { actor, reason: cause.reason.clone(), ..Self::bare(action, cause.received, found) }
    }

    /// What nobody gave a reason for.
    pub(crate) const fn bare(action: Action, received: Instant, found: bool) -> Self {
        let origin = if found { Origin::Reconcile } else { Origin::Muc };
        Self { action, origin, actor: None, reason: None, received }
    }

    /// The same decision about another thing.
    pub(crate) fn to(&self, action: Action) -> Self {
        Self { action, ..self.clone() }
    }

    /// The event that says what came of it.
    pub(crate) fn event(self, result: ActionResult, at: Option<Instant>, correlation: Correlation) -> Event {
        let delay = at.map(|at| at.saturating_duration_since(self.received));
        let Self { action, origin, actor, reason, .. } = self;
        Event::Moderation(Moderation { action, origin, result, actor, reason, delay, correlation })
    }
}

/// The actor's bare JID, or his occupant JID where the server names no more.
fn identity(actor: &Actor, room: &str) -> Option<Identity> {
    match (&actor.jid, &actor.nick) {
        (Some(jid), _) => Some(Identity::jid(jid.bare_str())),
        (None, Some(nick)) => Some(Identity::jid(format!("{room}/{nick}"))),
        (None, None) => None,
    }
}

/// Mutes and unmutes that the mixer has yet to confirm.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    last: u64,
    of: BTreeMap<(LegId, u64), Decision>,
}

impl Unconfirmed {
    /// Notes a decision and returns the cause by which the mixer confirms it; a leg's oldest comes back where it has
    /// too many, for then nobody confirms.
    pub(crate) fn add(&mut self, leg: LegId, decision: Decision) -> (u64, Option<Decision>) {
        self.last += 1;
        let oldest = (leg, 0)..=(leg, u64::MAX);
        let overdue = if self.of.range(oldest.clone()).count() < MAX {
            None
        } else {
            self.of.range(oldest).next().map(|(key, _)| *key).and_then(|key| self.of.remove(&key))
        };
        self.of.insert((leg, self.last), decision);
        (self.last, overdue)
    }

    /// Takes what the mixer confirms.
    pub(crate) fn take(&mut self, leg: LegId, cause: u64) -> Option<Decision> {
        self.of.remove(&(leg, cause))
    }

    /// Takes all of a leg that ends.
    pub(crate) fn take_all(&mut self, leg: LegId) -> Vec<Decision> {
        let keys: Vec<_> = self.of.range((leg, 0)..=(leg, u64::MAX)).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.of.remove(key)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }
}

/// Unconfirmed decisions of one leg.
const MAX: usize = 64;
