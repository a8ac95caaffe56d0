//! What happens in a room, and what it means for its call.

use std::time::Instant;

use cusax_event::moderation::{Action, ActionResult, Reconcile, ReconcileResult};
use cusax_event::xmpp::RoomMirror;
use cusax_event::{Event, Identity};
use cusax_mixer::ConferenceId;
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::{Affiliation, Cause, Departure, Destroy, Failure, Moderation, Occupant, Role, RoomEvent};

use super::Conferences;
use super::voice::occupant_of;
use crate::Restriction;
use crate::conference::Stage;
use crate::config::Create;
use crate::decision::Decision;
use crate::mirror::Change;
use crate::policy::Rules;
use crate::refusal::Refusal;

impl Conferences {
    pub(super) fn changed(&mut self, id: ConferenceId, change: Change, received: Instant, now: Instant) {
        let Change { event, found, blind, own } = change;
        match event {
            RoomEvent::Ready => self.ready(id, now),
            RoomEvent::Absent => self.absent(id, now),
            RoomEvent::Failed { failure, .. } => self.failed(id, failure, now),
            RoomEvent::Reconciled(result) => {
                self.tell_reconciled(id, result);
                if result != ReconcileResult::Failed {
                    self.settle_bans(id);
                    if blind {
                        self.recall(id, now);
                    }
                    self.configured(id, now);
                }
            }
            RoomEvent::OccupantJoined(occupant) => self.entered(id, &occupant, received, found, now),
            RoomEvent::OccupantLeft { occupant, departure, cause } => {
                self.gone(id, &occupant, departure, &cause, found, now);
                if blind && departure == Departure::Unseen {
                    self.missed(id, &occupant, received);
                }
            }
            // What we asked for is done, and nobody is to be told; but what it means for the call is looked at.
            RoomEvent::RoleChanged { occupant, .. } if own => {
                self.revoice_occupant(id, &occupant, &Decision::bare(Action::Mute, received, found), now);
            }
            RoomEvent::RoleChanged { occupant, from, cause } => {
                self.role_changed(id, &occupant, from, &cause, found, now);
            }
            RoomEvent::NickChanged { occupant, .. } => {
                if let Some(jid) = occupant.bare().filter(|jid| self.is_muted(id, jid)) {
                    self.hold_muted(id, &jid, now);
                }
            }
            RoomEvent::AffiliationChanged { jid, from, to, cause } => {
                self.affiliated(id, &jid, (from, to), &cause, (found, blind), now);
            }
            // The lists that go with it are yet to be read.
            RoomEvent::ConfigChanged(_) => {
                if let Some(conference) = self.conferences.get_mut(&id) {
                    conference.reconfigured.get_or_insert((received, found));
                }
            }
            RoomEvent::Destroyed(destroy) => self.destroyed(id, destroy, received, now),
            RoomEvent::ModerationRefused { moderation, condition } => {
                self.not_obeyed(id, &moderation, condition, received, now);
            }
            // Calls go on without a link; subjects are not of the call.
            RoomEvent::LinkLost | RoomEvent::VoiceRequested { .. } | RoomEvent::SubjectChanged { .. } => {}
        }
    }

    /// The lists are read, the first time or after the room had vanished: what is in the call is brought in step.
    fn ready(&mut self, id: ConferenceId, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        conference.rules = Rules::of(conference.mirror.configuration());
        let again = std::mem::replace(&mut conference.stage, Stage::Open) == Stage::Open;
        if !std::mem::replace(&mut conference.mirrored, true) {
            let room = Identity::room(conference.room().as_str());
            self.tell(Event::Room(RoomMirror { mirrored: true, room, detail: "" }));
        }
        if again {
            self.tell_reconciled(id, ReconcileResult::Repaired);
        }
        self.recall(id, now);
        let decision = Decision::bare(Action::Admission, now, true);
        self.evict(id, |_| true, &decision, now);
        self.revoice(id, |_| true, &decision, now);
        self.admit_all(id, now);
    }

    /// Compares our own copy of restrictions with a room that is looked at anew. The room's list of outcasts is right
    /// where the room remembers it; a temporary room that was made anew has forgotten whom it banned.
    fn recall(&mut self, id: ConferenceId, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        let room = conference.room().clone();
        let persistent = conference.mirror.configuration().is_some_and(|configuration| configuration.persistent);
        let banned: Vec<BareJid> = self.restrictions.of(&room, Restriction::Ban).cloned().collect();
        for jid in banned {
            let Some(conference) = self.conferences.get_mut(&id) else { return };
            if conference.mirror.standing(&jid).affiliation == Affiliation::Outcast {
                continue;
            }
            if persistent {
                self.lift(&room, &jid, Restriction::Ban);
            } else {
                conference.mirror.ban(&jid, BANNED, now);
            }
        }
        let muted: Vec<BareJid> = self.restrictions.of(&room, Restriction::Mute).cloned().collect();
        for jid in muted {
            if self.role(id, &jid) == Some(Role::Moderator) {
                self.lift(&room, &jid, Restriction::Mute);
            } else {
                self.hold_muted(id, &jid, now);
            }
        }
    }

    /// There is no such room. One that was there may come back with its server: what is known of it goes on.
    fn absent(&mut self, id: ConferenceId, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        match (conference.stage, conference.domain.create) {
            (Stage::Entering, Create::WithRoom) => {
                self.refuse_all(id, Refusal::NoRoom, now);
                self.close(id, "there is no such room", now);
            }
            (Stage::Entering, Create::Always) => {
                conference.stage = Stage::Open;
                conference.mirror.lose(now);
                self.admit_all(id, now);
            }
            (Stage::Open | Stage::Over, _) => conference.mirror.lose(now),
        }
    }

    fn failed(&mut self, id: ConferenceId, failure: Failure, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        if conference.stage == Stage::Entering {
            self.refuse_all(id, Refusal::Room(failure), now);
            self.close(id, failure.as_str(), now);
        } else {
            conference.mirror.lose(now);
        }
    }

    fn tell_reconciled(&mut self, id: ConferenceId, result: ReconcileResult) {
        let Some(conference) = self.conferences.get(&id) else { return };
        let room = Identity::room(conference.room().as_str());
        self.tell(Event::Reconcile(Reconcile { result, room }));
    }

    /// Somebody entered the room: a mute that sticks to him is set again.
    fn entered(&mut self, id: ConferenceId, occupant: &Occupant, received: Instant, found: bool, now: Instant) {
        let Some(jid) = occupant.bare() else { return };
        if self.is_muted(id, &jid) {
            match occupant.role {
                Role::None | Role::Visitor => return,
                Role::Participant => return self.hold_muted(id, &jid, now),
                // Only admins enter as moderators, and nobody but an admin can have made him one.
                Role::Moderator => {}
            }
            let room = self.conferences.get(&id).map(|conference| conference.room().clone());
            room.iter().for_each(|room| {
                self.lift(room, &jid, Restriction::Mute);
            });
        }
        self.revoice(id, |of| *of == jid, &Decision::bare(Action::Mute, received, found), now);
    }

    fn gone(
        &mut self,
        id: ConferenceId,
        occupant: &Occupant,
        departure: Departure,
        cause: &Cause,
        found: bool,
        now: Instant,
    ) {
        if let Some(jid) = occupant.bare().filter(|_| occupant.role == Role::Visitor) {
            // To leave gives nobody a voice, also not who calls later.
            self.stick(id, &jid, now);
        }
        match (departure, occupant.bare()) {
            (Departure::Kicked, Some(jid)) => {
                let decision = self.decision(id, Action::Kick, cause, found);
                let legs = self.legs_of(id, |of| *of == jid);
                if legs.is_empty() {
                    return self.tell_nothing_done(id, Some(Identity::jid(jid.as_str())), decision);
                }
                for leg in legs {
                    self.boot(leg, decision.clone(), 403, "Kicked", now);
                }
            }
            (Departure::Banned, Some(jid)) => self.banned(id, &jid, cause, found, now),
            (Departure::Kicked | Departure::Banned, None) => {
                let action = if departure == Departure::Kicked { Action::Kick } else { Action::Ban };
                let decision = self.decision(id, action, cause, found);
                self.tell_nothing_done(id, Some(occupant_of(self, id, occupant)), decision);
            }
            // Who was evicted, not every server tells: the lists that come with it do. To leave, or to be lost, changes
            // nothing in the call.
            (
                Departure::AffiliationLost
                | Departure::MembersOnly
                | Departure::Left
                | Departure::Shutdown
                | Departure::Unreachable
                | Departure::Unseen,
                _,
            ) => {}
        }
    }

    /// Somebody went while we could not look: a kick cannot be told from a leave, so his legs stay, and that is told.
    fn missed(&mut self, id: ConferenceId, occupant: &Occupant, received: Instant) {
        let Some(jid) = occupant.bare().filter(|jid| self.role(id, jid).is_none()) else { return };
        for leg in self.legs_of(id, |of| *of == jid) {
            let decision = Decision::bare(Action::Kick, received, true);
            self.tell_decision(leg, decision, ActionResult::Unconfirmed, None);
        }
    }

    fn role_changed(
        &mut self,
        id: ConferenceId,
        occupant: &Occupant,
        from: Role,
        cause: &Cause,
        found: bool,
        now: Instant,
    ) {
        match (from, occupant.role) {
            (_, Role::Visitor) => {
                let decision = self.decision(id, Action::Mute, cause, found);
                self.voice_revoked(id, occupant, &decision, now);
            }
            (Role::Visitor | Role::None, Role::Participant | Role::Moderator) => {
                let muted = occupant.bare().filter(|jid| self.is_muted(id, jid));
                match muted.filter(|_| found && occupant.role == Role::Participant) {
                    // While we could not look he left and came back, or was granted voice: nobody can tell, and the mute
                    // holds until somebody grants it where we see it.
                    Some(jid) => self.hold_muted(id, &jid, now),
                    None => {
                        let decision = self.decision(id, Action::Unmute, cause, found);
                        self.voice_granted(id, occupant, &decision, now);
                    }
                }
            }
            (Role::Participant | Role::Moderator, Role::Participant | Role::Moderator) | (_, Role::None) => {}
        }
    }

    fn affiliated(
        &mut self,
        id: ConferenceId,
        jid: &BareJid,
        (from, to): (Affiliation, Affiliation),
        cause: &Cause,
        (found, blind): (bool, bool),
        now: Instant,
    ) {
        if to == Affiliation::Outcast {
            return self.banned(id, jid, cause, found, now);
        }
        if from == Affiliation::Outcast {
            self.unbanned(id, jid, cause, (found, blind));
        }
        let decision = self.decision(id, Action::Admission, cause, found);
        self.evict(id, |of| of == jid, &decision, now);
        // A member who was never in the room has the voice there that newcomers may not have.
        self.revoice(id, |of| of == jid, &decision, now);
    }

    fn banned(&mut self, id: ConferenceId, jid: &BareJid, cause: &Cause, found: bool, now: Instant) {
        let Some(room) = self.conferences.get(&id).map(|conference| conference.room().clone()) else { return };
        let fresh = self.restrict(&room, jid, Restriction::Ban);
        let decision = self.decision(id, Action::Ban, cause, found);
        // A domain can be banned as a whole, but for those in it who are something to the room themselves.
        let legs = self.legs_of(id, |of| of == jid || of.to_domain() == *jid && self.is_outcast(id, of));
        if legs.is_empty() && fresh {
            return self.tell_nothing_done(id, Some(Identity::jid(jid.as_str())), decision);
        }
        for leg in legs {
            self.boot(leg, decision.clone(), 403, "Banned", now);
        }
    }

    fn is_outcast(&self, id: ConferenceId, jid: &BareJid) -> bool {
        let conference = self.conferences.get(&id);
        conference.is_some_and(|conference| conference.mirror.standing(jid).affiliation == Affiliation::Outcast)
    }

    /// COMPAT(Prosody): a banned domain is told as bans of those who were there (301). What the list of outcasts has no
    /// entry for is no ban of that person, or he would stay banned when his domain is not any more.
    fn settle_bans(&mut self, id: ConferenceId) {
        let Some(conference) = self.conferences.get(&id) else { return };
        let room = conference.room().clone();
        let mirror = &conference.mirror;
        let by_domain = |jid: &&BareJid| {
            mirror.standing(jid).affiliation == Affiliation::Outcast
                && mirror.own_affiliation(jid) != Affiliation::Outcast
        };
        let banned: Vec<BareJid> = self.restrictions.of(&room, Restriction::Ban).filter(by_domain).cloned().collect();
        for jid in banned {
            self.lift(&room, &jid, Restriction::Ban);
        }
    }

    fn unbanned(&mut self, id: ConferenceId, jid: &BareJid, cause: &Cause, (found, blind): (bool, bool)) {
        let Some(conference) = self.conferences.get(&id) else { return };
        let room = conference.room().clone();
        let persistent = conference.mirror.configuration().is_some_and(|configuration| configuration.persistent);
        if blind && !persistent {
            // Nobody told: a temporary room forgets with its server, and is reminded when all is compared.
            return;
        }
        self.lift(&room, jid, Restriction::Ban);
        let decision = self.decision(id, Action::Unban, cause, found);
        self.tell_nothing_done(id, Some(Identity::jid(jid.as_str())), decision);
    }

    /// Members-only, password, limit or moderation changed, and the lists are read.
    fn configured(&mut self, id: ConferenceId, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        let Some((received, found)) = conference.reconfigured.take() else { return };
        let rules = Rules::of(conference.mirror.configuration());
        let changed = std::mem::replace(&mut conference.rules, rules) != rules;
        let decision = Decision::bare(Action::Admission, received, found);
        let evicted = self.evict(id, |_| true, &decision, now);
        if changed && evicted == 0 {
            self.tell_nothing_done(id, None, decision.clone());
        }
        self.revoice(id, |_| true, &decision, now);
    }

    /// Ends the legs of those among some who may not be in the call any more, and returns how many.
    fn evict(&mut self, id: ConferenceId, who: impl Fn(&BareJid) -> bool, decision: &Decision, now: Instant) -> usize {
        let mut evicted = 0;
        for leg in self.legs_of(id, who) {
            let conference = self.conferences.get(&id);
            let jid = self.legs.get(&leg).map(|leg| &leg.participant.jid);
            let Some((conference, jid)) = conference.zip(jid) else { continue };
            match self.situation(conference, jid).may_stay() {
                Ok(()) => continue,
                Err(Refusal::Banned) => self.boot(leg, decision.to(Action::Ban), 403, "Banned", now),
                Err(_) => self.boot(leg, decision.clone(), 403, "Members only", now),
            }
            evicted += 1;
        }
        evicted
    }

    /// The room is no more, and must not be entered again: that would re-create it.
    fn destroyed(&mut self, id: ConferenceId, destroy: Destroy, received: Instant, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        conference.stage = Stage::Over;
        let room = conference.room().clone();
        self.rooms.remove(&room);
        self.refuse_all(id, Refusal::NoRoom, now);
        let decision = Decision { reason: destroy.reason, ..Decision::bare(Action::End, received, false) };
        let legs = self.legs_of(id, |_| true);
        if legs.is_empty() {
            self.tell_nothing_done(id, None, decision.clone());
        }
        for leg in legs {
            self.boot(leg, decision.clone(), 410, "The room was destroyed", now);
        }
    }

    /// The room did not do what the focus asked.
    fn not_obeyed(
        &mut self,
        id: ConferenceId,
        moderation: &Moderation,
        condition: String,
        received: Instant,
        now: Instant,
    ) {
        let Some(conference) = self.conferences.get(&id) else { return };
        let (action, who) = match moderation {
            Moderation::Role { nick, role } => {
                let action = if *role == Role::Visitor { Action::Mute } else { Action::Unmute };
                (action, Identity::jid(format!("{}/{nick}", conference.room())))
            }
            Moderation::Affiliation { jid, .. } => (Action::Ban, Identity::jid(jid.as_str())),
        };
        let decision = Decision { reason: Some(condition), ..Decision::bare(action, received, true) };
        let correlation = conference.correlation(Some(who));
        let of = match moderation {
            Moderation::Role { nick, .. } => conference.mirror.occupant(nick).cloned(),
            Moderation::Affiliation { .. } => None,
        };
        self.tell(decision.clone().event(ActionResult::Rejected, None, correlation));
        if let Some(occupant) = of {
            // Who was to have a voice, and has none, is a visitor still.
            self.revoice_occupant(id, &occupant, &decision, now);
        }
    }

    fn decision(&self, id: ConferenceId, action: Action, cause: &Cause, found: bool) -> Decision {
        let room = self.conferences.get(&id).map_or("", |conference| conference.room().as_str());
        Decision::of(action, cause, found, room)
    }
}

/// The reason that the room shows for a ban that the focus sets again.
const BANNED: &str = "Banned by a moderator before";
