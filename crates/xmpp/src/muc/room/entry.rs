//! Entering a room, the first time and again: ask, configure, enter, read the lists.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cusax_event::moderation::ReconcileResult;

use super::presence::SelfPing;
use super::{PAUSE, Room, State};
use crate::muc::{self, Affiliation, Cause, Departure, Failure, RoomConfig, RoomEvent, UserInfo, admin, owner};
use crate::{Element, Jid, ns, stanza};

/// For entering again: nobody waits for it, and after a lost link all rooms are entered at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nicks that are tried, the last of which nobody can have taken before.
const NICKS: u32 = 6;
/// Nicks among them that can be told.
const PLAIN_NICKS: u32 = 3;
/// The lists that are read.
const LISTS: [Affiliation; 4] = [Affiliation::Owner, Affiliation::Admin, Affiliation::Member, Affiliation::Outcast];

/// How far entering got.
pub(super) struct Entry {
    deadline: Instant,
    step: Step,
}

impl Entry {
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Tells whether our presence was sent, and its answer is awaited.
    pub(super) const fn is_entering(&self) -> bool {
        matches!(self.step, Step::Entering { .. })
    }

    /// Tells whether the room may think that we are in it, as far as this entry goes.
    pub(super) const fn knocked(&self) -> bool {
        matches!(self.step, Step::Entering { .. } | Step::Lists(_))
    }

    /// Tells whether the room took us in, in this entry.
    pub(super) const fn is_in(&self) -> bool {
        matches!(self.step, Step::Lists(_))
    }
}

enum Step {
    /// disco#info was asked, by this id.
    Asking(String),
    /// The owner's form was asked; what disco#info said.
    Configuring(String, RoomConfig),
    /// Our presence was sent, as the n-th nick.
    Entering { attempt: u32 },
    /// The lists were asked, by these ids.
    Lists(BTreeMap<String, List>),
}

/// What was asked for.
#[derive(Clone, Copy)]
enum List {
    /// Whoever is something to the room.
    Affiliated,
    /// Occupants of a role that presence does not show.
    Hidden,
}

impl Room {
    /// Begins to enter, or to enter again.
    pub(super) fn enter(&mut self, now: Instant) {
        let id = self.seed.id();
        let query = Element::iq("get", &id, Element::new(ns::DISCO_INFO, "query"));
        self.send(query.with_attr("to", self.config.room.as_str()));
        self.stale = false;
        self.repairs = 0;
        self.sweep = self.sweep.wrapping_add(1);
        // Who may be in the room still must not take another nick there: the servers take that for a change of nick, and
        // ejabberd does not name the others then.
        if !self.placed {
            self.nick.clone_from(&self.config.nick);
        }
        let patience = if self.ready { PATIENCE } else { self.config.patience };
        self.state = State::Entering(Entry { deadline: now + patience, step: Step::Asking(id) });
    }

    /// The name to try where another is taken.
    fn other_nick(&mut self, attempt: u32) -> String {
        let nick = &self.config.nick;
        if attempt <= PLAIN_NICKS {
            format!("{nick}-{attempt}")
        } else {
            // Half of the number: the whole would tell the next ones.
            format!("{nick}-{:08x}", self.seed.next() >> 32)
        }
    }

    fn step(&mut self, step: Step) {
        if let State::Entering(entry) = &mut self.state {
            entry.step = step;
        }
    }

    /// Takes the answer to an IQ of ours. An occupant can answer too, but never as the room itself.
    pub(super) fn answer(&mut self, iq: &Element, from: &Jid, now: Instant) {
        let (Some(id), Some("result" | "error")) = (iq.attr("id"), iq.attr("type")) else { return };
        if from.resource().is_some() {
            return self.ping_answer(iq, id, now);
        }
        if let Some((moderation, _)) = self.pending.remove(id) {
            if let Some(condition) = stanza::error_condition(iq) {
                self.tell(RoomEvent::ModerationRefused { moderation, condition: condition.to_owned() });
            }
            return;
        }
        let State::Entering(entry) = &mut self.state else { return };
        match &mut entry.step {
            Step::Asking(asked) if asked == id => self.disco_answer(iq, now),
            Step::Configuring(asked, facts) if asked == id => {
                let facts = std::mem::take(facts);
                self.owner_answer(iq, facts);
            }
            Step::Lists(asked) => {
                if let Some(list) = asked.remove(id) {
                    let done = asked.is_empty();
                    self.list_answer(iq, list, now);
                    if done && self.is_entering() {
                        self.in_step(now);
                    }
                }
            }
            Step::Asking(_) | Step::Configuring(..) | Step::Entering { .. } => {}
        }
    }

    fn disco_answer(&mut self, iq: &Element, now: Instant) {
        match (stanza::error_condition(iq), RoomConfig::of_disco(iq)) {
            (Some("item-not-found" | "gone"), _) => self.absent(),
            (Some(condition), _) => self.fail(Failure::Refused, Some(condition), now),
            (None, None) => self.fail(Failure::NotARoom, None, now),
            (None, Some(facts)) => {
                let id = self.seed.id();
                self.send(owner::configuration(&id, &self.config.room));
                self.step(Step::Configuring(id, facts));
            }
        }
    }

    /// Reads what only owners see: the password, without which we may not enter, and the limit. Where we are refused,
    /// the lists will be too, and that tells why.
    fn owner_answer(&mut self, iq: &Element, mut facts: RoomConfig) {
        let password = facts.add_owner_form(iq);
        let changed = facts != self.facts || password != self.password;
        self.facts = facts;
        self.password = password;
        if changed && self.ready {
            self.tell(RoomEvent::ConfigChanged(self.facts.clone()));
        }
        self.knock(1);
    }

    /// Sends our presence. In the room already, the server answers with all of it once more.
    fn knock(&mut self, attempt: u32) {
        if let Some(place) = self.place() {
            self.send(muc::enter(&place, self.password.as_ref()));
        }
        self.step(Step::Entering { attempt });
    }

    /// The room did not let us in.
    pub(super) fn refused(&mut self, presence: &Element, now: Instant) {
        let State::Entering(Entry { step: Step::Entering { attempt }, .. }) = self.state else { return };
        let condition = stanza::error_condition(presence).unwrap_or("undefined-condition");
        let failure = match condition {
            "conflict" if attempt < NICKS => {
                self.placed = false;
                self.nick = self.other_nick(attempt + 1);
                return self.knock(attempt + 1);
            }
            // A room that is still locked (XEP-0045 §10.1) or was destroyed.
            "item-not-found" | "gone" => return self.absent(),
            "conflict" => Failure::Nick,
            "not-authorized" => Failure::Password,
            "forbidden" => Failure::Banned,
            "registration-required" => Failure::MembersOnly,
            "service-unavailable" | "resource-constraint" => Failure::Full,
            _ => Failure::Refused,
        };
        self.fail(failure, Some(condition), now);
    }

    /// The room took us in, and everybody who is there has been named.
    pub(super) fn entered(&mut self, created: bool) {
        if created {
            // It vanished between asking and entering, and we made it anew: undo that.
            if let Some(place) = self.place() {
                self.send(muc::leave(&place));
            }
            return self.absent();
        }
        self.placed = true;
        self.affiliations.begin();
        let mut asked = BTreeMap::new();
        for list in LISTS {
            let id = self.seed.id();
            self.send(admin::list(&id, &self.config.room, list));
            asked.insert(id, List::Affiliated);
        }
        for role in self.facts.hidden_roles.clone() {
            let id = self.seed.id();
            self.send(admin::list_role(&id, &self.config.room, role));
            asked.insert(id, List::Hidden);
        }
        self.step(Step::Lists(asked));
    }

    fn list_answer(&mut self, iq: &Element, list: List, now: Instant) {
        match (stanza::error_condition(iq), list) {
            (Some(condition), List::Affiliated) => return self.fail(Failure::NotOwner, Some(condition), now),
            // Who is hidden from us too has gone, as far as we can see.
            (Some(_), List::Hidden) => return,
            (None, List::Hidden) => return self.found(iq, now),
            (None, List::Affiliated) => {}
        }
        for (jid, affiliation) in admin::listed(iq) {
            if self.affiliations.len() >= self.config.limits.affiliations {
                // A ban that was left out would let somebody in: rather no room than half a list.
                return self.fail(Failure::TooLarge, None, now);
            }
            self.affiliations.list(jid, affiliation);
        }
    }

    /// Takes in occupants whose presence the room shows to nobody.
    fn found(&mut self, iq: &Element, now: Instant) {
        for mut occupant in admin::listed_by_role(iq) {
            let is_self = occupant.sessions.iter().any(|jid| jid.bare() == self.config.focus.bare());
            if is_self || occupant.nick == self.nick || self.occupants.is_seen(&occupant.nick, self.sweep) {
                continue;
            }
            if let Some(known) = self.occupants.get(&occupant.nick).filter(|known| known.bare() == occupant.bare()) {
                occupant.sessions.clone_from(&known.sessions);
                occupant.occupant_id.clone_from(&known.occupant_id);
            }
            self.present(occupant, &UserInfo::default(), now);
        }
    }

    /// All is read.
    fn in_step(&mut self, now: Instant) {
        for occupant in self.occupants.take_unseen(self.sweep) {
            self.change(RoomEvent::OccupantLeft { occupant, departure: Departure::Unseen, cause: Cause::unknown(now) });
        }
        // Who is there has what his presence said, also where that comes from the server's configuration and is on
        // no list.
        let shown: Vec<_> =
            self.occupants.iter().filter_map(|occupant| Some((occupant.bare()?, occupant.affiliation))).collect();
        for (jid, affiliation) in shown {
            self.affiliations.show(jid, affiliation);
        }
        for (jid, from, to) in self.affiliations.finish() {
            self.change(RoomEvent::AffiliationChanged { jid, from, to, cause: Cause::unknown(now) });
        }
        self.state = State::Live(SelfPing::new(now));
        self.rested = now + PAUSE;
        if self.ready {
            let result = if self.repairs == 0 { ReconcileResult::InSync } else { ReconcileResult::Repaired };
            self.tell(RoomEvent::Reconciled(result));
        } else {
            self.ready = true;
            self.tell(RoomEvent::Ready);
        }
    }

    fn absent(&mut self) {
        self.end();
        self.tell(RoomEvent::Absent);
    }

    /// Entering failed: for good the first time, until later afterwards.
    pub(super) fn fail(&mut self, failure: Failure, condition: Option<&str>, now: Instant) {
        if self.ready {
            self.state = State::Blind(self.again(now));
            return self.tell(RoomEvent::Reconciled(ReconcileResult::Failed));
        }
        self.leave();
        self.tell(RoomEvent::Failed { failure, condition: condition.map(str::to_owned) });
    }

    pub(super) fn lose_link(&mut self) {
        if self.ready {
            let blind = matches!(self.state, State::Blind(_));
            self.state = State::Offline;
            self.pending.clear();
            if !blind {
                self.tell(RoomEvent::LinkLost);
            }
        } else {
            self.end();
            self.tell(RoomEvent::Failed { failure: Failure::Link, condition: None });
        }
    }

    /// Enters again where something changed that only this shows.
    pub(super) fn reconcile(&mut self, now: Instant) {
        match self.state {
            State::Live(_) if now >= self.rested => self.enter(now),
            State::Live(_) | State::Entering(_) => self.stale = true,
            State::Blind(_) | State::Offline | State::Over => {}
        }
    }
}
