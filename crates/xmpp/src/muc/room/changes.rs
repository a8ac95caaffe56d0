//! What presence and messages of a room change.

use std::time::Instant;

use cusax_event::xmpp::DropReason;

use super::{Room, State};
use crate::form::Form;
use crate::muc::{Affiliation, Cause, Departure, Failure, Occupant, Role, RoomEvent, UserInfo};
use crate::{Element, Jid, ns};

/// The configuration changed, or who sees real JIDs, or logging (XEP-0045 §15.6.2).
const CONFIGURATION_CHANGED: [u16; 6] = [104, 170, 171, 172, 173, 174];

impl Room {
    pub(super) fn presence(&mut self, presence: &Element, from: &Jid, now: Instant) {
        // ejabberd also sends capabilities, and its own unavailability, from the bare room.
        let Some(nick) = from.resource() else { return };
        let info = UserInfo::of(presence);
        self.count_nameless(info.as_ref());
        match (presence.attr("type"), info) {
            (None, Some(info)) if info.has(110) || self.is_self(&info) => self.present_self(nick, &info),
            (None, Some(info)) => self.present(Occupant::read(nick, presence, &info), &info, now),
            (Some("unavailable"), info) if nick == self.nick => self.absent_self(&info.unwrap_or_default(), now),
            (Some("unavailable"), Some(info)) if info.is_hidden() => self.hidden(nick, presence, &info, now),
            (Some("unavailable"), info) => self.gone(nick, &info.unwrap_or_default(), now),
            (Some("error"), _) if nick == self.nick => self.refused(presence, now),
            _ => self.drop(DropReason::Unhandled, "presence that is not of an occupant"),
        }
    }

    fn count_nameless(&mut self, info: Option<&UserInfo>) {
        if info.is_some_and(|info| info.nameless) {
            self.drop(DropReason::Malformed, "somebody in the room is named by what is no JID");
        }
    }

    fn is_self(&self, info: &UserInfo) -> bool {
        info.items.iter().any(|item| item.jid.as_ref() == Some(&self.config.focus))
    }

    fn present_self(&mut self, nick: &str, info: &UserInfo) {
        nick.clone_into(&mut self.nick);
        if let State::Entering(entry) = &self.state
            && entry.is_entering()
        {
            self.entered(info.has(201));
        }
    }

    pub(super) fn present(&mut self, occupant: Occupant, info: &UserInfo, now: Instant) {
        let known = self.occupants.get(&occupant.nick).is_some();
        if !known && self.occupants.len() >= self.config.limits.occupants {
            return self.drop(DropReason::TooLarge, "more occupants than allowed");
        }
        let cause = Cause::of(info, now);
        let (bare, affiliation) = (occupant.bare(), occupant.affiliation);
        match self.occupants.put(occupant.clone(), self.sweep) {
            None if cause.actor.is_some() && occupant.role > Role::Visitor && self.hides_visitors() => {
                // He was there unseen, until a moderator granted him voice.
                let before = Occupant { role: Role::Visitor, ..occupant.clone() };
                self.change(RoomEvent::OccupantJoined(before));
                self.change(RoomEvent::RoleChanged { occupant, from: Role::Visitor, cause: cause.clone() });
            }
            None => self.change(RoomEvent::OccupantJoined(occupant)),
            Some(before) if before.bare().is_some() && bare.is_some() && before.bare() != bare => {
                // Somebody else has this nick now, and nobody told when the first one went.
                let cause = Cause::unknown(now);
                self.change(RoomEvent::OccupantLeft { occupant: before, departure: Departure::Unseen, cause });
                self.change(RoomEvent::OccupantJoined(occupant));
            }
            Some(before) if before.role != occupant.role => {
                self.change(RoomEvent::RoleChanged { occupant, from: before.role, cause: cause.clone() });
            }
            Some(_) => {}
        }
        if let Some(bare) = bare {
            self.affiliated(&bare, affiliation, cause);
        }
    }

    fn hides_visitors(&self) -> bool {
        self.facts.hidden_roles.contains(&Role::Visitor)
    }

    /// COMPAT(Prosody): somebody has a role now whose occupants the room shows to nobody (`presencebroadcast`); to all
    /// others that looks as if he had gone.
    fn hidden(&mut self, nick: &str, presence: &Element, info: &UserInfo, now: Instant) {
        let mut occupant = Occupant::read(nick, presence, info);
        if let Some(known) = self.occupants.get(nick).filter(|_| occupant.sessions.is_empty()) {
            occupant.sessions.clone_from(&known.sessions);
        }
        self.present(occupant, info, now);
    }

    fn gone(&mut self, nick: &str, info: &UserInfo, now: Instant) {
        if let Some(new) = info.items.iter().find_map(|item| item.nick.as_deref()).filter(|_| info.has(303)) {
            return self.renamed(nick, new);
        }
        let cause = Cause::of(info, now);
        if let Some(occupant) = self.occupants.remove(nick) {
            let departure = Departure::of(info);
            self.change(RoomEvent::OccupantLeft { occupant, departure, cause: cause.clone() });
        }
        self.told(info, &cause);
        if info.has(301) {
            // Whether he is banned, or his domain, only the list tells.
            self.reconcile(now);
        }
    }

    fn renamed(&mut self, nick: &str, new: &str) {
        if let Some(mut occupant) = self.occupants.remove(nick) {
            new.clone_into(&mut occupant.nick);
            self.occupants.put(occupant.clone(), self.sweep);
            self.change(RoomEvent::NickChanged { occupant, from: nick.to_owned() });
        }
    }

    /// Applies what is said about users' affiliations.
    fn told(&mut self, info: &UserInfo, cause: &Cause) {
        for item in &info.items {
            if let (Some(jid), Some(affiliation)) = (&item.jid, item.affiliation) {
                self.affiliated(&jid.bare(), affiliation, cause.clone());
            }
        }
    }

    fn affiliated(&mut self, jid: &crate::BareJid, to: Affiliation, cause: Cause) {
        if *jid == self.config.focus.bare() {
            return;
        }
        if self.affiliations.len() >= self.config.limits.affiliations && self.affiliations.of(jid) == Affiliation::None
        {
            return self.drop(DropReason::TooLarge, "more affiliations than allowed");
        }
        if let Some(from) = self.affiliations.set(jid, to) {
            self.change(RoomEvent::AffiliationChanged { jid: jid.clone(), from, to, cause });
        }
    }

    fn absent_self(&mut self, info: &UserInfo, now: Instant) {
        if let Some(destroy) = &info.destroy {
            // A presence of ours that is on its way makes the room anew: undo that.
            if let (State::Entering(entry), Some(place)) = (&self.state, self.place())
                && entry.is_entering()
            {
                self.send(crate::muc::leave(&place));
            }
            self.end();
            return self.tell(RoomEvent::Destroyed(destroy.clone()));
        }
        if let Some(new) = info.items.iter().find_map(|item| item.nick.as_deref()).filter(|_| info.has(303)) {
            new.clone_into(&mut self.nick);
            return;
        }
        let was_in = match &self.state {
            State::Live(_) => true,
            // Before the room took us in, this is the end of an earlier stay.
            State::Entering(entry) => entry.is_in(),
            State::Blind(_) | State::Offline | State::Over => false,
        };
        if !was_in {
            return;
        }
        self.placed = false;
        if !self.ready {
            return self.fail(Failure::Refused, None, now);
        }
        // Not our decision, and no reason to hang up calls (a shutdown, an error, a kick of the focus): come back.
        self.state = State::Blind(self.again(now));
        self.tell(RoomEvent::LinkLost);
    }

    pub(super) fn message(&mut self, message: &Element, from: &Jid, now: Instant) {
        if message.attr("type") == Some("error") {
            return;
        }
        let subject = message.child(ns::CLIENT, "subject").filter(|_| message.child(ns::CLIENT, "body").is_none());
        if let Some(subject) = subject.filter(|_| message.attr("type") == Some("groupchat")) {
            self.subject_is(&subject.text(), from.resource());
        }
        if from.resource().is_some() {
            return;
        }
        if let Some(info) = UserInfo::of(message) {
            self.count_nameless(Some(&info));
            self.told(&info, &Cause::of(&info, now));
            if CONFIGURATION_CHANGED.iter().any(|code| info.has(*code)) {
                self.reconcile(now);
            }
        }
        if let Some(form) = Form::of(message, ns::MUC_REQUEST).filter(|_| self.ready) {
            let nick = form.value("muc#roomnick").unwrap_or_default().into_owned();
            let jid = form.value("muc#jid").and_then(|jid| jid.parse().ok());
            self.tell(RoomEvent::VoiceRequested { nick, jid });
        }
    }

    fn subject_is(&mut self, subject: &str, nick: Option<&str>) {
        if self.subject != subject {
            subject.clone_into(&mut self.subject);
            if self.ready {
                self.tell(RoomEvent::SubjectChanged { subject: subject.to_owned(), nick: nick.map(str::to_owned) });
            }
        }
    }
}
