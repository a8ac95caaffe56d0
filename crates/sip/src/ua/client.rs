//! Calls to others, and what is sent within calls (RFC 3261 §9.1, §13.2, §14.1, §15.1.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::{Call, Early, MAX_EARLY, Offering, State};
use super::draft::{Body, Draft, Headers, borrowed, owned};
use super::request::{Purpose, Sent};
use super::{Alarm, CallHandle, EndReason, Outgoing, Output, SentHandle, UserAgent};
use crate::Message;
use crate::dialog::Dialog;
use crate::method::Method;
use crate::transaction::{ClientId, T64};

impl UserAgent {
    /// Calls somebody; `None` where too much is open.
    pub fn invite(&mut self, outgoing: &Outgoing<'_>, now: Instant) -> Option<CallHandle> {
        if self.calls.is_full() {
            return None;
        }
        let tag = self.tokens.tag();
        let mut call = Call::new(State::Calling, outgoing.flow, tag.clone());
        call.session.local = outgoing.session;
        call.login = outgoing.login.cloned();
        call.contact = outgoing.contact.unwrap_or("").to_owned();
        let mut draft = self.draft(Method::Invite.as_str(), outgoing, &tag);
        draft.headers.extend(call.signed(&[]));
        draft.headers.push(("Allow".to_owned(), self.allow()));
        if !self.config.supported.is_empty() {
            draft.headers.push(("Supported".to_owned(), self.config.supported.join(", ")));
        }
        let login = call.login.clone();
        let key = self.calls.insert(call)?;
        let purpose = Purpose::Invite { call: key, acks: Vec::new() };
        let Some(sent) = self.open(draft, outgoing.flow, login, purpose, now) else {
            self.calls.remove(key);
            return None;
        };
        self.tags.insert(tag, key);
        if let Some(call) = self.calls.get_mut(key) {
            call.pending = Some(sent);
        }
        self.timers.arm(RING, Alarm::RangOut(key), now);
        self.settle(now);
        Some(CallHandle(key))
    }

    /// Ends a call in the way that its state asks for: CANCEL of a call to others that is not answered, 480 to one from
    /// others, BYE afterwards (not before the ACK to our 2xx: RFC 3261 §15). [`Output::Ended`] comes when that was sent
    /// or, for CANCEL, when the INVITE has ended.
    pub fn hang_up(&mut self, call: CallHandle, headers: Headers<'_>, now: Instant) {
        let key = call.0;
        let Some(call) = self.calls.get_mut(key) else { return };
        match call.state {
            State::Calling => self.cancel(key, EndReason::HungUp, headers, now),
            State::Ringing => {
                self.refuse(key, 480, headers, now);
                self.end(key, EndReason::HungUp, None, now);
            }
            State::Established if call.unacked.is_some() => {
                call.hang_up.get_or_insert_with(|| owned(headers));
            }
            State::Established => self.end_with_bye(key, EndReason::HungUp, headers, None, now),
        }
        self.settle(now);
    }

    /// Sends BYE and forgets the call.
    pub(super) fn end_with_bye(
        &mut self,
        key: u64,
        reason: EndReason,
        headers: Headers<'_>,
        message: Option<Arc<Message>>,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let headers = call.signed(headers);
        let (flow, login) = (call.flow, call.login.clone());
        if let Some(dialog) = call.dialog.take() {
            self.bye(dialog, flow, login, &borrowed(&headers), now);
        }
        self.end(key, reason, message, now);
    }

    /// Changes a call by a new offer: hold, resume. False where an offer is open on either side, or the call is not
    /// answered. 491 is tried again (RFC 3261 §14.1).
    pub fn reinvite(&mut self, call: CallHandle, headers: Headers<'_>, body: Option<&Body>, now: Instant) -> bool {
        let begun = self.offer(call.0, headers, body, now);
        if let Some(call) = self.calls.get_mut(call.0).filter(|_| begun) {
            call.retries = 0;
        }
        self.settle(now);
        begun
    }

    fn offer(&mut self, key: u64, headers: Headers<'_>, body: Option<&Body>, now: Instant) -> bool {
        let name = self.config.name.clone();
        let Some(call) = self.calls.get_mut(key).filter(|call| call.may_offer() && call.offering.is_none()) else {
            return false;
        };
        call.offering = Some(Offering { headers: owned(headers), body: body.cloned() });
        let headers = call.signed(headers);
        let (flow, login, contact) = (call.flow, call.login.clone(), call.contact.clone());
        let Some(dialog) = call.dialog.as_mut() else { return false };
        let mut draft = Draft::within(dialog, Method::Invite.as_str(), &borrowed(&headers), body);
        draft.headers.push(("Contact".to_owned(), contact));
        draft.headers.push(("User-Agent".to_owned(), name));
        let purpose = Purpose::Reinvite { call: key, dialog: Box::new(dialog.clone()), ack: None };
        let flow = draft.flow(flow);
        let sent = self.open(draft, flow, login, purpose, now);
        if let Some(call) = self.calls.get_mut(key) {
            call.pending = sent;
            call.offering = call.offering.take().filter(|_| sent.is_some());
        }
        if let Some(sent) = sent {
            self.timers.arm(RING, Alarm::Overdue(sent), now);
        }
        sent.is_some()
    }

    /// Sends another request within a call, such as INFO; its response comes as [`Output::Response`]. `None` where the
    /// call is not answered or too much is open.
    pub fn send_within(
        &mut self,
        call: CallHandle,
        method: &str,
        headers: Headers<'_>,
        body: Option<&Body>,
        now: Instant,
    ) -> Option<SentHandle> {
        let key = call.0;
        let call = self.calls.get_mut(key)?;
        let headers = call.signed(headers);
        let (flow, login) = (call.flow, call.login.clone());
        let draft = Draft::within(call.dialog.as_mut()?, method, &borrowed(&headers), body);
        let flow = draft.flow(flow);
        let sent = self.open(draft, flow, login, Purpose::Asked { call: Some(key) }, now);
        self.settle(now);
        sent.map(SentHandle)
    }

    /// Cancels our INVITE: at once where a provisional response came, else when one comes (RFC 3261 §9.1).
    pub(super) fn cancel(&mut self, key: u64, reason: EndReason, headers: Headers<'_>, now: Instant) {
        let Some(call) = self.calls.get_mut(key).filter(|call| call.cancelled.is_none()) else { return };
        call.cancelled = Some(reason);
        let headers = owned(headers);
        let Some(key) = call.pending else { return };
        let Some(sent) = self.sent.get_mut(key) else { return };
        if let Some(client) = sent.client.filter(|_| sent.proceeding) {
            self.layer.cancel(client, &borrowed(&headers), now);
            self.timers.arm(T64, Alarm::Overdue(key), now);
        }
        sent.cancel = Some(headers);
    }

    /// What has to become of our INVITE or re-INVITE when its call is over: an INVITE is cancelled, and either is waited
    /// for no longer than a CANCEL would be.
    pub(super) fn disown(&mut self, key: u64, now: Instant) {
        let Some(sent) = self.sent.get_mut(key) else { return };
        let fresh = matches!(sent.purpose, Purpose::Invite { .. }) && sent.cancel.is_none();
        if fresh
            && sent.proceeding
            && let Some(client) = sent.client
        {
            self.layer.cancel(client, &[], now);
        }
        sent.cancel.get_or_insert_default();
        self.timers.arm(T64, Alarm::Overdue(key), now);
    }

    /// An INVITE that does not end within 64·T1 of its CANCEL counts as cancelled (§9.1), a re-INVITE that rang for too
    /// long as not answered.
    pub(super) fn overdue(&mut self, key: u64, now: Instant) {
        let Some(sent) = self.sent.get(key) else { return };
        let unanswered = match &sent.purpose {
            Purpose::Invite { acks, .. } => acks.is_empty(),
            Purpose::Reinvite { ack, .. } => ack.is_none(),
            Purpose::Silent | Purpose::Asked { .. } => false,
        };
        if let Some(client) = sent.client.filter(|_| unanswered) {
            self.layer.abandon(client);
            self.finished(key, 408, None, now);
        }
    }

    /// A response to a request of ours.
    pub(super) fn response(&mut self, key: u64, client: ClientId, message: Arc<Message>, now: Instant) {
        let status = message.status().unwrap_or(0);
        let Some(sent) = self.sent.get(key).filter(|sent| sent.client == Some(client)) else { return };
        let invite = match &sent.purpose {
            Purpose::Invite { call, .. } => Some(*call),
            Purpose::Reinvite { .. } | Purpose::Silent | Purpose::Asked { .. } => None,
        };
        match (status, invite) {
            (..200, Some(call)) => self.provisional(key, call, message, now),
            (..200, None) => {}
            (401 | 407, _) if self.answer_challenge(key, &message, now) => {}
            (200..=299, Some(call)) => self.answered(key, call, &message, now),
            _ => self.finished(key, status, Some(message), now),
        }
    }

    /// A request of ours that nobody answered, or that could not be sent.
    pub(super) fn unanswered(&mut self, key: u64, client: ClientId, status: u16, now: Instant) {
        if self.sent.get(key).is_some_and(|sent| sent.client == Some(client)) {
            self.finished(key, status, None, now);
        }
    }

    fn provisional(&mut self, key: u64, call: u64, message: Arc<Message>, now: Instant) {
        let Some(sent) = self.sent.get_mut(key) else { return };
        let first = !std::mem::replace(&mut sent.proceeding, true);
        let (uri, cseq) = (sent.draft.uri.clone(), sent.draft.cseq);
        if let (true, Some(client), Some(headers)) = (first, sent.client, &sent.cancel) {
            self.layer.cancel(client, &borrowed(headers), now);
            self.timers.arm(T64, Alarm::Overdue(key), now);
        }
        if message.status() == Some(100) {
            return;
        }
        let Some(known) = self.calls.get_mut(call).filter(|call| call.cancelled.is_none()) else { return };
        known.hear(&message);
        let tag = message.to_tag();
        let place = known.early.iter().position(|early| early.dialog.remote_tag() == tag);
        if place.is_none() && known.early.len() < MAX_EARLY {
            let early = Dialog::of_response(&message, &uri).map(|dialog| Early { dialog, rseq: None });
            known.early.extend(early);
        }
        if self.acknowledge_provisional(call, &message, cseq, now) {
            self.outputs.push_back(Output::Progress { call: CallHandle(call), message });
        }
    }

    /// A 2xx to our INVITE: the first makes the call, one of another branch is acknowledged and ended (§13.2.2.4).
    fn answered(&mut self, key: u64, call: u64, message: &Arc<Message>, now: Instant) {
        let Some(Sent { purpose: Purpose::Invite { acks, .. }, .. }) = self.sent.get(key) else { return };
        if let Some((_, flow, ack)) = acks.iter().find(|(tag, ..)| tag == message.to_tag()) {
            let (flow, ack) = (*flow, ack.clone());
            return self.layer.send_stateless(flow, ack);
        }
        if acks.is_empty() {
            self.timers.arm(T64, Alarm::Settled(key), now);
        } else if acks.len() >= MAX_EARLY {
            return;
        }
        let Some(sent) = self.sent.get(key) else { return };
        let (mut draft, flow, given, login) = (sent.draft.clone(), sent.flow, sent.given.clone(), sent.login.clone());
        let dialog = Dialog::of_response(message, &draft.uri);
        let known = self.calls.get_mut(call).filter(|call| call.state == State::Calling);
        if let Some(known) = known {
            known.hear(message);
            draft.headers = known.signed(&[]);
        }
        let Some(mut dialog) = dialog else {
            // Without a To tag there is no dialog, so nothing that could be acknowledged or ended.
            self.fail(call, 502, Some(Arc::clone(message)), now);
            return;
        };
        let (to, ack) = self.acknowledge(&dialog, &draft, flow, &given);
        if let Some(Sent { purpose: Purpose::Invite { acks, .. }, .. }) = self.sent.get_mut(key) {
            acks.push((message.to_tag().to_owned(), to, ack));
        }
        let Some(known) = self.calls.get_mut(call).filter(|call| call.state == State::Calling) else {
            return self.bye(dialog, flow, login, &borrowed(&draft.headers), now);
        };
        if let Some(early) = known.early.iter().find(|early| early.dialog.remote_tag() == dialog.remote_tag()) {
            // A PRACK has counted on.
            dialog.advance_seq(early.dialog.local_seq());
        }
        known.dialog = Some(dialog);
        known.early.clear();
        known.pending = None;
        known.state = State::Established;
        match known.cancelled {
            Some(reason) => self.end_with_bye(call, reason, &[], None, now),
            None => {
                self.outputs.push_back(Output::Answered { call: CallHandle(call), message: Arc::clone(message) });
            }
        }
    }

    /// Any final response but a 2xx to an INVITE that begins a call; `None` where none came.
    fn finished(&mut self, key: u64, status: u16, message: Option<Arc<Message>>, now: Instant) {
        let Some(sent) = self.sent.get(key) else { return };
        match &sent.purpose {
            Purpose::Invite { call, .. } => {
                let call = *call;
                self.sent.remove(key);
                self.fail(call, status, message, now);
            }
            Purpose::Reinvite { .. } => self.reinvited(key, status, message, now),
            Purpose::Silent => {
                self.sent.remove(key);
            }
            Purpose::Asked { call } => {
                let (call, algorithm) = (*call, sent.given.algorithm);
                self.sent.remove(key);
                let handle = call.map(CallHandle);
                let request = SentHandle(key);
                self.outputs.push_back(Output::Response { request, call: handle, status, message, algorithm });
                if let Some(call) = call.filter(|_| status == 481) {
                    self.end_with_bye(call, EndReason::Gone, &[], None, now);
                }
            }
        }
    }

    /// The final response to our re-INVITE.
    fn reinvited(&mut self, key: u64, status: u16, message: Option<Arc<Message>>, now: Instant) {
        let Some(sent) = self.sent.get_mut(key) else { return };
        let Purpose::Reinvite { call, dialog, ack } = &mut sent.purpose else { return };
        let call = *call;
        if let Some((flow, bytes)) = ack {
            let (flow, bytes) = (*flow, bytes.clone());
            return self.layer.send_stateless(flow, bytes);
        }
        if let (200..=299, Some(message)) = (status, &message) {
            dialog.refresh_target(message);
            let (dialog, draft, flow, given) = (dialog.clone(), sent.draft.clone(), sent.flow, sent.given.clone());
            let again = self.acknowledge(&dialog, &draft, flow, &given);
            if let Some(Sent { purpose: Purpose::Reinvite { ack, .. }, .. }) = self.sent.get_mut(key) {
                *ack = Some(again);
            }
            self.timers.arm(T64, Alarm::Settled(key), now);
        } else {
            self.sent.remove(key);
        }
        let Some(known) = self.calls.get_mut(call).filter(|call| call.pending == Some(key)) else { return };
        known.pending = None;
        if let Some(message) = &message {
            known.hear(message);
        }
        if status == 491 && known.retries < MAX_RETRIES {
            return self.put_off(call, now);
        }
        known.offering = None;
        match (status, message) {
            (200..=299, Some(message)) => {
                if let Some(dialog) = &mut known.dialog {
                    dialog.refresh_target(&message);
                }
                self.outputs.push_back(Output::Agreed { call: CallHandle(call), message });
            }
            // §12.2.1.2: the dialog is no more.
            (408 | 481, message) => self.end_with_bye(call, EndReason::Gone, &[], message, now),
            (_, None) => self.end_with_bye(call, EndReason::Gone, &[], None, now),
            (_, message) => self.outputs.push_back(Output::Refused { call: CallHandle(call), status, message }),
        }
    }

    /// §14.1: both sides offered at once; whoever owns the Call-ID waits longer.
    fn put_off(&mut self, key: u64, now: Instant) {
        let steps = u32::try_from(self.tokens.number() % 10).unwrap_or(0);
        let Some(call) = self.calls.get_mut(key) else { return };
        call.retries += 1;
        let least = if call.origin.is_none() { Duration::from_millis(2_100) } else { Duration::ZERO };
        self.timers.arm(least + steps * Duration::from_millis(200), Alarm::Retry(key), now);
    }

    pub(super) fn retry_offer(&mut self, key: u64, now: Instant) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(Offering { headers, body }) = call.offering.take() else { return };
        if self.offer(key, &borrowed(&headers), body.as_ref(), now) {
            return;
        }
        // The other side's offer is still open: as if it had said 491 again.
        match self.calls.get_mut(key) {
            Some(call) if call.retries < MAX_RETRIES && call.hang_up.is_none() => {
                call.offering = Some(Offering { headers, body });
                self.put_off(key, now);
            }
            Some(_) => {
                self.outputs.push_back(Output::Refused { call: CallHandle(key), status: 491, message: None });
            }
            None => {}
        }
    }

    /// Our INVITE came to nothing.
    fn fail(&mut self, key: u64, status: u16, message: Option<Arc<Message>>, now: Instant) {
        let cancelled = self.calls.get(key).and_then(|call| call.cancelled);
        if let Some(reason) = cancelled {
            return self.end(key, reason, message, now);
        }
        if self.remove(key, now) {
            self.outputs.push_back(Output::Failed { call: CallHandle(key), status, message });
        }
    }
}

/// How long a call may ring, as timer C has it for proxies (RFC 3261 §16.6 step 11).
pub(super) const RING: Duration = Duration::from_secs(180);
/// How often a re-INVITE is tried again after 491.
const MAX_RETRIES: u8 = 5;
