//! What becomes of responses on their way to the caller, and what is told when a request ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::sip::{
    CallEnded, CallInfo, CallInfoAction, CallInfoReason, CallOutcome, Cue, CueKind, Outcome, Timer, TimerFired,
    TransactionEnded, Upstream, UpstreamResult,
};
use cusax_sip::proxy::ContextId;
use cusax_sip::{Edit, Flow, Message, Method, Name};

use crate::config::{Reach, Zone};
use crate::privacy::{self, Privacy};
use crate::request::Request;
use crate::route::Origin;
use crate::{Edge, call_info, identity, session};

impl Edge {
    /// Edits a response and sends it upstream.
    pub(crate) fn response(&mut self, id: ContextId, message: Arc<Message>, flow: Flow, now: Instant) {
        let Some(mut request) = self.requests.remove(&id) else {
            let edit = Edit::new(message);
            return self.proxy.relay(id, edit, now);
        };
        let status = message.status().unwrap_or(500);
        let mut edit = Edit::new(Arc::clone(&message));
        let from = self.config.listener(flow.listener).map(|listener| listener.zone);
        if from == Some(Zone::Core) && !request.heard {
            request.heard = true;
            let upstream = self.config.core_target(flow.remote).map(|core| Arc::clone(&core.name));
            self.tell_upstream(upstream, UpstreamResult::Ok);
        }
        if identity::is_untrusted(self.origin_of(&flow)) {
            identity::distrust(&mut edit);
            for _ in 0..call_info::strip(&mut edit) {
                self.tell(Event::CallInfo(CallInfo {
                    action: CallInfoAction::Stripped,
                    reason: CallInfoReason::Forged,
                    correlation: request.correlation.clone(),
                }));
            }
        }
        if identity::is_untrusted(request.origin) {
            identity::withhold(&message, &mut edit);
        }
        let (id_value, missing) = session::of(&self.config.keys.session, &message, request.correlation.session);
        if missing && !message.to_tag().is_empty() {
            edit.set(Name::SessionId, &id_value.to_string());
        }
        if message.method() == Method::Invite && (101..300).contains(&status) {
            self.name_callee(&request, &message, &mut edit);
        }
        if let Some(class) = request.cued.filter(|_| (180..190).contains(&status) && from.is_some()) {
            // RFC 7462 §4.2.2: a proxy may say so on any provisional response but 100.
            edit.append("Alert-Info", "<urn:alert:source:external>");
            let number = request.number.e164.clone().unwrap_or_default();
            self.tell(Event::Cue(Cue {
                kind: CueKind::AlertInfo,
                class,
                number: cusax_event::Identity::number(number),
                caller: None,
                correlation: request.correlation.clone(),
            }));
        }
        self.requests.insert(id, request);
        self.proxy.relay(id, edit, now);
    }

    /// Names the account of the flow that the call left through, to those who may know (RFC 3261 §20.9).
    fn name_callee(&mut self, request: &Request, message: &Message, edit: &mut Edit) {
        let Some(jid) = request.callee.as_ref().and_then(|account| account.jid.clone()) else { return };
        let caller = request.message.address(Name::From).and_then(|from| from.uri());
        let own = caller.is_some_and(|caller| self.config.is_own_domain(caller.host));
        let reach = self.config.caller.callee;
        if privacy::of(message) == Privacy::Open && (reach == Reach::All || (reach == Reach::OwnDomain && own)) {
            call_info::insert(edit, &jid);
        }
    }

    /// Tells what came of a request.
    pub(crate) fn answered(&mut self, id: ContextId, status: u16, duration: Duration) {
        let Some(request) = self.requests.get(&id) else { return };
        let correlation = request.correlation.clone();
        let method = request.message.method();
        let outcome = Outcome::of_status(status);
        // A call between two of our users passes twice, to the core and back: it is told once, where it begins.
        let back = request.origin == Origin::Core && self.config.was_here(&request.message);
        let call = request.is_initial_invite() && !matches!(status, 401 | 407) && !back;
        let ended = call.then(|| CallEnded {
            outcome: match status {
                200..=299 => CallOutcome::Answered,
                // The focus speaks for us: whom it does not let in, we refused.
                _ if !request.forwarded || (request.to_focus && status == 403) => CallOutcome::Rejected,
                486 | 600 => CallOutcome::Busy,
                408 | 480 => CallOutcome::NoAnswer,
                487 => CallOutcome::Cancelled,
                _ => CallOutcome::Failed,
            },
            status,
            caller: request.message.address(Name::From).map(|from| cusax_event::Identity::uri(from.uri_text)),
            correlation: correlation.clone(),
        });
        self.tell(Event::SipTransaction(TransactionEnded { method, status, outcome, duration, correlation }));
        if let Some(ended) = ended {
            self.tell(Event::SipCall(ended));
        }
    }

    /// Tells of a branch that nobody answered.
    pub(crate) fn branch_failed(&mut self, id: ContextId, flow: &Flow, timer: Option<Timer>, now: Instant) {
        if timer != Some(Timer::C) {
            self.upstreams.suspect(flow, now);
        }
        let correlation = self.requests.get(&id).map(|request| request.correlation.clone()).unwrap_or_default();
        if let Some(timer) = timer {
            self.tell(Event::SipTimeout(TimerFired { timer, correlation }));
        }
        let upstream = self.config.core_target(flow.remote).map(|core| Arc::clone(&core.name));
        match timer {
            Some(Timer::C) => {}
            Some(Timer::B | Timer::F | Timer::H) => self.tell_upstream(upstream, UpstreamResult::Timeout),
            None => self.tell_upstream(upstream, UpstreamResult::Error),
        }
    }

    /// Tells of a failure that nobody acknowledged (timer H).
    pub(crate) fn unacknowledged(&mut self, id: Option<ContextId>) {
        let request = id.and_then(|id| self.requests.get(&id));
        let correlation = request.map(|request| request.correlation.clone()).unwrap_or_default();
        self.tell(Event::SipTimeout(TimerFired { timer: Timer::H, correlation }));
    }

    fn tell_upstream(&mut self, upstream: Option<Arc<str>>, result: UpstreamResult) {
        if let Some(upstream) = upstream {
            self.tell(Event::SipUpstream(Upstream { upstream, result }));
        }
    }
}
