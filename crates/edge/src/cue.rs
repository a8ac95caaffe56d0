//! The virtual UAS that tells callers about charges.
//!
//! A proxy may not make provisional responses of its own (RFC 3261 §16.7 step 6), so the edge forks the INVITE to a
//! user agent server inside this process. It sends one 183 with a Warning and no SDP on an early dialog of its own,
//! answers what is sent on that dialog, and never ends the call: its branch is a minor one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cusax_event::sip::NumberClass;
use cusax_sip::transaction::{Layer, Output, ServerId};
use cusax_sip::value::quote;
use cusax_sip::{Compose, Edit, Flow, Message, Method, Name, Transmit, Transport};

use crate::config::CUE;
use crate::request::Request;
use crate::token::{Place, Token};
use crate::{ContextId, Edge};

/// User part of the virtual UAS' Contact.
pub(crate) const USER: &str = "cue";
/// What it takes.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS";

/// An early dialog of the virtual UAS.
struct Early {
    server: ServerId,
    invite: Arc<Message>,
    tag: String,
}

/// All early dialogs of the virtual UAS, by Call-ID and From tag.
pub(crate) struct VirtualUas {
    layer: Layer,
    contact: String,
    agent: String,
    /// What to say to a call that is about to arrive.
    texts: HashMap<String, String>,
    early: HashMap<String, Early>,
}

impl VirtualUas {
    pub(crate) fn new(seed: [u64; 2], limit: usize, contact: String, agent: String) -> Self {
        let layer = Layer::new(seed, limit);
        Self { layer, contact, agent, texts: HashMap::new(), early: HashMap::new() }
    }

    pub(crate) const fn set_limit(&mut self, limit: usize) {
        self.layer.set_limit(limit);
    }

    pub(crate) fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        self.layer.handle_message(message, flow, now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.layer.poll_timeout()
    }

    /// Early dialogs that live now.
    pub(crate) fn len(&self) -> usize {
        self.early.len()
    }

    /// The next bytes for the edge's proxy.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            match self.layer.poll_output()? {
                Output::Transmit { transmit, .. } => return Some(transmit),
                Output::Request { server, message, cancels, .. } => self.request(server, message, cancels, now),
                Output::Ack { .. }
                | Output::Absorbed { .. }
                | Output::Response { .. }
                | Output::TimedOut { .. }
                | Output::Unreachable { .. }
                | Output::Unacknowledged { .. }
                | Output::Dropped { .. } => {}
            }
        }
    }

    fn request(&mut self, server: ServerId, message: Arc<Message>, cancels: Option<(ServerId, u64)>, now: Instant) {
        let key = key(&message);
        match message.method() {
            Method::Invite if message.to_tag().is_empty() => self.invite(server, message, key, now),
            Method::Cancel => {
                let found =
                    self.early.get(&key).filter(|early| cancels.is_some_and(|(invite, _)| invite == early.server));
                let status = if found.is_some() { 200 } else { 481 };
                self.answer(server, &message, status, None, now);
                if status == 200 {
                    self.end(&key, now);
                }
            }
            method @ (Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Message
            | Method::Refer
            | Method::Update
            | Method::Prack
            | Method::Info
            | Method::Other) => {
                let known = self.early.get(&key).is_some_and(|early| early.tag == message.to_tag());
                // The INVITE and the offer in it are never answered: another has to wait (RFC 3261 §14.2, RFC 3311 §5.2).
                let waits = method == Method::Invite || (method == Method::Update && !message.body().is_empty());
                let taken =
                    matches!(method, Method::Prack | Method::Update | Method::Info | Method::Bye | Method::Options);
                let (status, header) = match (known, waits, taken) {
                    (false, ..) => (481, None),
                    (true, true, _) => (500, Some(("Retry-After", "5"))),
                    (true, false, true) => (200, None),
                    (true, false, false) => (405, Some(("Allow", ALLOW))),
                };
                self.answer(server, &message, status, header, now);
                if known && method == Method::Bye {
                    self.end(&key, now);
                }
            }
        }
    }

    fn invite(&mut self, server: ServerId, message: Arc<Message>, key: String, now: Instant) {
        let Some(text) = self.texts.remove(&key) else {
            return self.answer(server, &message, 481, None, now);
        };
        // A second INVITE of the same caller's tag and Call-ID takes the place of the first.
        self.end(&key, now);
        let tag = self.layer.tag();
        let progress = Compose::response(&message, 183, None, Some(&tag))
            .copy(&message, Name::RecordRoute)
            .header("Contact", &format!("<{}>", self.contact))
            .header("Allow", ALLOW)
            .header("Warning", &format!("399 {} {}", self.agent, quote(&text)))
            .empty();
        self.layer.respond(server, 183, progress, now);
        self.early.insert(key, Early { server, invite: message, tag });
    }

    /// Ends an early dialog; its final response is never the call's.
    fn end(&mut self, key: &str, now: Instant) {
        let Some(early) = self.early.remove(key) else { return };
        let gone = Compose::response(&early.invite, 487, None, Some(&early.tag)).empty();
        self.layer.respond(early.server, 487, gone, now);
    }

    /// Forgets what was to be said to calls that did not arrive.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
    }

    fn answer(&mut self, server: ServerId, message: &Message, status: u16, header: Option<(&str, &str)>, now: Instant) {
        let tag = self.layer.tag();
        let response = Compose::response(message, status, None, Some(&tag));
        let bytes = header.into_iter().fold(response, |response, (name, value)| response.header(name, value)).empty();
        self.layer.respond(server, status, bytes, now);
    }
}

impl Edge {
    /// Forks the call to the virtual UAS. False where it may not speak: a caller that requires reliable provisional
    /// responses (RFC 3262) is told over XMPP only.
    pub(crate) fn cue_with_header(&mut self, id: ContextId, request: &Request, text: &str, now: Instant) -> bool {
        if request.message.has_option(Name::Require, "100rel") {
            return false;
        }
        self.cue.texts.insert(key(&request.message), text.to_owned());
        let mut edit = Edit::new(Arc::clone(&request.message));
        edit.pop(Name::Route, request.route.own);
        let dialog = (request.message.call_id(), request.route.is_sips(&request.message));
        let (flow, account) = (request.flow, request.account());
        let token = Token { flow, account, core: None, domain: None, place: Place::Dialog };
        if let Some(line) = self.config.record_route(&token, dialog) {
            edit.push_above(Name::RecordRoute, &line);
        }
        let flow = Flow { listener: CUE, transport: Transport::Internal, ..request.flow };
        let hop = self.hop(Flow { connection: None, ..flow }, edit, true);
        self.proxy.forward(id, hop, now);
        true
    }
}

fn key(message: &Message) -> String {
    format!("{}\n{}", message.call_id(), message.from_tag())
}

/// What the caller of a charged number reads.
pub(crate) fn text(class: NumberClass, number: &str, domain: &str) -> String {
    format!("This call leaves {domain} and is charged: {} {number}", words(class))
}

/// What the caller of a blocked class reads.
pub(crate) fn blocked(class: NumberClass) -> String {
    format!("Calls to {}s are blocked", words(class))
}

const fn words(class: NumberClass) -> &'static str {
    match class {
        NumberClass::Emergency => "emergency number",
        NumberClass::Extension => "extension",
        NumberClass::OnNet => "on-net number",
        NumberClass::Partner => "partner number",
        NumberClass::TollFree => "toll-free number",
        NumberClass::National => "national number",
        NumberClass::Mobile => "mobile number",
        NumberClass::Premium => "premium-rate number",
        NumberClass::Satellite => "satellite number",
        NumberClass::International => "international number",
        NumberClass::ForeignDomain => "other-domain address",
        NumberClass::Unknown => "unknown number",
    }
}
