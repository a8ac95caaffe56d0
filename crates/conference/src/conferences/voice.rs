//! Who may be heard: voice in the room, silence in the mixer.

use std::time::Instant;

use cusax_event::moderation::{Action, ActionResult};
use cusax_event::{Identity, LegId};
use cusax_mixer::{Command, ConferenceId};
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::{Affiliation, Occupant, Role};

use super::Conferences;
use crate::decision::Decision;
use crate::output::Output;
use crate::{Restriction, policy};

impl Conferences {
    /// Whether somebody is muted until a moderator grants voice.
    pub(super) fn is_muted(&self, id: ConferenceId, jid: &BareJid) -> bool {
        self.conferences.get(&id).is_some_and(|conference| self.restrictions.is_muted(conference.room(), jid))
    }

    /// The most restricted role of somebody in the room, where what the focus asked for is done.
    pub(super) fn role(&self, id: ConferenceId, jid: &BareJid) -> Option<Role> {
        self.conferences.get(&id).and_then(|conference| conference.mirror.role(jid))
    }

    /// Whether somebody is silent who was never in the room, because it gives newcomers no voice.
    pub(super) fn listens_by_default(&self, id: ConferenceId, jid: &BareJid) -> bool {
        let Some(conference) = self.conferences.get(&id) else { return false };
        let newcomers_listen = conference.mirror.configuration().is_some_and(|room| room.newcomers_listen);
        let member = conference.mirror.standing(jid).affiliation >= Affiliation::Member;
        newcomers_listen && !member && self.silences_visitors(id)
    }

    /// Keeps somebody muted who is a visitor where visitors are silent: until a moderator grants him voice, whatever he
    /// does.
    pub(super) fn stick(&mut self, id: ConferenceId, jid: &BareJid, now: Instant) {
        let Some(room) = self.conferences.get(&id).map(|conference| conference.room().clone()) else { return };
        if self.silences_visitors(id) && self.restrict(&room, jid, Restriction::Mute) {
            self.hold_muted(id, jid, now);
        }
    }

    pub(super) fn silences_visitors(&self, id: ConferenceId) -> bool {
        self.conferences.get(&id).is_some_and(|conference| {
            let everywhere = conference.domain.mute_visitors_in_unmoderated_rooms;
            policy::silences_visitors(conference.mirror.configuration(), everywhere)
        })
    }

    /// The legs of somebody, or of everybody, that do not end already.
    pub(super) fn legs_of(&self, id: ConferenceId, who: impl Fn(&BareJid) -> bool) -> Vec<LegId> {
        let legs = self.conferences.get(&id).into_iter().flat_map(|conference| &conference.legs);
        let legs = legs.filter_map(|leg| self.legs.get(leg));
        legs.filter(|leg| !leg.is_leaving() && who(&leg.participant.jid)).map(|leg| leg.id).collect()
    }

    /// A moderator revoked somebody's voice: that sticks to the person, in all his occupants.
    pub(super) fn voice_revoked(&mut self, id: ConferenceId, occupant: &Occupant, decision: &Decision, now: Instant) {
        let Some(jid) = occupant.bare().filter(|_| self.silences_visitors(id)) else {
            return self.tell_nothing_done(id, Some(occupant_of(self, id, occupant)), decision.clone());
        };
        let Some(room) = self.conferences.get(&id).map(|conference| conference.room().clone()) else { return };
        let fresh = self.restrict(&room, &jid, Restriction::Mute);
        let mut affected = 0;
        for leg in self.legs_of(id, |of| *of == jid) {
            affected += usize::from(self.set_muted(leg, true, decision));
        }
        if affected == 0 && fresh {
            self.tell_nothing_done(id, Some(Identity::jid(jid.as_str())), decision.clone());
        }
        self.hold_muted(id, &jid, now);
    }

    /// A moderator granted somebody voice: he has it in all his occupants.
    pub(super) fn voice_granted(&mut self, id: ConferenceId, occupant: &Occupant, decision: &Decision, now: Instant) {
        let Some(jid) = occupant.bare() else {
            return self.tell_nothing_done(id, Some(occupant_of(self, id, occupant)), decision.clone());
        };
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        let room = conference.room().clone();
        let stuck = self.restrictions.is_muted(&room, &jid);
        if stuck {
            // Those that we, or he by entering once more, made visitors.
            for other in conference.mirror.occupants_of(&jid) {
                if other.role == Role::Visitor {
                    conference.mirror.set_role(&other.nick, Role::Participant, GRANTED, now);
                }
            }
            self.lift(&room, &jid, Restriction::Mute);
        }
        let mut affected = 0;
        for leg in self.legs_of(id, |of| *of == jid) {
            let muted = !stuck && self.is_silent(id, leg);
            affected += usize::from(self.set_muted(leg, muted, decision));
        }
        if affected == 0 {
            self.tell_nothing_done(id, Some(Identity::jid(jid.as_str())), decision.clone());
        }
    }

    /// Has the room take the voice of somebody who is muted from those of his occupants that have one.
    pub(super) fn hold_muted(&mut self, id: ConferenceId, jid: &BareJid, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        for occupant in conference.mirror.occupants_of(jid) {
            if occupant.role == Role::Participant {
                conference.mirror.set_role(&occupant.nick, Role::Visitor, REVOKED, now);
            }
        }
    }

    /// Applies to the legs of an occupant what the room says now.
    pub(super) fn revoice_occupant(
        &mut self,
        id: ConferenceId,
        occupant: &Occupant,
        decision: &Decision,
        now: Instant,
    ) {
        if let Some(jid) = occupant.bare() {
            self.revoice(id, |of| *of == jid, decision, now);
        }
    }

    /// Applies to the legs of somebody, or of everybody, what the room says now.
    pub(super) fn revoice(
        &mut self,
        id: ConferenceId,
        who: impl Fn(&BareJid) -> bool,
        decision: &Decision,
        now: Instant,
    ) {
        for leg in self.legs_of(id, who) {
            let muted = self.is_silent(id, leg);
            let action = if muted { Action::Mute } else { Action::Unmute };
            self.set_muted(leg, muted, &decision.to(action));
            self.settle_voice(id, leg, now);
        }
    }

    /// Notes why a leg is silent, or is not: as a visitor in the room, which sticks, or by what newcomers are.
    pub(super) fn settle_voice(&mut self, id: ConferenceId, leg: LegId, now: Instant) {
        let Some(jid) = self.legs.get(&leg).map(|leg| leg.participant.jid.clone()) else { return };
        let role = self.role(id, &jid);
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.by_default &= leg.muted && role.is_none();
        }
        if role == Some(Role::Visitor) {
            self.stick(id, &jid, now);
        }
    }

    fn is_silent(&self, id: ConferenceId, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| {
            let jid = &leg.participant.jid;
            let absent = if leg.by_default { self.listens_by_default(id, jid) } else { leg.muted };
            policy::is_silent(self.is_muted(id, jid), self.role(id, jid), self.silences_visitors(id), absent)
        })
    }

    /// Mutes or unmutes a leg; false where it is so already.
    fn set_muted(&mut self, id: LegId, muted: bool, decision: &Decision) -> bool {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.muted != muted) else { return false };
        leg.muted = muted;
        if leg.is_mixed() {
            let (cause, overdue) = self.unconfirmed.add(id, decision.clone());
            self.outputs.push_back(Output::Mixer(Command::SetMuted { leg: id, muted, cause }));
            if let Some(overdue) = overdue {
                self.tell_decision(id, overdue, ActionResult::Failed, None);
            }
        } else {
            // It joins the mixer like that.
            self.tell_decision(id, decision.clone(), ActionResult::Applied, None);
        }
        true
    }

    /// The mixer produced the first tick in which a decision shows.
    pub(super) fn confirmed(&mut self, leg: LegId, cause: u64, at: Instant) {
        if let Some(decision) = self.unconfirmed.take(leg, cause) {
            self.tell_decision(leg, decision, ActionResult::Applied, Some(at));
        }
    }

    /// Tells of a decision about somebody whom it changes nothing for in the call.
    pub(super) fn tell_nothing_done(&mut self, id: ConferenceId, who: Option<Identity>, decision: Decision) {
        let Some(conference) = self.conferences.get(&id) else { return };
        let correlation = conference.correlation(who);
        self.tell(decision.event(ActionResult::Noop, None, correlation));
    }
}

/// Who an occupant is: his bare JID or, where the room hides it, his occupant JID.
pub(super) fn occupant_of(conferences: &Conferences, id: ConferenceId, occupant: &Occupant) -> Identity {
    let room = conferences.conferences.get(&id).map_or("", |conference| conference.room().as_str());
    match occupant.bare() {
        Some(bare) => Identity::jid(bare.as_str()),
        None => Identity::jid(format!("{room}/{}", occupant.nick)),
    }
}

/// The reasons that the room shows for what the focus asks.
const REVOKED: &str = "A moderator revoked this user's voice";
const GRANTED: &str = "A moderator granted this user voice";
