//! The proxy core under a user who does what the bytes say: each request is closed once, answered with one final response at most, an
//! answer goes only where somebody asked from, and in the end nothing is left.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_sip::proxy::{ContextId, Hop, Output, Proxy};
use cusax_sip::{Compose, Edit, Flow, Message, Method, Transmit};

use super::input::Input;
use super::{pace, wire};

const LIMIT: usize = 24;
/// Timer C of the first branches, of the one group after them, and all that follows from it.
const LONG: Duration = Duration::from_secs(1_200);

#[derive(Default)]
struct Story {
    answered: Option<u16>,
    closed: bool,
    later: bool,
}

struct User {
    proxy: Proxy,
    now: Instant,
    waiting: Vec<ContextId>,
    stories: BTreeMap<usize, Story>,
    ids: Vec<ContextId>,
    /// What was sent on, to be answered.
    sent: Vec<Transmit>,
    /// From where something was asked.
    asked: Vec<IpAddr>,
}

/// Does what the bytes say.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let mut user = User {
        proxy: Proxy::new([3, 4], LIMIT),
        now: pace::start(),
        waiting: Vec::new(),
        stories: BTreeMap::new(),
        ids: Vec::new(),
        sent: Vec::new(),
        asked: Vec::new(),
    };
    while !input.is_empty() {
        user.act(&mut input);
        user.drain(input.byte());
    }
    for id in user.ids.clone() {
        user.respond(id, 500);
    }
    user.drain(0);
    user.pass(LONG);
    assert_eq!(user.proxy.counts(), (0, 0, 0), "contexts, clients or servers are left");
    assert_eq!(user.proxy.poll_timeout(), None, "a timer is left");
    assert!(user.stories.values().all(|story| story.closed), "a request was never closed");
}

impl User {
    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 16 {
            0..=2 => {
                let method = wire::METHODS[input.below(wire::METHODS.len())];
                let (request, flow) = (wire::request(input, method), wire::flow(input));
                self.receive(request, flow);
            }
            3..=5 => {
                let Some(id) = input.one_of(&self.waiting) else { return };
                let hops = (0..=input.below(3)).filter_map(|at| self.hop(id, at > 0, input)).collect();
                self.proxy.fork(id, hops, now);
                if input.byte() & 1 == 0 {
                    self.later(id, input);
                }
            }
            6 => {
                let Some(id) = input.one_of(&self.waiting) else { return };
                self.respond(id, wire::STATUSES[input.below(wire::STATUSES.len())]);
            }
            7 => {
                let Some(id) = input.one_of(&self.waiting) else { return };
                match input.below(3) {
                    0 => self.proxy.ignore(id, now),
                    1 => self.proxy.trying(id, now),
                    _ => {
                        let Some(request) = self.proxy.request(id).cloned() else { return };
                        let tag = self.proxy.stateless_tag(&request);
                        let bytes = Compose::response(&request, 407, None, Some(&tag)).empty();
                        self.proxy.respond_once(id, 407, bytes, now);
                    }
                }
            }
            8..=10 => {
                let Some(Transmit { flow, bytes }) = input.one_of(&self.sent) else { return };
                let response = wire::response(input, &wire::readable(&bytes));
                let flow = if input.byte() & 7 == 0 { wire::flow(input) } else { flow };
                self.receive(response, flow);
            }
            11 => match input.one_of(&self.sent) {
                Some(Transmit { flow, bytes }) if input.byte() & 1 == 0 => {
                    self.proxy.handle_bounced(&flow, &bytes, now)
                }
                _ => self.proxy.handle_unreachable(&wire::flow(input), now),
            },
            12 => self.proxy.handle_dead(wire::flow(input).remote, now),
            13 | 14 => {
                let time = Duration::from_millis(u64::from(input.number()) * 2);
                self.pass(time);
            }
            _ => {
                let (flow, bytes) = (wire::flow(input), input.piece());
                self.receive(Bytes::copy_from_slice(bytes), flow);
            }
        }
    }

    fn receive(&mut self, bytes: Bytes, flow: Flow) {
        let Ok(message) = Message::parse(bytes) else { return };
        if message.is_request() {
            self.asked.push(flow.remote.ip());
        }
        self.proxy.handle_message(message, flow, self.now);
    }

    fn hop(&self, id: ContextId, minor: bool, input: &mut Input<'_>) -> Option<Hop> {
        let request = self.proxy.request(id)?;
        let (flow, minor) = (wire::flow(input), input.byte() & 7 == 0 && minor);
        let mut edit = Edit::new(std::sync::Arc::clone(request));
        edit.set_length();
        Some(Hop { flow, edit, sent_by: "192.0.2.1:5060".to_owned(), minor, unreachable: 430 })
    }

    /// Once for each request, so that there is an end to what can follow.
    fn later(&mut self, id: ContextId, input: &mut Input<'_>) {
        let Some(index) = self.ids.iter().position(|known| *known == id) else { return };
        let story = self.stories.entry(index).or_default();
        if std::mem::replace(&mut story.later, true) {
            return;
        }
        if let Some(hop) = self.hop(id, false, input) {
            self.proxy.add_alternate(id, hop);
        }
        let hops = self.hop(id, false, input).into_iter().collect();
        self.proxy.then(id, hops);
    }

    fn respond(&mut self, id: ContextId, status: u16) {
        let Some(request) = self.proxy.request(id).cloned() else { return };
        let bytes = Compose::response(&request, status, None, Some("here")).empty();
        self.proxy.respond(id, status, bytes, self.now);
    }

    fn pass(&mut self, time: Duration) {
        let mut now = self.now;
        pace::pass(
            self,
            &mut now,
            time,
            |user| user.proxy.poll_timeout(),
            |user, now| {
                user.now = now;
                user.proxy.handle_timeout(now);
                user.drain(0);
            },
        );
        self.now = now;
    }

    fn drain(&mut self, choice: u8) {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                Output::Transmit { transmit, again } => self.transmitted(transmit, again),
                Output::Request { context, .. } => {
                    assert!(!self.ids.contains(&context), "a context is new");
                    self.stories.insert(self.ids.len(), Story::default());
                    self.ids.push(context);
                    self.waiting.push(context);
                    if self.waiting.len() > 8 {
                        self.waiting.remove(0);
                    }
                }
                Output::Ack { message, .. } => {
                    let remote = self.sent.first().map(|sent| sent.flow);
                    if let Some(flow) = remote.filter(|_| choice & 1 == 0) {
                        let sent_by = "192.0.2.1:5060".to_owned();
                        let edit = Edit::new(message);
                        let hop = Hop { flow, edit, sent_by, minor: false, unreachable: 430 };
                        self.proxy.forward_stateless(hop, self.now);
                    }
                }
                Output::Response { context, message, .. } => {
                    self.proxy.relay(context, Edit::new(message), self.now);
                }
                Output::Answered { context, status, .. } => {
                    let story = self.story(context);
                    assert!(story.answered.is_none() && !story.closed, "answered twice");
                    story.answered = Some(status);
                }
                Output::Closed { context } => {
                    let story = self.story(context);
                    assert!(!std::mem::replace(&mut story.closed, true), "closed twice");
                }
                Output::BranchFailed { context, .. } => assert!(!self.story(context).closed),
                Output::Absorbed { .. } | Output::Unacknowledged { .. } | Output::Dropped { .. } => {}
            }
        }
        let (contexts, clients, servers) = self.proxy.counts();
        assert!(clients <= 2 * LIMIT && servers <= LIMIT, "{contexts} contexts, {clients} clients, {servers} servers");
    }

    fn story(&mut self, id: ContextId) -> &mut Story {
        let index = self.ids.iter().position(|known| *known == id).expect("it was asked for");
        self.stories.get_mut(&index).expect("each has one")
    }

    fn transmitted(&mut self, transmit: Transmit, again: bool) {
        let message = wire::readable(&transmit.bytes);
        if message.is_request() {
            if !again && message.method() != Method::Ack && self.sent.len() < 64 {
                self.sent.push(transmit);
            }
            return;
        }
        assert!(
            self.asked.contains(&transmit.flow.remote.ip()),
            "an answer to {}, where nobody asked",
            transmit.flow.remote
        );
    }
}
