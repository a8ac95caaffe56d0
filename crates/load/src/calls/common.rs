//! What both sides of a call share: names, ends, timers, and what is sent and counted.

use cusax_sip::{Flow, Message};

use super::credentials::Keys;
use super::number::Names;
use super::outbox::Outbox;
use super::plan::{Ends, Plan};
use super::request::Draft;
use super::tally::Tally;
use super::timers::Timers;

#[derive(Debug)]
pub(super) struct Common {
    pub(super) plan: Plan,
    pub(super) names: Names,
    pub(super) callers: Vec<Draft>,
    pub(super) callee: Option<Draft>,
    /// The whole Route line, or nothing.
    pub(super) route: Vec<u8>,
    /// The whole lines that each INVITE has.
    pub(super) headers: Vec<u8>,
    /// The whole Expires line of a REGISTER.
    pub(super) expires: Vec<u8>,
    pub(super) keys: Keys,
    pub(super) timers: Timers,
    pub(super) outbox: Outbox,
    pub(super) tally: Tally,
}

impl Common {
    pub(super) fn new(plan: Plan, ends: &Ends, run: u32) -> Self {
        let draft = |end| Draft::new(end, plan.transport);
        let route = plan.route.as_ref().map(|route| format!("Route: <{route}>\r\n").into_bytes());
        let headers = plan.headers.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
        let expires = plan.register.map(|register| format!("Expires: {}\r\n", register.expires).into_bytes());
        Self {
            names: Names::new(run),
            callers: ends.callers.iter().map(draft).collect(),
            callee: ends.callee.as_ref().map(draft),
            route: route.unwrap_or_default(),
            headers,
            expires: expires.unwrap_or_default(),
            keys: Keys::default(),
            timers: Timers::new(plan.hold, plan.ring),
            outbox: Outbox::default(),
            tally: Tally::default(),
            plan,
        }
    }

    /// Sends a message that `write` makes, which tells its way.
    pub(super) fn send(&mut self, write: impl FnOnce(&Self, &mut Vec<u8>) -> Flow) {
        // Out for a moment, so that what the message is made of can be read.
        let mut outbox = std::mem::take(&mut self.outbox);
        outbox.push(|out| write(self, out));
        self.outbox = outbox;
        self.tally.sent += 1;
    }

    pub(super) fn is_reliable(&self) -> bool {
        self.plan.transport != cusax_sip::Transport::Udp
    }
}

pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// True where a response or request names its session (RFC 7989 §5).
pub(super) fn has_session(message: &Message) -> bool {
    let value = message.first(cusax_sip::Name::SessionId);
    value.and_then(cusax_sip::session_id::SessionId::parse).is_some_and(|session| session.local.is_some())
}
