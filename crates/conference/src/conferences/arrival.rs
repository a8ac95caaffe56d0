//! A call comes in: who calls, is there such a room, may he come in, and on which port (RFC 4579 §5.2).

use std::sync::Arc;
use std::time::Instant;

use cusax_event::media::{Leg as LegEvent, LegState};
use cusax_event::{Correlation, Event, Identity, LegId};
use cusax_mixer::{ConferenceId, Seat, Signalling};
use cusax_rtp::sdp::Session;
use cusax_sip::ua::{Body, CallHandle};
use cusax_sip::{Flow, Message};
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::Affiliation;

use super::{Conferences, Place};
use crate::caller::{self, Caller};
use crate::conference::{self, Conference, Stage};
use crate::config::Domain;
use crate::leg::{Leg, Participant, Stage as LegStage};
use crate::media::{Agreed, Description, described};
use crate::mirror::{Mirror, Names};
use crate::output::{Account, Output, Query};
use crate::policy::{Rules, Situation, is_silent};
use crate::refusal::Refusal;

/// A call that was not answered yet.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) conference: ConferenceId,
    invite: Arc<Message>,
    signalling: Signalling,
    caller: Caller,
    /// Who it is, once the directory was asked.
    participant: Option<Participant>,
}

/// What a new leg and its caller agree on, or will once he answers our offer.
struct Terms {
    seat: Seat,
    ours: Description,
    theirs: Option<Session>,
    agreed: Option<Agreed>,
    body: Body,
}

impl Conferences {
    pub(super) fn invited(&mut self, call: CallHandle, invite: Arc<Message>, flow: &Flow, now: Instant) {
        let found = invite.request_uri().and_then(|uri| self.room_of(&uri));
        let Some((domain, room)) = found else {
            return self.turn_away(call, Refusal::NoRoom, &invite, now);
        };
        let component = self.config.focus.domain();
        let Some(caller) = Caller::of(&invite, &self.config.domain, component) else {
            return self.turn_away(call, Refusal::NoIdentity, &invite, now);
        };
        let conference = match self.open(&domain, &room, now) {
            Ok(conference) => conference,
            Err(refusal) => return self.turn_away(call, refusal, &invite, now),
        };
        let signalling = caller::signalling(&invite, flow.remote.ip());
        let arrival = Arrival { conference, invite, signalling, caller, participant: None };
        self.calls.insert(call, Place::Arriving(Box::new(arrival)));
        if let Some(conference) = self.conferences.get_mut(&conference) {
            conference.arrivals.insert(call);
            self.agent.set_session(call, conference.session);
        }
        self.ask_account(call, now);
        self.follow(conference, now, now);
    }

    /// The conference of a room; the first caller of a room begins one.
    fn open(&mut self, domain: &Arc<Domain>, room: &BareJid, now: Instant) -> Result<ConferenceId, Refusal> {
        if let Some(id) = self.rooms.get(room) {
            return Ok(*id);
        }
        if !self.connected {
            return Err(Refusal::Blind);
        }
        if self.conferences.len() >= CONFERENCES {
            return Err(Refusal::TooMany);
        }
        let id = ConferenceId(self.next_id());
        let names = Names { room: room.clone(), focus: self.config.focus.clone(), nick: self.config.nick.clone() };
        let conference = Conference {
            id,
            name: conference::name(room, domain).into(),
            domain: Arc::clone(domain),
            session: self.seed.uuid(),
            mirror: Mirror::new(names, &mut self.seed, now),
            stage: Stage::Entering,
            legs: std::collections::BTreeSet::new(),
            arrivals: std::collections::BTreeSet::new(),
            active: false,
            mirrored: false,
            rules: Rules::default(),
            reconfigured: None,
            linger: None,
        };
        self.ghosts.forget(room);
        self.conferences.insert(id, conference);
        self.rooms.insert(room.clone(), id);
        Ok(id)
    }

    /// Asks for the account that a caller may have; without one he is who he was asserted to be.
    fn ask_account(&mut self, call: CallHandle, now: Instant) {
        let Some(Place::Arriving(arrival)) = self.calls.get_mut(&call) else { return };
        if let Some(key) = arrival.caller.keys.pop() {
            return self.outputs.push_back(Output::Account { query: Query(call), key });
        }
        arrival.participant = Some(Participant { jid: arrival.caller.jid.clone(), account: None });
        self.admit(call, now);
    }

    pub(super) fn identified(&mut self, call: CallHandle, account: Option<Account>, now: Instant) {
        let Some(Place::Arriving(arrival)) = self.calls.get_mut(&call) else { return };
        let Some(account) = account else { return self.ask_account(call, now) };
        let jid = account.jid.unwrap_or_else(|| arrival.caller.jid.clone());
        arrival.participant = Some(Participant { jid, account: Some(account.id) });
        self.admit(call, now);
    }

    /// Lets in those who waited for the room.
    pub(super) fn admit_all(&mut self, id: ConferenceId, now: Instant) {
        let waiting = self.conferences.get(&id).map(|conference| conference.arrivals.clone()).unwrap_or_default();
        for call in waiting {
            self.admit(call, now);
        }
    }

    /// Refuses those who waited for the room.
    pub(super) fn refuse_all(&mut self, id: ConferenceId, refusal: Refusal, now: Instant) {
        let waiting = self.conferences.get(&id).map(|conference| conference.arrivals.clone()).unwrap_or_default();
        for call in waiting {
            self.refuse(call, refusal, now);
        }
    }

    /// Answers a call, once it is known who calls and who may come in.
    fn admit(&mut self, call: CallHandle, now: Instant) {
        let Some(Place::Arriving(arrival)) = self.calls.get(&call) else { return };
        let Some(participant) = arrival.participant.clone() else { return };
        let Some(conference) = self.conferences.get(&arrival.conference) else { return };
        if conference.stage == Stage::Entering {
            return;
        }
        let callers = conference.legs.iter().filter_map(|leg| self.legs.get(leg));
        let callers = callers.filter(|leg| !leg.is_leaving()).map(|leg| &leg.participant.jid);
        let others = || conference.mirror.people(callers, &participant.jid);
        let admitted = self.situation(conference, &participant.jid).may_enter(others);
        let leg = LegId(self.next_id());
        let terms = admitted.and_then(|()| self.agree(call, leg, now));
        match terms {
            Ok(terms) => self.let_in(call, leg, participant, terms, now),
            Err(refusal) => self.refuse(call, refusal, now),
        }
    }

    /// What is known of somebody in a conference's room.
    pub(super) fn situation<'a>(&self, conference: &'a Conference, jid: &BareJid) -> Situation<'a> {
        let (room, standing) = (conference.room(), conference.mirror.standing(jid));
        // Who is something to the room himself is not banned with his domain, as Prosody and ejabberd have it.
        let with_domain = standing.affiliation <= Affiliation::None;
        let banned = self.restrictions.is_banned(room, jid)
            || with_domain && self.restrictions.is_banned(room, &jid.to_domain());
        Situation { room: conference.mirror.configuration(), standing, banned }
    }

    fn agree(&mut self, call: CallHandle, leg: LegId, now: Instant) -> Result<Terms, Refusal> {
        let Some(Place::Arriving(arrival)) = self.calls.get(&call) else { return Err(Refusal::NotSdp) };
        let mut ours = Description::new(self.seed.next());
        let theirs = described(&arrival.invite)?;
        match theirs {
            Some(theirs) => {
                let (agreed, body) = self.media.answer(leg, &mut ours, &theirs, arrival.signalling, now)?;
                Ok(Terms { seat: agreed.seat, ours, theirs: Some(theirs), agreed: Some(agreed), body })
            }
            None => {
                let (seat, body) = self.media.offer(leg, &mut ours, None, None, arrival.signalling, now)?;
                Ok(Terms { seat, ours, theirs: None, agreed: None, body })
            }
        }
    }

    fn let_in(&mut self, call: CallHandle, id: LegId, participant: Participant, terms: Terms, now: Instant) {
        let Some(Place::Arriving(arrival)) = self.calls.insert(call, Place::In(id)) else { return };
        let Some(conference) = self.conferences.get_mut(&arrival.conference) else { return };
        conference.arrivals.remove(&call);
        conference.legs.insert(id);
        let (conference, contact) = (conference.id, conference.contact());
        let jid = &participant.jid;
        let (sticks, role) = (self.is_muted(conference, jid), self.role(conference, jid));
        let by_default = self.listens_by_default(conference, jid);
        let muted = is_silent(sticks, role, self.silences_visitors(conference), by_default);
        let leg = Leg {
            id,
            conference,
            call,
            participant,
            call_id: Arc::from(arrival.invite.call_id()),
            remote_session: self.agent.session(call).and_then(|session| session.remote),
            ssrc: self.seed.ssrc(),
            seat: terms.seat,
            signalling: arrival.signalling,
            ours: terms.ours,
            theirs: terms.theirs,
            codec: None,
            stage: LegStage::Offering { mixed: false },
            muted,
            by_default: by_default && !sticks && role.is_none(),
            probe: None,
            gone: None,
            ended_by: None,
        };
        self.legs.insert(id, leg);
        if let Some(agreed) = terms.agreed {
            self.mix(id, agreed);
        }
        self.agent.accept(call, &contact, &[], Some(&terms.body), now);
        self.settle_voice(conference, id, now);
        self.follow(conference, now, now);
    }

    fn refuse(&mut self, call: CallHandle, refusal: Refusal, now: Instant) {
        let Some(Place::Arriving(arrival)) = self.calls.remove(&call) else { return };
        let Some(conference) = self.conferences.get_mut(&arrival.conference) else { return };
        conference.arrivals.remove(&call);
        let participant = arrival.participant.as_ref();
        let jid = participant.map_or(&arrival.caller.jid, |participant| &participant.jid);
        let correlation = Correlation {
            account: participant.and_then(|participant| participant.account),
            ..conference.correlation(Some(Identity::jid(jid.as_str())))
        };
        self.reject(call, refusal, &arrival.invite, correlation, now);
        self.rearm(arrival.conference, now);
    }

    /// Refuses a call that found no conference.
    fn turn_away(&mut self, call: CallHandle, refusal: Refusal, invite: &Message, now: Instant) {
        self.reject(call, refusal, invite, Correlation::default(), now);
    }

    fn reject(&mut self, call: CallHandle, refusal: Refusal, invite: &Message, correlation: Correlation, now: Instant) {
        let warns = invite.request_uri().map_or(self.config.domain.as_str(), |uri| uri.host);
        let headers = refusal.headers(warns);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let participant = correlation.occupant.clone();
        let correlation = Correlation {
            call_id: Some(Arc::from(invite.call_id())),
            remote_session: self.agent.session(call).and_then(|session| session.remote),
            ..correlation
        };
        let (state, status) = (LegState::Refused, Some(refusal.status()));
        self.tell(Event::Leg(LegEvent { state, status, participant, codec: None, correlation }));
        self.agent.reject(call, refusal.status(), &headers, now);
    }
}

/// Conferences at a time, each with the view of a room.
const CONFERENCES: usize = 1_000;
