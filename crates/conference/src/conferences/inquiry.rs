//! OPTIONS to a conference: is there one, or could there be (RFC 4579 §5.3)? A room that nobody called is asked for by
//! disco#info, and not entered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_sip::ua::{CallHandle, RequestHandle};
use cusax_sip::{Message, Method};
use cusax_xmpp::muc::RoomConfig;
use cusax_xmpp::{BareJid, Element, Jid, ns};

use super::{ALLOW, Conferences, SUPPORTED};
use crate::conference::{Stage, contact, name};
use crate::config::{Create, Domain};
use crate::output::Output;
use crate::refusal::Refusal;

/// A question to a MUC service, on behalf of who asked by OPTIONS.
#[derive(Debug)]
struct Inquiry {
    request: RequestHandle,
    domain: Arc<Domain>,
    room: BareJid,
    deadline: Instant,
}

/// Questions by the ids of their IQs.
#[derive(Debug, Default)]
pub(super) struct Inquiries(BTreeMap<String, Inquiry>);

impl Inquiries {
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|inquiry| inquiry.deadline).min()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Conferences {
    /// A request other than those that calls are made of: OPTIONS.
    pub(super) fn asked(&mut self, request: RequestHandle, call: Option<CallHandle>, message: &Message, now: Instant) {
        let uri = message.request_uri();
        let Some(uri) = uri.filter(|_| message.method() == Method::Options) else {
            return self.agent.answer(request, 405, &[("Allow", &allow())], None, now);
        };
        if call.is_some() || uri.user.is_none() {
            return self.answer_options(request, None, now);
        }
        let Some((domain, room)) = self.room_of(&uri) else {
            return self.answer_refusal(request, Refusal::NoRoom, now);
        };
        let open = self.rooms.get(&room).and_then(|id| self.conferences.get(id));
        let open = open.is_some_and(|conference| conference.stage == Stage::Open);
        if open || (domain.create == Create::Always && self.connected) {
            self.answer_options(request, Some(&contact(&name(&room, &domain))), now);
        } else if !self.connected {
            self.answer_refusal(request, Refusal::Blind, now);
        } else if self.inquiries.0.len() >= INQUIRIES {
            self.answer_refusal(request, Refusal::TooMany, now);
        } else {
            let id = format!("options-{:016x}", self.seed.next());
            let iq = Element::iq("get", &id, Element::new(ns::DISCO_INFO, "query"))
                .with_attr("from", self.config.focus.as_str())
                .with_attr("to", room.as_str());
            self.outputs.push_back(Output::Stanza(iq));
            self.inquiries.0.insert(id, Inquiry { request, domain, room, deadline: now + DEADLINE });
        }
    }

    /// Takes the answer of a MUC service; false where the stanza is none.
    pub(super) fn inquiry_answered(&mut self, element: &Element, from: &Jid, now: Instant) -> bool {
        let answers = element.name() == "iq" && matches!(element.attr("type"), Some("result" | "error"));
        let Some(id) = element.attr("id").filter(|_| answers) else { return false };
        if self.inquiries.0.get(id).is_none_or(|inquiry| inquiry.room != from.bare() || from.resource().is_some()) {
            return false;
        }
        let Some(Inquiry { request, domain, room, .. }) = self.inquiries.0.remove(id) else { return false };
        if element.attr("type") == Some("result") && RoomConfig::of_disco(element).is_some() {
            self.answer_options(request, Some(&contact(&name(&room, &domain))), now);
        } else {
            self.answer_refusal(request, Refusal::NoRoom, now);
        }
        true
    }

    /// Gives up on answers that do not come.
    pub(super) fn inquiries_due(&mut self, now: Instant) {
        let due = self.inquiries.0.extract_if(.., |_, inquiry| inquiry.deadline <= now).collect::<Vec<_>>();
        for (_, inquiry) in due {
            self.answer_refusal(inquiry.request, Refusal::Blind, now);
        }
    }

    /// Gives up on all answers.
    pub(super) fn inquiries_lost(&mut self, now: Instant) {
        for (_, inquiry) in std::mem::take(&mut self.inquiries.0) {
            self.answer_refusal(inquiry.request, Refusal::Blind, now);
        }
    }

    fn answer_options(&mut self, request: RequestHandle, contact: Option<&str>, now: Instant) {
        let (allow, supported) = (allow(), SUPPORTED.join(", "));
        let mut headers = vec![("Allow", allow.as_str()), ("Supported", &supported), ("Accept", "application/sdp")];
        headers.extend(contact.map(|contact| ("Contact", contact)));
        self.agent.answer(request, 200, &headers, None, now);
    }

    fn answer_refusal(&mut self, request: RequestHandle, refusal: Refusal, now: Instant) {
        let headers = refusal.headers(&self.config.domain);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.agent.answer(request, refusal.status(), &headers, None, now);
    }
}

fn allow() -> String {
    ALLOW.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ")
}

/// Questions at a time.
const INQUIRIES: usize = 256;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);
