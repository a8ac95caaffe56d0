//! A link between two user agents that loses, delays and reorders by a seed, or drops what a test names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::flow::Transport;
use crate::ua::{CallHandle, Config, Outgoing, Output, UserAgent};
use crate::{Flow, ListenerId, Message};

pub(super) const ALICE: usize = 0;
pub(super) const BOB: usize = 1;
const ADDRESSES: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];
pub(super) const CONTACTS: [&str; 2] = ["<sip:alice@192.0.2.1:5060>", "<sip:bob@192.0.2.2:5060>"];

pub(super) struct Link {
    pub(super) agents: [UserAgent; 2],
    pub(super) now: Instant,
    start: Instant,
    /// Share of datagrams that are lost, in percent.
    pub(super) loss: u64,
    /// Start lines (by their beginning) of datagrams to lose, each once.
    pub(super) drop_next: Vec<&'static str>,
    random: u64,
    wire: BTreeMap<(Instant, u64), (usize, Bytes)>,
    sent: u64,
    /// The first line of everything that was sent, by whom and when (in ms since the start).
    pub(super) trace: Vec<(u128, usize, String)>,
    pub(super) messages: Vec<(usize, String)>,
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn epoch() -> Instant {
    Instant::now()
}

pub(super) fn flow_to(agent: usize) -> Flow {
    let remote: SocketAddr = ADDRESSES[agent].parse().unwrap();
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote, connection: None, domain: None }
}

pub(super) fn outgoing<'a>() -> Outgoing<'a> {
    let to = "<sip:bob@example.com>";
    Outgoing {
        contact: Some(CONTACTS[ALICE]),
        ..Outgoing::new("sip:bob@192.0.2.2", "<sip:alice@example.com>", to, flow_to(BOB))
    }
}

impl Link {
    pub(super) fn new(seed: u64) -> Self {
        let agent = |at: usize| {
            let config = Config { sent_by: ADDRESSES[at].to_owned(), ..Config::default() };
            UserAgent::new(config, [seed, at as u64], 100)
        };
        let start = epoch();
        Self {
            agents: [agent(ALICE), agent(BOB)],
            now: start,
            start,
            loss: 0,
            drop_next: Vec::new(),
            random: seed,
            wire: BTreeMap::new(),
            sent: 0,
            trace: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// SplitMix64.
    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    /// Puts what the agents send on the wire and returns what they want known.
    pub(super) fn flush(&mut self) -> Vec<(usize, Output)> {
        let mut events = Vec::new();
        for agent in [ALICE, BOB] {
            while let Some(output) = self.agents[agent].poll_output() {
                match output {
                    Output::Transmit(transmit) => self.transmit(agent, transmit.flow, transmit.bytes),
                    other => events.push((agent, other)),
                }
            }
        }
        events
    }

    fn transmit(&mut self, from: usize, flow: Flow, bytes: Bytes) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = text.lines().next().unwrap().to_owned();
        let to = ADDRESSES.iter().position(|address| flow.remote == address.parse().unwrap()).expect(&line);
        assert_ne!(from, to, "{line} sent to itself");
        self.trace.push(((self.now - self.start).as_millis(), from, line.clone()));
        self.messages.push((from, text));
        if let Some(at) = self.drop_next.iter().position(|start| line.starts_with(start)) {
            self.drop_next.remove(at);
            return;
        }
        if self.random(100) < self.loss {
            return;
        }
        let delay = if self.loss == 0 { 10 } else { 5 + self.random(60) };
        self.sent += 1;
        self.wire.insert((self.now + Duration::from_millis(delay), self.sent), (to, bytes));
    }

    /// The time of the next thing to happen.
    pub(super) fn next(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        self.agents.iter().map(UserAgent::poll_timeout).chain([wire]).flatten().min()
    }

    /// Lets the next thing happen; `None` where nothing is left to happen before `until`.
    pub(super) fn step(&mut self, until: Instant) -> Option<Vec<(usize, Output)>> {
        let at = self.next().filter(|at| *at <= until)?;
        self.now = self.now.max(at);
        let now = self.now;
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, bytes) = entry.remove();
            let from = flow_to(1 - to);
            self.agents[to].handle_message(Message::parse(bytes).unwrap(), from, now);
        } else {
            self.agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
        }
        Some(self.flush())
    }

    /// Runs until an agent puts out what is asked for.
    pub(super) fn until<T>(&mut self, mut wanted: impl FnMut(usize, &Output) -> Option<T>) -> T {
        let deadline = self.now + Duration::from_secs(300);
        let mut events = self.flush();
        loop {
            if let Some(found) = events.iter().find_map(|(agent, output)| wanted(*agent, output)) {
                return found;
            }
            events = self.step(deadline).unwrap_or_else(|| panic!("it never came: {:#?}", self.trace));
        }
    }

    /// Runs for a time and returns what was put out.
    pub(super) fn run(&mut self, time: Duration) -> Vec<(usize, Output)> {
        let until = self.now + time;
        let mut events = self.flush();
        while let Some(more) = self.step(until) {
            events.extend(more);
        }
        self.now = until;
        events
    }

    /// Runs until nothing is left to happen, and checks that nothing is left.
    pub(super) fn drain(&mut self) -> Vec<(usize, Output)> {
        let events = self.run(Duration::from_secs(3_600));
        for (agent, state) in self.agents.iter().enumerate() {
            assert!(state.is_idle(), "agent {agent} is left with something: {:#?}", self.trace);
        }
        events
    }

    /// Alice calls Bob, who answers; returns both handles.
    pub(super) fn establish(&mut self) -> (CallHandle, CallHandle) {
        let alice = self.agents[ALICE].invite(&outgoing(), self.now).unwrap();
        let bob = self.invited();
        self.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, self.now);
        self.until(|agent, output| matches!(output, Output::Acked { .. } if agent == BOB).then_some(()));
        (alice, bob)
    }

    pub(super) fn invited(&mut self) -> CallHandle {
        self.until(|_, output| match output {
            Output::Invited { call, .. } => Some(*call),
            _ => None,
        })
    }

    /// How often an agent sent something that begins so.
    pub(super) fn count(&self, agent: usize, start: &str) -> usize {
        self.trace.iter().filter(|(_, from, line)| *from == agent && line.starts_with(start)).count()
    }

    /// The last message of an agent that begins so.
    pub(super) fn last(&self, agent: usize, start: &str) -> &str {
        let found = self.messages.iter().rfind(|(from, text)| *from == agent && text.starts_with(start));
        found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("no {start} in {:#?}", self.trace))
    }
}
