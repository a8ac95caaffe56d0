//! The core targets' health: OPTIONS probes of each resolved address, and what real traffic shows.
//!
//! A target is probed every [`INTERVAL`], and at once when a request to it had to be repeated or failed. One that does not
//! answer within [`PATIENCE`] is probed again at once; [`FAILURES`] failures in a row and it is down. So a dead target is
//! known after at most 9 s (5 + 2 × 2) without traffic and about 4.5 s with it; then what waits on it is tried elsewhere.
//! One that answers 503 is draining: its dialogs go on, new requests go to others. The first answer makes it up again, at
//! most 7 s after it can give one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::sip::{ProbeResult, UpstreamChanged, UpstreamProbed, UpstreamState};
use cusax_sip::flow::via_name;
use cusax_sip::transaction::{Layer, Output};
use cusax_sip::{Compose, Flow, Message, Method, Transmit};

use crate::config::{Config, CoreTarget, Zone};

/// Between two probes of a target.
const INTERVAL: Duration = Duration::from_secs(5);
/// For the answer to a probe.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two probes of a target that requests make doubtful.
const SUSPECT: Duration = Duration::from_secs(1);
/// Probes that must fail in a row.
const FAILURES: u32 = 2;

/// What is known of one target.
struct Target {
    /// Never used twice.
    number: u64,
    flow: Flow,
    name: Arc<str>,
    sent_by: String,
    state: UpstreamState,
    failures: u32,
    /// When the next probe is due, or the answer to the one that is out.
    due: Instant,
    /// When it was last asked.
    last: Instant,
    /// The probe that is out, and since when.
    asked: Option<(cusax_sip::transaction::ClientId, Instant)>,
}

/// All core targets, in the order in which they are configured.
pub(crate) struct Upstreams {
    targets: Vec<Target>,
    layer: Layer,
    domain: String,
    last: u64,
}

/// What the probes want done or told.
#[expect(clippy::large_enum_variant, reason = "it is moved once, a few times in a second")]
pub(crate) enum Told {
    Transmit(Transmit),
    Event(Event),
    /// Whoever waits for this server may ask another.
    Dead(SocketAddr),
}

impl Upstreams {
    /// All targets count as up until they are known to be not.
    pub(crate) fn new(config: &Config, seed: [u64; 2], now: Instant) -> Self {
        let mut upstreams =
            Self { targets: Vec::new(), layer: Layer::new(seed, 64), domain: config.domain.clone(), last: 0 };
        upstreams.follow(config, now);
        upstreams
    }

    /// Takes the targets as they are now; those that were there before keep their state. Returns what changed of the
    /// configured ones.
    pub(crate) fn follow(&mut self, config: &Config, now: Instant) -> Vec<Event> {
        let names: Vec<Arc<str>> = config.core.iter().map(|core| Arc::clone(&core.name)).collect();
        let states: Vec<UpstreamState> = names.iter().map(|name| self.state_of(name)).collect();
        let mut before = std::mem::take(&mut self.targets);
        for core in &config.core {
            let Some(flow) = config.to_target(core) else { continue };
            let Some(listener) = config.listener(flow.listener) else { continue };
            let same = |target: &Target| target.flow == flow && target.name == core.name;
            let target = before.iter().position(same).map(|index| before.swap_remove(index)).unwrap_or_else(|| {
                self.last += 1;
                let (number, name, sent_by) = (self.last, Arc::clone(&core.name), listener.sent_by.clone());
                let state = UpstreamState::Up;
                Target { number, flow, name, sent_by, state, failures: 0, due: now, last: now, asked: None }
            });
            self.targets.push(target);
        }
        for (client, _) in before.into_iter().filter_map(|target| target.asked) {
            self.layer.abandon(client);
        }
        let mut changed = Vec::new();
        for (upstream, state) in names.into_iter().zip(states) {
            let now = self.state_of(&upstream);
            if now != state && !changed.iter().any(|(known, _)| *known == upstream) {
                changed.push((upstream, now));
            }
        }
        changed
            .into_iter()
            .map(|(upstream, state)| Event::SipUpstreamChanged(UpstreamChanged { upstream, state }))
            .collect()
    }

    /// The targets in the order in which a new request tries them: those that are up first.
    pub(crate) fn flows(&self) -> impl Iterator<Item = Flow> {
        let with = |state| self.targets.iter().filter(move |target| target.state == state).map(|target| target.flow);
        with(UpstreamState::Up).chain(with(UpstreamState::Draining)).chain(with(UpstreamState::Down))
    }

    /// Takes a response that may be to a probe; gives it back where it is not.
    pub(crate) fn handle_response(&mut self, message: Message, flow: Flow, now: Instant) -> Option<Message> {
        if !self.layer.is_ours(&message) {
            return Some(message);
        }
        self.layer.handle_message(message, flow, now);
        None
    }

    /// Takes note that a request to a flow was repeated or failed: the next probe is due now.
    pub(crate) fn suspect(&mut self, flow: &Flow, now: Instant) {
        let here = |target: &&mut Target| target.flow.remote == flow.remote && target.state != UpstreamState::Down;
        for target in self.targets.iter_mut().filter(here).filter(|target| target.asked.is_none()) {
            // Not more than one a second, however many requests are slow.
            target.due = target.due.min(target.last + SUSPECT).max(now);
        }
    }

    pub(crate) fn handle_unreachable(&mut self, flow: &Flow) {
        self.layer.handle_unreachable(flow);
    }

    pub(crate) fn handle_bounced(&mut self, flow: &Flow, quoted: &[u8]) {
        self.layer.handle_bounced(flow, quoted);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.targets.iter().map(|target| target.due).chain(self.layer.poll_timeout()).min()
    }

    /// Runs what is due, and says what to do about it.
    pub(crate) fn run(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        self.layer.handle_timeout(now);
        self.drain(&mut told, now);
        for index in 0..self.targets.len() {
            if self.targets[index].due > now {
                continue;
            }
            match self.targets[index].asked.take() {
                Some((client, since)) => {
                    self.layer.abandon(client);
                    self.ended(index, ProbeResult::Failed, now - since, &mut told, now);
                }
                None => self.ask(index, now),
            }
            self.drain(&mut told, now);
        }
        told
    }

    /// Sends a probe.
    fn ask(&mut self, index: usize, now: Instant) {
        let tag = self.layer.tag();
        let Some(target) = self.targets.get_mut(index) else { return };
        (target.due, target.last) = (now + PATIENCE, now);
        let opened = self.layer.open(Method::Options, target.flow, target.number, None);
        let Some((client, branch)) = opened else { return };
        target.asked = Some((client, now));
        let uri: &str = &target.name;
        let via = format!("SIP/2.0/{} {};rport;branch={branch}", via_name(target.flow.transport), target.sent_by);
        let bytes = Compose::request("OPTIONS", uri)
            .header("Via", &via)
            .header("Max-Forwards", "70")
            .header("From", &format!("<sip:{}>;tag={tag}", self.domain))
            .header("To", &format!("<{uri}>"))
            .header("Call-ID", &format!("probe-{tag}"))
            .header("CSeq", "1 OPTIONS")
            .header("Accept", "application/sdp")
            .empty();
        self.layer.start(client, bytes, now);
    }

    fn drain(&mut self, told: &mut Vec<Told>, now: Instant) {
        while let Some(output) = self.layer.poll_output() {
            let (owner, result) = match output {
                Output::Transmit { transmit, .. } => {
                    told.push(Told::Transmit(transmit));
                    continue;
                }
                Output::Response { owner, message, .. } => match message.status() {
                    Some(503) => (owner, ProbeResult::Unavailable),
                    Some(200..) => (owner, ProbeResult::Ok),
                    _ => continue,
                },
                Output::TimedOut { owner, .. } | Output::Unreachable { owner, .. } => (owner, ProbeResult::Failed),
                Output::Request { .. }
                | Output::Ack { .. }
                | Output::Absorbed { .. }
                | Output::Unacknowledged { .. }
                | Output::Dropped { .. } => continue,
            };
            let Some(index) = self.targets.iter().position(|target| target.number == owner) else { continue };
            let asked = self.targets.get_mut(index).and_then(|target| target.asked.take());
            if let Some((client, since)) = asked {
                self.layer.abandon(client);
                self.ended(index, result, now - since, told, now);
            }
        }
    }

    /// Draws the conclusion from a probe.
    fn ended(&mut self, index: usize, result: ProbeResult, duration: Duration, told: &mut Vec<Told>, now: Instant) {
        let Some(target) = self.targets.get_mut(index) else { return };
        let upstream = Arc::clone(&target.name);
        told.push(Told::Event(Event::SipUpstreamProbed(UpstreamProbed { upstream, result, duration })));
        target.failures = if result == ProbeResult::Failed { target.failures.saturating_add(1) } else { 0 };
        let state = match result {
            ProbeResult::Ok => UpstreamState::Up,
            ProbeResult::Unavailable => UpstreamState::Draining,
            ProbeResult::Failed if target.failures >= FAILURES => UpstreamState::Down,
            ProbeResult::Failed => target.state,
        };
        // A first failure is made sure of at once.
        let again = result == ProbeResult::Failed && target.failures < FAILURES;
        target.due = if again { now } else { now + INTERVAL };
        let (name, flow) = (Arc::clone(&target.name), target.flow);
        let before = self.state_of(&name);
        if let Some(target) = self.targets.get_mut(index) {
            target.state = state;
        }
        let state = self.state_of(&name);
        if state != before {
            told.push(Told::Event(Event::SipUpstreamChanged(UpstreamChanged { upstream: name, state })));
        }
        let dead = self.targets.get(index).is_some_and(|target| target.state == UpstreamState::Down);
        if dead && self.targets.iter().any(|target| target.state != UpstreamState::Down) {
            told.push(Told::Dead(flow.remote));
        }
    }

    /// The state of a configured target, which is the best of its addresses'.
    fn state_of(&self, name: &str) -> UpstreamState {
        let states = self.targets.iter().filter(|target| &*target.name == name).map(|target| target.state);
        states.min_by_key(|state| *state as usize).unwrap_or(UpstreamState::Up)
    }
}

impl Config {
    /// The flow that reaches a core target.
    pub(crate) fn to_target(&self, core: &CoreTarget) -> Option<Flow> {
        let (listener, _) = self.listener_for(Zone::Core, core.transport, core.address.ip())?;
        Some(Flow { listener, transport: core.transport, remote: core.address, connection: None, domain: None })
    }
}
