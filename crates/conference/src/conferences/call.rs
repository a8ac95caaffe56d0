//! What happens in a call: answers to our offers, re-offers, and its end.

use std::time::Instant;

use cusax_event::Event;
use cusax_event::LegId;
use cusax_event::media::{Conference as ConferenceEvent, Leg as LegEvent, LegState};
use cusax_event::moderation::ActionResult;
use cusax_mixer::{AddLeg, Command, UpdateLeg};
use cusax_sip::ua::{CallHandle, EndReason};
use cusax_sip::value::quote;
use cusax_sip::{Message, Method};

use super::{Conferences, Place};
use crate::caller::signalling;
use crate::decision::Decision;
use crate::leg::{Leg, Stage};
use crate::media::{Agreed, described};
use crate::output::Output;
use crate::refusal::Refusal;

impl Conferences {
    /// The ACK to a 2xx; its body answers our offer, where the 2xx had one.
    pub(super) fn acked(&mut self, call: CallHandle, ack: &Message, now: Instant) {
        let Some(Place::In(id)) = self.calls.get(&call) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Stage::Offering { mixed } = leg.stage else { return };
        let agreed = match described(ack) {
            Ok(Some(answer)) => {
                let agreed = self.media.agree(leg.id, &leg.ours, leg.seat.port, &answer, leg.signalling, now);
                leg.theirs = Some(answer);
                agreed
            }
            Ok(None) if mixed => {
                leg.stage = Stage::Mixed;
                return;
            }
            Ok(None) => Err(Refusal::NotSdp),
            Err(refusal) => Err(refusal),
        };
        let id = leg.id;
        match agreed {
            Ok(agreed) => self.mix(id, agreed),
            Err(refusal) => self.hang_up(id, refusal.status(), "No session was agreed", now),
        }
    }

    /// Puts a leg into the mixer, or tells the mixer what was agreed anew.
    pub(super) fn mix(&mut self, id: LegId, agreed: Agreed) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let mixed = leg.is_mixed();
        leg.stage = Stage::Mixed;
        leg.seat = agreed.seat;
        leg.codec = Some(agreed.stream.codec);
        let Agreed { seat, stream } = agreed;
        let Leg { conference, signalling, muted, ssrc, .. } = *leg;
        while let Some(leg) = self.media.poll_displaced() {
            self.outputs.push_back(Output::Mixer(Command::StopWaiting { leg }));
        }
        if mixed {
            let update = UpdateLeg { leg: id, seat, signalling, stream };
            return self.outputs.push_back(Output::Mixer(Command::UpdateLeg(update)));
        }
        let add = AddLeg { leg: id, conference, seat, signalling, stream, muted, ssrc };
        self.outputs.push_back(Output::Mixer(Command::AddLeg(add)));
        let Some(conference) = self.conferences.get_mut(&conference) else { return };
        if !std::mem::replace(&mut conference.active, true) {
            let correlation = conference.correlation(None);
            self.outputs.push_back(Output::Event(Event::Conference(ConferenceEvent { active: true, correlation })));
        }
        self.tell_leg(id, LegState::Joined);
    }

    /// A re-INVITE or UPDATE: hold, resume, another address or codec.
    pub(super) fn reoffered(&mut self, call: CallHandle, request: &Message, now: Instant) {
        let Some(Place::In(id)) = self.calls.get(&call) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (id, seat) = (leg.id, leg.seat);
        match (leg.stage, described(request)) {
            (Stage::Leaving, _) => self.agent.reject_offer(call, 481, &[], now),
            // Our own offer has no answer yet (RFC 3311 §5.2).
            (Stage::Offering { .. }, _) => self.agent.reject_offer(call, 491, &[], now),
            (Stage::Mixed, Err(refusal)) => self.refuse_offer(call, refusal, now),
            (Stage::Mixed, Ok(None)) if request.method() != Method::Invite => {
                self.agent.answer_offer(call, &[], None, now);
            }
            (Stage::Mixed, Ok(None)) => {
                // The answer in the ACK is judged by where this came from, or a phone in another network is a stranger.
                leg.signalling = signalling(request, leg.signalling.source);
                let theirs = leg.theirs.as_ref();
                match self.media.offer(id, &mut leg.ours, theirs, Some(seat), leg.signalling, now) {
                    Ok((_, body)) => {
                        leg.stage = Stage::Offering { mixed: true };
                        self.agent.answer_offer(call, &[], Some(&body), now);
                    }
                    Err(refusal) => self.refuse_offer(call, refusal, now),
                }
            }
            (Stage::Mixed, Ok(Some(offer))) => {
                let from = signalling(request, leg.signalling.source);
                match self.media.answer(id, &mut leg.ours, &offer, from, now) {
                    Ok((agreed, body)) => {
                        (leg.theirs, leg.signalling) = (Some(offer), from);
                        self.mix(id, agreed);
                        self.agent.answer_offer(call, &[], Some(&body), now);
                    }
                    Err(refusal) => self.refuse_offer(call, refusal, now),
                }
            }
        }
    }

    fn refuse_offer(&mut self, call: CallHandle, refusal: Refusal, now: Instant) {
        let headers = refusal.headers(&self.config.domain);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.agent.reject_offer(call, refusal.status(), &headers, now);
    }

    /// A call is no more.
    pub(super) fn ended(&mut self, call: CallHandle, reason: EndReason, now: Instant) {
        match self.calls.remove(&call) {
            Some(Place::Arriving(arrival)) => {
                if let Some(conference) = self.conferences.get_mut(&arrival.conference) {
                    conference.arrivals.remove(&call);
                }
                self.rearm(arrival.conference, now);
            }
            Some(Place::In(id)) => self.left(id, reason, now),
            None => {}
        }
    }

    fn left(&mut self, id: LegId, reason: EndReason, now: Instant) {
        self.unmix(id);
        let Some(decision) = self.legs.get_mut(&id).map(|leg| leg.ended_by.take()) else { return };
        let state = match (&decision, reason) {
            (Some(_), _) => LegState::Booted,
            (None, EndReason::Bye) => LegState::Departed,
            (
                None,
                EndReason::HungUp
                | EndReason::Cancelled
                | EndReason::Unacknowledged
                | EndReason::Unpracked
                | EndReason::Gone
                | EndReason::RangOut,
            ) => LegState::Failed,
        };
        for decision in self.unconfirmed.take_all(id) {
            self.tell_decision(id, decision, ActionResult::Noop, None);
        }
        if let Some(decision) = decision {
            self.tell_decision(id, decision, ActionResult::Applied, Some(now));
        }
        self.tell_leg(id, state);
        let Some(leg) = self.legs.remove(&id) else { return };
        if let Some(conference) = self.conferences.get_mut(&leg.conference) {
            conference.legs.remove(&id);
        }
        self.rearm(leg.conference, now);
    }

    /// Takes a leg out of the mixer, at once.
    fn unmix(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let mixed = leg.is_mixed();
        leg.stage = Stage::Leaving;
        self.media.release(id);
        if mixed {
            self.outputs.push_back(Output::Mixer(Command::RemoveLeg { leg: id }));
        }
    }

    /// Ends a leg by a moderator's decision, which is told when the BYE is sent.
    pub(super) fn boot(&mut self, id: LegId, decision: Decision, cause: u16, text: &str, now: Instant) {
        let text = match &decision.reason {
            // At some length a BYE does not leave any more, and the call would go on.
            Some(reason) => format!("{text}: {}", reason.chars().take(REASON).collect::<String>()),
            None => text.to_owned(),
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.ended_by = Some(decision);
            self.hang_up(id, cause, &text, now);
        }
    }

    /// Ends a leg: silent at once, gone when its BYE may be sent (RFC 3261 §15, RFC 3326).
    pub(super) fn hang_up(&mut self, id: LegId, cause: u16, text: &str, now: Instant) {
        self.unmix(id);
        let Some(leg) = self.legs.get(&id) else { return };
        let reason = format!("SIP;cause={cause};text={}", quote(text));
        self.agent.hang_up(leg.call, &[("Reason", &reason)], now);
    }

    fn tell_leg(&mut self, id: LegId, state: LegState) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(conference) = self.conferences.get(&leg.conference) else { return };
        let correlation = conference.correlation_of(leg);
        let participant = correlation.occupant.clone();
        let (codec, status) = (leg.codec.map(cusax_rtp::Codec::name), leg.gone);
        self.tell(Event::Leg(LegEvent { state, status, participant, codec, correlation }));
    }

    /// Tells what came of a decision for a leg.
    pub(super) fn tell_decision(&mut self, id: LegId, decision: Decision, result: ActionResult, at: Option<Instant>) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(conference) = self.conferences.get(&leg.conference) else { return };
        let correlation = conference.correlation_of(leg);
        self.tell(decision.event(result, at, correlation));
    }
}

/// Characters of a moderator's reason that a BYE carries.
const REASON: usize = 200;
