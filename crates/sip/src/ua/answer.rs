//! What the user answers to requests (RFC 3261 §8.2.6, §13.3.1).

use std::time::Instant;

use super::call::{State, Unacked};
use super::draft::{Body, Headers, borrowed, finish};
use super::{Alarm, CallHandle, EndReason, RequestHandle, UserAgent};
use crate::method::Method;
use crate::name::Name;
use crate::transaction::{T1, T2, T64};
use crate::{Compose, Message};

impl UserAgent {
    /// Sends a provisional response (101 to 199) to an INVITE; reliably where the caller requires that (RFC 3262).
    pub fn progress(
        &mut self,
        call: CallHandle,
        status: u16,
        contact: &str,
        headers: Headers<'_>,
        body: Option<&Body>,
        now: Instant,
    ) {
        let Some(known) = self.calls.get_mut(call.0) else { return };
        contact.clone_into(&mut known.contact);
        let Some((server, invite)) = known.invite.clone() else { return };
        let compose = add(self.establish(call.0, &invite, status), headers);
        if invite.has_option(Name::Require, "100rel") {
            self.progress_reliably(call.0, status, compose, body, now);
        } else {
            self.layer.respond(server, status, finish(compose, body), now);
        }
        self.settle(now);
    }

    /// Answers a call with 200 and repeats that until the ACK comes; without one in 64·T1, the call ends by BYE.
    pub fn accept(&mut self, call: CallHandle, contact: &str, headers: Headers<'_>, body: Option<&Body>, now: Instant) {
        let Some(known) = self.calls.get_mut(call.0) else { return };
        let Some((server, invite)) = known.invite.take() else { return };
        contact.clone_into(&mut known.contact);
        known.state = State::Established;
        known.reliable = None;
        let response = add(self.establish(call.0, &invite, 200), headers);
        self.answer_invite(call.0, server, &invite, response, body, now);
    }

    /// Refuses a call.
    pub fn reject(&mut self, call: CallHandle, status: u16, headers: Headers<'_>, now: Instant) {
        if self.refuse(call.0, status, headers, now) {
            self.end(call.0, EndReason::HungUp, None, now);
        }
        self.settle(now);
    }

    /// Takes the offer of a re-INVITE or UPDATE.
    pub fn answer_offer(&mut self, call: CallHandle, headers: Headers<'_>, body: Option<&Body>, now: Instant) {
        let Some(known) = self.calls.get_mut(call.0) else { return };
        let Some((server, request)) = known.offer.take() else { return };
        let contact = known.contact.clone();
        let response = add(self.compose_for(call.0, &request, 200).header("Contact", &contact), headers);
        if request.method() == Method::Invite {
            self.answer_invite(call.0, server, &request, response, body, now);
        } else {
            self.layer.respond(server, 200, finish(response, body), now);
            self.settle(now);
        }
    }

    /// Refuses the offer of a re-INVITE or UPDATE; the call goes on as it was.
    pub fn reject_offer(&mut self, call: CallHandle, status: u16, headers: Headers<'_>, now: Instant) {
        self.refuse_offer(call.0, status, headers, now);
        self.settle(now);
    }

    /// Answers any other request; a provisional status leaves it open.
    pub fn answer(
        &mut self,
        request: RequestHandle,
        status: u16,
        headers: Headers<'_>,
        body: Option<&Body>,
        now: Instant,
    ) {
        let Some(asked) = self.asked.get(request.0) else { return };
        let response = match asked.call.filter(|call| self.calls.get(*call).is_some()) {
            Some(call) => self.compose_for(call, &asked.message, status),
            None => self.compose(&asked.message, status, &asked.tag),
        };
        let server = asked.server;
        if status >= 200 {
            self.asked.remove(request.0);
        }
        self.layer.respond(server, status, finish(add(response, headers), body), now);
        self.settle(now);
    }

    /// A response to INVITE that makes a dialog (§12.1.1).
    fn establish(&self, key: u64, invite: &Message, status: u16) -> Compose {
        let mut response = self.compose_for(key, invite, status).copy(invite, Name::RecordRoute);
        if let Some(call) = self.calls.get(key) {
            response = response.header("Contact", &call.contact);
        }
        response = response.header("Allow", &self.allow());
        if self.config.supported.is_empty() {
            response
        } else {
            response.header("Supported", &self.config.supported.join(", "))
        }
    }

    fn answer_invite(
        &mut self,
        key: u64,
        server: crate::transaction::ServerId,
        request: &Message,
        response: Compose,
        body: Option<&Body>,
        now: Instant,
    ) {
        let bytes = finish(response, body);
        let cseq = request.cseq().map_or(0, |(number, _)| number);
        self.layer.respond(server, 200, bytes.clone(), now);
        if let Some(call) = self.calls.get_mut(key) {
            call.unacked = Some(Unacked { cseq, server, bytes, interval: T1 });
        }
        self.timers.arm(T1, Alarm::Resend(key, cseq), now);
        self.timers.arm(T64, Alarm::Unacknowledged(key, cseq), now);
        self.settle(now);
    }

    /// §13.3.1.4: over any transport, for hops behind may be unreliable.
    pub(super) fn resend_answer(&mut self, key: u64, cseq: u32, now: Instant) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(unacked) = call.unacked.as_mut().filter(|unacked| unacked.cseq == cseq) else { return };
        unacked.interval = (unacked.interval * 2).min(T2);
        let (server, bytes, interval) = (unacked.server, unacked.bytes.clone(), unacked.interval);
        self.layer.respond(server, 200, bytes, now);
        self.timers.arm(interval, Alarm::Resend(key, cseq), now);
    }

    pub(super) fn unacknowledged(&mut self, key: u64, cseq: u32, now: Instant) {
        let waits = |call: &&mut super::Call| call.unacked.as_ref().is_some_and(|unacked| unacked.cseq == cseq);
        let Some(call) = self.calls.get_mut(key).filter(waits) else { return };
        // Where the user hung up meanwhile, this is the BYE that waited.
        let headers = call.hang_up.take().unwrap_or_default();
        self.end_with_bye(key, EndReason::Unacknowledged, &borrowed(&headers), None, now);
    }

    /// Sends a final response other than 2xx to a call's INVITE.
    pub(super) fn refuse(&mut self, key: u64, status: u16, headers: Headers<'_>, now: Instant) -> bool {
        let Some((server, invite)) = self.calls.get_mut(key).and_then(|call| call.invite.take()) else { return false };
        self.refuse_inside(key, server, &invite, status.clamp(300, 699), headers, now);
        true
    }

    pub(super) fn refuse_offer(&mut self, key: u64, status: u16, headers: Headers<'_>, now: Instant) {
        let Some((server, offer)) = self.calls.get_mut(key).and_then(|call| call.offer.take()) else { return };
        self.refuse_inside(key, server, &offer, status.clamp(300, 699), headers, now);
    }
}

pub(super) fn add(mut compose: Compose, headers: Headers<'_>) -> Compose {
    for (name, value) in headers {
        compose = compose.header(name, value);
    }
    compose
}
