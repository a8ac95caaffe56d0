//! Requests that come in (RFC 3261 §8.2, §9.2, §12.2.2, §13.3, §14.2, §15.1.2).

use std::sync::Arc;
use std::time::Instant;

use super::call::{Call, State};
use super::client::RING;
use super::{Alarm, Asked, CallHandle, EndReason, Output, RequestHandle, UserAgent};
use crate::dialog::Dialog;
use crate::method::Method;
use crate::name::Name;
use crate::transaction::{ServerId, T64};
use crate::validate::request_defect;
use crate::{Compose, Flow, Message};

impl UserAgent {
    /// A request that began a server transaction.
    pub(super) fn request(
        &mut self,
        server: ServerId,
        message: Arc<Message>,
        flow: Flow,
        cancels: Option<(ServerId, u64)>,
        now: Instant,
    ) {
        if let Some(defect) = request_defect(&message) {
            let tag = self.tokens.tag();
            let response = Compose::response(&message, defect.status, Some(defect.reason), Some(&tag));
            return self.layer.respond(server, defect.status, response.empty(), now);
        }
        let method = message.method();
        if method == Method::Cancel {
            return self.cancelled(server, &message, cancels, now);
        }
        if !self.config.allow.contains(&method) {
            return self.refuse_at_once(server, &message, 405, &[("Allow", &self.allow())], now);
        }
        let unknown: Vec<_> = message.values(Name::Require).filter(|tag| !self.knows(tag)).collect();
        if !unknown.is_empty() {
            return self.refuse_at_once(server, &message, 420, &[("Unsupported", &unknown.join(", "))], now);
        }
        if message.to_tag().is_empty() {
            return self.outside(server, message, flow, now);
        }
        match self.call_of(&message) {
            Some(key) => self.inside(key, server, message, flow, now),
            // Subscriptions are dialogs of their own, which their user knows (RFC 6665 §4.4.1).
            None if matches!(method, Method::Subscribe | Method::Notify) => {
                self.ask(server, message, flow, None, now);
            }
            None => self.refuse_at_once(server, &message, 481, &[], now),
        }
    }

    fn knows(&self, tag: &str) -> bool {
        self.config.supported.iter().any(|known| known.eq_ignore_ascii_case(tag))
    }

    /// A request without a To tag.
    fn outside(&mut self, server: ServerId, message: Arc<Message>, flow: Flow, now: Instant) {
        match message.method() {
            Method::Invite => self.invited(server, message, flow, now),
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Ack | Method::Cancel => {
                self.refuse_at_once(server, &message, 481, &[], now);
            }
            Method::Register
            | Method::Options
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Message
            | Method::Refer
            | Method::Other => self.ask(server, message, flow, None, now),
        }
    }

    fn invited(&mut self, server: ServerId, message: Arc<Message>, flow: Flow, now: Instant) {
        let origin = (message.call_id().to_owned(), message.from_tag().to_owned());
        if self.origins.contains_key(&origin) {
            // §8.2.2.2: the same request came another way.
            return self.refuse_at_once(server, &message, 482, &[], now);
        }
        let tag = self.tokens.tag();
        let Some(dialog) = Dialog::of_request(&message, &tag) else {
            return self.refuse_at_once(server, &message, 400, &[], now);
        };
        let mut call = Call::new(State::Ringing, flow, tag.clone());
        call.hear(&message);
        call.dialog = Some(dialog);
        call.origin = Some(origin.clone());
        call.invite = Some((server, Arc::clone(&message)));
        let Some(key) = self.calls.insert(call) else {
            return self.refuse_at_once(server, &message, 503, &[("Retry-After", "10")], now);
        };
        self.tags.insert(tag, key);
        self.origins.insert(origin, key);
        self.layer.set_owner(server, key);
        // §17.2.1: the user may need longer than 200 ms to answer.
        self.layer.respond(server, 100, Compose::response(&message, 100, None, None).empty(), now);
        self.timers.arm(RING, Alarm::RangOut(key), now);
        self.outputs.push_back(Output::Invited { call: CallHandle(key), message, flow });
    }

    /// A request within a dialog.
    fn inside(&mut self, key: u64, server: ServerId, message: Arc<Message>, flow: Flow, now: Instant) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let early = call.early.iter_mut().map(|early| &mut early.dialog);
        let dialog = call.dialog.iter_mut().chain(early).find(|dialog| dialog.owns_request(&message));
        let Some(dialog) = dialog else { return };
        if !dialog.accept_seq(&message) {
            return self.refuse_inside(key, server, &message, 500, &[], now);
        }
        call.hear(&message);
        match message.method() {
            Method::Bye => {
                let response = self.compose_for(key, &message, 200);
                self.layer.respond(server, 200, response.empty(), now);
                self.end(key, EndReason::Bye, Some(message), now);
            }
            Method::Invite | Method::Update => self.offered(key, server, message, now),
            Method::Prack => self.pracked(key, server, &message, now),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Options
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Message
            | Method::Refer
            | Method::Info
            | Method::Other => self.ask(server, message, flow, Some(key), now),
        }
    }

    /// A re-INVITE or UPDATE (§14.2, RFC 3311 §5.2).
    fn offered(&mut self, key: u64, server: ServerId, message: Arc<Message>, now: Instant) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let invite = message.method() == Method::Invite;
        if call.pending.is_some() && call.state == State::Established {
            return self.refuse_inside(key, server, &message, 491, &[], now);
        }
        if call.offer.is_some() || (invite && (call.invite.is_some() || call.unacked.is_some())) {
            let after = (self.tokens.number() % 11).to_string();
            return self.refuse_inside(key, server, &message, 500, &[("Retry-After", &after)], now);
        }
        if let Some(dialog) = call.dialog.as_mut().filter(|dialog| dialog.owns_request(&message)) {
            dialog.refresh_target(&message);
        }
        call.offer = Some((server, Arc::clone(&message)));
        self.layer.set_owner(server, key);
        self.outputs.push_back(Output::Reoffered { call: CallHandle(key), message });
    }

    /// A CANCEL (§9.2): 200 to it, and 487 to what it is about where that has no final response yet.
    fn cancelled(&mut self, server: ServerId, message: &Arc<Message>, cancels: Option<(ServerId, u64)>, now: Instant) {
        let Some((about, key)) = cancels else {
            return self.refuse_at_once(server, message, 481, &[], now);
        };
        let one = |pending: &Option<(ServerId, Arc<Message>)>| pending.as_ref().is_some_and(|(id, _)| *id == about);
        // What it is about may be no call at all: other requests go on.
        let call = self.calls.get(key).filter(|call| one(&call.invite) || one(&call.offer));
        let tag = call.map_or_else(|| self.tokens.tag(), |call| call.local_tag.clone());
        let response = self.compose(message, 200, &tag);
        self.layer.respond(server, 200, response.empty(), now);
        let Some(call) = self.calls.get_mut(key) else { return };
        if call.invite.as_ref().is_some_and(|(invite, _)| *invite == about) {
            self.end(key, EndReason::Cancelled, Some(Arc::clone(message)), now);
        } else if call.offer.as_ref().is_some_and(|(offer, _)| *offer == about) {
            self.refuse_offer(key, 487, &[], now);
        }
    }

    /// The ACK to a 2xx of ours.
    pub(super) fn acknowledged(&mut self, message: Arc<Message>, now: Instant) {
        let number = message.cseq().map(|(number, _)| number);
        let Some(key) = self.call_of(&message) else { return };
        let Some(call) = self.calls.get_mut(key) else { return };
        if call.unacked.as_ref().is_none_or(|unacked| Some(unacked.cseq) != number) {
            return;
        }
        call.unacked = None;
        call.hear(&message);
        let hang_up = call.hang_up.take();
        self.outputs.push_back(Output::Acked { call: CallHandle(key), message });
        if let Some(headers) = hang_up {
            self.end_with_bye(key, EndReason::HungUp, &super::draft::borrowed(&headers), None, now);
        }
    }

    /// Gives a request to the user.
    fn ask(&mut self, server: ServerId, message: Arc<Message>, flow: Flow, call: Option<u64>, now: Instant) {
        let tag = self.tokens.tag();
        let asked = Asked { server, message: Arc::clone(&message), call, tag };
        let Some(key) = self.asked.insert(asked) else {
            return self.refuse_at_once(server, &message, 503, &[("Retry-After", "10")], now);
        };
        self.timers.arm(T64, Alarm::Unanswered(key), now);
        let (request, call) = (RequestHandle(key), call.map(CallHandle));
        self.outputs.push_back(Output::Request { request, call, message, flow });
    }

    pub(super) fn refuse_at_once(
        &mut self,
        server: ServerId,
        message: &Message,
        status: u16,
        headers: &[(&str, &str)],
        now: Instant,
    ) {
        let tag = self.tokens.tag();
        let mut response = self.compose(message, status, &tag);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        self.layer.respond(server, status, response.empty(), now);
    }

    pub(super) fn refuse_inside(
        &mut self,
        key: u64,
        server: ServerId,
        message: &Message,
        status: u16,
        headers: &[(&str, &str)],
        now: Instant,
    ) {
        let mut response = self.compose_for(key, message, status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        self.layer.respond(server, status, response.empty(), now);
    }

    /// A response within a call, with its Session-ID.
    pub(super) fn compose_for(&self, key: u64, request: &Message, status: u16) -> Compose {
        match self.calls.get(key) {
            Some(call) => call.sign(self.compose(request, status, &call.local_tag)),
            None => Compose::response(request, status, None, None),
        }
    }
}
