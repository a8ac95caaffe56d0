//! Requests that are turned away because there are too many of them: of a source, of an account, or in all.

use std::time::Instant;

use cusax_event::Event;
use cusax_event::sip::{OverloadLevel, Shed, ShedCause, Urgency};
use cusax_sip::proxy::ContextId;
use cusax_sip::{Compose, Flow, Message, Method};

use crate::rate::{Key, Verdict};
use crate::request::Request;
use crate::route::{self, Origin};
use crate::{Edge, overload};

/// Emergency calls that one source may be setting up at a time in the lane, at least; or a tenth of it.
const LANE_OF_A_SOURCE: usize = 8;
/// Seconds after which who was turned away may try again: at least, and how far they are spread, so that not all come at once.
const RETRY_AFTER: (u64, u64) = (2, 8);

impl Edge {
    /// Takes how full the fullest receive buffer is, in percent.
    pub fn handle_backlog(&mut self, percent: u8) {
        self.overload.set_backlog(percent);
    }

    /// Turns a new request away if there are too many; `sos` says that it is a call for help, which has a lane of its own.
    pub(crate) fn turns_away(
        &mut self,
        id: ContextId,
        message: &Message,
        flow: &Flow,
        sos: bool,
        now: Instant,
    ) -> bool {
        let origin = self.origin_of(flow);
        let limits = self.config.limits;
        if sos && origin == Origin::Access {
            let source = Key::source(flow.remote.ip());
            let of_source = self.emergencies.values().filter(|other| **other == source).count();
            if self.emergencies.len() >= limits.emergency_calls {
                self.shed(id, (Urgency::Emergency, ShedCause::EmergencyLane), Verdict::Beyond, now);
                return true;
            }
            if of_source < LANE_OF_A_SOURCE.max(limits.emergency_calls / 10) {
                self.emergencies.insert(id, source);
                return false;
            }
            // One source that has so many is treated as with any other call: it must not take the lane from all.
        }
        let mut urgency = urgency(message);
        let level = self.watch_load(now);
        if urgency == Urgency::Dialog
            && level != OverloadLevel::None
            && origin == Origin::Access
            && !self.is_of_a_call(message, flow)
        {
            // A To tag alone is a claim.
            urgency = Urgency::Other;
        }
        // The end of a call makes room.
        let ends = urgency == Urgency::Dialog
            && message.method() == Method::Bye
            && self.transactions_of_a_side() < limits.transactions_of_calls();
        if overload::sheds(level, urgency) && !ends {
            self.shed(id, (urgency, ShedCause::Overload), Verdict::Beyond, now);
            return true;
        }
        if origin == Origin::Access
            && let Some(rate) = limits.per_source
        {
            let source = Key::source(flow.remote.ip());
            let mut verdict = self.rates.take(source, rate, self.nanoseconds(now));
            if verdict != Verdict::Within && self.is_of_a_call(message, flow) {
                // What a call that stands has to say does not suffer from what else comes from there.
                verdict = self.rates.take(source.of_dialogs(), rate, self.nanoseconds(now));
            }
            if verdict != Verdict::Within {
                self.shed(id, (urgency, ShedCause::SourceRate), verdict, now);
                return true;
            }
        }
        false
    }

    /// The level of overload now, which is told where it has changed.
    pub(crate) fn watch_load(&mut self, now: Instant) -> OverloadLevel {
        let level = self.overload.level(self.transactions_of_a_side(), &self.config.limits);
        if let Some(changed) = self.overload.tell(level, now) {
            self.tell(Event::SipOverload(changed));
        }
        level
    }

    fn transactions_of_a_side(&self) -> usize {
        let (_, clients, servers) = self.proxy.counts();
        clients.max(servers)
    }

    /// Turns away what an account sends beyond its rate, but what belongs to a call that stands.
    pub(crate) fn turns_account_away(&mut self, id: ContextId, request: &Request, now: Instant) -> bool {
        let free = request.route.dialog || request.is_emergency();
        let (Some(rate), Some(account)) = (self.config.limits.per_account, request.account().filter(|_| !free)) else {
            return false;
        };
        let verdict = self.rates.take(Key::Account(account), rate, self.nanoseconds(now));
        if verdict != Verdict::Within {
            self.shed(id, (urgency(&request.message), ShedCause::AccountRate), verdict, now);
        }
        verdict != Verdict::Within
    }

    /// Answers with 503, once and without keeping anything, or with silence.
    fn shed(&mut self, id: ContextId, (urgency, cause): (Urgency, ShedCause), verdict: Verdict, now: Instant) {
        let (Some(message), Some(flow)) = (self.proxy.request(id).cloned(), self.proxy.source(id)) else { return };
        let answered = verdict == Verdict::Beyond;
        let (remote, correlation) = (flow.remote, self.correlation(&message));
        self.tell(Event::SipShed(Shed { urgency, cause, answered, remote, correlation }));
        if !answered {
            return self.proxy.ignore(id, now);
        }
        let tag = self.proxy.stateless_tag(&message);
        let (least, spread) = RETRY_AFTER;
        let seconds = least + self.rates.spread(message.call_id(), spread);
        let compose = Compose::response(&message, 503, None, Some(&tag)).header("Retry-After", &seconds.to_string());
        self.proxy.respond_once(id, 503, compose.empty(), now);
    }

    fn is_of_a_call(&self, message: &Message, flow: &Flow) -> bool {
        !message.to_tag().is_empty() && route::preprocess(&self.config, message, flow).is_ok_and(|route| route.dialog)
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long a request can wait, that is no call for help.
fn urgency(message: &Message) -> Urgency {
    match message.method() {
        _ if !message.to_tag().is_empty() => Urgency::Dialog,
        Method::Invite => Urgency::Call,
        Method::Register => Urgency::Registration,
        Method::Bye | Method::Prack | Method::Update | Method::Info => Urgency::Dialog,
        Method::Ack
        | Method::Cancel
        | Method::Options
        | Method::Subscribe
        | Method::Notify
        | Method::Publish
        | Method::Message
        | Method::Refer
        | Method::Other => Urgency::Other,
    }
}
