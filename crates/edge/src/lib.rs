//! What this edge adds to a proxy, without IO: trust zones, challenges, caller identity, charge cues.
//!
//! [`Edge`] owns the proxy core of `cusax-sip` and decides for it. A message goes in with
//! [`Edge::handle_message`]; what the edge needs to know of accounts it asks by [`Output::Accounts`]; what it wants
//! sent, told or shown to the caller over XMPP comes out of [`Edge::poll_output`].

#![forbid(unsafe_code)]

mod account;
mod admission;
mod auth;
pub mod call_info;
mod charge;
pub mod config;
mod connection;
mod cue;
mod domain;
mod identity;
mod locate;
mod maddr;
mod overload;
mod privacy;
mod rate;
mod request;
mod response;
mod retired;
mod route;
mod session;
mod shedding;
mod story;
mod token;
mod upstream;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cusax_event::sip::{DropReason, Dropped, NumberClass};
use cusax_event::{Event, SessionId};
use cusax_sip::proxy::{self, Proxy};
use cusax_sip::validate::request_defect;
use cusax_sip::{ConnectionId, Edit, Flow, Message, Name, Transmit, Transport, stun};

pub use account::{Account, AccountKey};
pub use config::{Config, FOCUS};
pub use cusax_sip::proxy::ContextId;
pub use locate::LocateId;
pub use retired::Retired;

use auth::Auth;
use config::{CUE, Zone};
use connection::Connection;
use cue::VirtualUas;
use domain::Domains;
use locate::Lookups;
use overload::Overload;
use rate::Rates;
use request::Request;
use route::{Origin, Route, Target, Way};
use upstream::{Told, Upstreams};

/// A message to the caller about charges, for his JID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// His bare JID.
    pub to: String,
    /// What it says.
    pub text: String,
    /// The number.
    pub number: String,
    /// Its class.
    pub class: NumberClass,
    /// The call's session.
    pub session: Option<SessionId>,
}

/// What the edge wants done or known.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an output is moved once; a box would cost an allocation for each message"
)]
pub enum Output {
    /// Bytes to send.
    Transmit(Transmit),
    /// A message for the focus.
    Focus {
        /// The message.
        bytes: Bytes,
        /// The flow that its answers come in on.
        flow: Flow,
    },
    /// Accounts to look up; the answer goes to [`Edge::handle_accounts`].
    Accounts {
        /// The request that waits.
        query: ContextId,
        /// The caller's.
        caller: Option<AccountKey>,
        /// The callee's.
        callee: Option<AccountKey>,
    },
    /// A next hop to locate (RFC 3263); what comes of it goes to [`Edge::handle_located`].
    Locate {
        /// What waits.
        query: LocateId,
        /// The next hop.
        target: cusax_sip::location::Target,
        /// The transports that can be spoken, the most liked first.
        spoken: Vec<Transport>,
    },
    /// A message to the caller over XMPP.
    Headline(Headline),
    /// Something happened.
    Event(Event),
}

/// The SIP edge of one worker.
pub struct Edge {
    config: Config,
    proxy: Proxy,
    auth: Auth,
    cue: VirtualUas,
    upstreams: Upstreams,
    lookups: Lookups,
    requests: HashMap<ContextId, Box<Request>>,
    /// Calls for help that are being set up.
    emergencies: HashMap<ContextId, rate::Key>,
    rates: Rates,
    overload: Overload,
    connections: HashMap<ConnectionId, Connection>,
    domains: Domains,
    outputs: VecDeque<Output>,
    started: Instant,
    unix_at_start: u64,
}

impl Edge {
    /// Makes an edge. `seed` must differ between starts; `unix` is the time in seconds since 1970 at `now`.
    #[must_use]
    pub fn new(config: Config, seed: [u64; 4], unix: u64, now: Instant) -> Self {
        let here = config.listeners.first().map_or("localhost", |listener| &listener.sent_by);
        let contact = format!("sip:{}@{here}", cue::USER);
        Self {
            proxy: Proxy::new([seed[0], seed[1]], config.limits.all_transactions()),
            auth: Auth::new(seed[2]),
            cue: VirtualUas::new([seed[3], seed[2]], config.limits.transactions, contact, config.domain.clone()),
            upstreams: Upstreams::new(&config, [seed[1], seed[3]], now),
            lookups: Lookups::default(),
            requests: HashMap::new(),
            emergencies: HashMap::new(),
            rates: Rates::new([seed[2], seed[0]]),
            overload: Overload::default(),
            connections: HashMap::new(),
            domains: Domains::default(),
            outputs: VecDeque::new(),
            started: now,
            unix_at_start: unix,
            config,
        }
    }

    /// Takes one whole message from a flow.
    pub fn handle_message(&mut self, bytes: Bytes, flow: Flow, now: Instant) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            // A keep-alive (RFC 5626 §4.4.1 over streams; NAT keep-alives of any content over UDP).
            return;
        }
        if flow.transport == Transport::Udp && stun::is_stun(&bytes) {
            // A keep-alive as well (RFC 5626 §4.4.2), with an answer that shows the phone its address.
            let asks = self.config.listener(flow.listener).is_some_and(|listener| listener.zone == Zone::Access);
            match stun::answer(&bytes, flow.remote).filter(|_| asks) {
                Some(answer) => self.outputs.push_back(Output::Transmit(Transmit { flow, bytes: answer.into() })),
                None => self.drop(DropReason::Malformed, &flow, "no STUN binding request of a phone"),
            }
            return;
        }
        let parsed = Message::parse(bytes).map(|message| maddr::arrived(&self.config, message, &flow));
        match parsed.map(|message| route::straighten(&self.config, message)) {
            // A response proves itself by the branch that it brings back, from wherever the request was sent to.
            Ok(message) if message.is_request() && !self.admits(&flow) && !self.ends(&message, &flow) => {
                self.drop(DropReason::Acl, &flow, "not a configured source of this zone");
            }
            Err(_) if !self.admits(&flow) => self.drop(DropReason::Acl, &flow, "not a configured source of this zone"),
            Ok(message) if message.is_request() => self.take(message, flow, now),
            Ok(message) => {
                if let Some(message) = self.upstreams.handle_response(message, flow, now) {
                    self.take(message, flow, now);
                }
            }
            Err(error) => self.drop(DropReason::Malformed, &flow, error.reason),
        }
        self.run_inside(now);
    }

    /// Takes the core targets as they are found now; what is known of those that stay is kept.
    pub fn handle_core(&mut self, core: Vec<config::CoreTarget>, now: Instant) {
        self.config.follow(core);
        self.follow_core(now);
    }

    fn follow_core(&mut self, now: Instant) {
        for event in self.upstreams.follow(&self.config, now) {
            self.tell(event);
        }
        self.run_inside(now);
    }

    /// Takes word that a flow does not reach its other end.
    pub fn handle_unreachable(&mut self, flow: &Flow, now: Instant) {
        self.upstreams.handle_unreachable(flow);
        self.proxy.handle_unreachable(flow, now);
        self.drain(now);
        self.run_inside(now);
    }

    /// Takes word by ICMP that a datagram did not arrive, with what it quotes of it.
    pub fn handle_bounced(&mut self, flow: &Flow, quoted: &[u8], now: Instant) {
        self.upstreams.handle_bounced(flow, quoted);
        self.proxy.handle_bounced(flow, quoted, now);
        self.drain(now);
        self.run_inside(now);
    }

    /// Takes the accounts that were asked for.
    pub fn handle_accounts(
        &mut self,
        query: ContextId,
        caller: Option<Account>,
        callee: Option<Account>,
        now: Instant,
    ) {
        self.decide(query, caller, callee, now);
        self.drain(now);
        self.run_inside(now);
    }

    /// Takes note that something was dropped before it got here.
    pub fn handle_dropped(&mut self, reason: DropReason, flow: &Flow, detail: &'static str) {
        self.drop(reason, flow, detail);
    }

    /// Runs timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.proxy.handle_timeout(now);
        self.cue.handle_timeout(now);
        self.watch_load(now);
        self.drain(now);
        self.run_inside(now);
    }

    /// When [`Edge::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.proxy.poll_timeout(), self.cue.poll_timeout(), self.upstreams.poll_timeout()].into_iter().flatten().min()
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Requests, client transactions, server transactions and early dialogs of the virtual UAS that live now.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        let (_, clients, servers) = self.proxy.counts();
        [self.requests.len(), clients, servers, self.cue.len()]
    }

    /// Server and client transactions that live now, each as INVITE and other.
    #[must_use]
    pub fn transactions(&self) -> [[usize; 2]; 2] {
        let ((_, clients, servers), (invite_clients, invite_servers)) = (self.proxy.counts(), self.proxy.invites());
        [[invite_servers, servers - invite_servers], [invite_clients, clients - invite_clients]]
    }

    fn take(&mut self, message: Message, flow: Flow, now: Instant) {
        let told = self.outputs.len();
        self.tell(story::received(&self.config, &message, &flow));
        self.proxy.handle_message(message, flow, now);
        if self.drain(now)
            && let Some(Output::Event(Event::SipMessage(event))) = self.outputs.get_mut(told)
        {
            event.retransmission = true;
        }
    }

    /// Carries messages between the proxy and those inside until none has more to say.
    fn run_inside(&mut self, now: Instant) {
        for told in self.upstreams.run(now) {
            match told {
                Told::Transmit(transmit) => self.outputs.push_back(Output::Transmit(transmit)),
                Told::Event(event) => self.tell(event),
                Told::Dead(remote) => {
                    self.proxy.handle_dead(remote, now);
                    self.drain(now);
                }
            }
        }
        while let Some(transmit) = self.cue.poll_transmit(now) {
            match Message::parse(transmit.bytes) {
                Ok(message) => self.take(message, transmit.flow, now),
                Err(error) => self.drop(DropReason::Malformed, &transmit.flow, error.reason),
            }
        }
        self.cue.clear();
    }

    /// Does what the proxy core says; true where the message that went in was a retransmission.
    fn drain(&mut self, now: Instant) -> bool {
        let mut absorbed = false;
        while let Some(output) = self.proxy.poll_output() {
            match output {
                proxy::Output::Transmit { transmit, again } => self.transmit(transmit, again, now),
                proxy::Output::Request { context, message, flow } => self.request(context, message, flow, now),
                proxy::Output::Ack { message, flow } => self.acknowledge(&message, flow, now),
                proxy::Output::Response { context, message, flow } => self.response(context, message, flow, now),
                proxy::Output::Answered { context, status, duration } => {
                    self.emergencies.remove(&context);
                    self.answered(context, status, duration);
                }
                proxy::Output::BranchFailed { context, flow, timer } => self.branch_failed(context, &flow, timer, now),
                proxy::Output::Closed { context } => {
                    self.emergencies.remove(&context);
                    self.requests.remove(&context);
                }
                proxy::Output::Absorbed { .. } => absorbed = true,
                proxy::Output::Unacknowledged { context } => self.unacknowledged(context),
                proxy::Output::Dropped { reason, flow, detail } => self.drop(reason, &flow, detail),
            }
        }
        absorbed
    }

    fn transmit(&mut self, transmit: Transmit, again: bool, now: Instant) {
        let flow = transmit.flow;
        self.tell(story::sent(&self.config, &transmit.bytes, &flow, again));
        if again && !transmit.bytes.starts_with(b"SIP/2.0 ") {
            self.upstreams.suspect(&flow, now);
        }
        match flow.listener {
            CUE => {
                if let Ok(message) = Message::parse(transmit.bytes) {
                    self.cue.handle_message(message, flow, now);
                }
            }
            FOCUS => self.outputs.push_back(Output::Focus { bytes: transmit.bytes, flow }),
            _ => self.outputs.push_back(Output::Transmit(transmit)),
        }
    }

    /// Forwards an ACK to a 2xx (RFC 3261 §16.11); one that goes nowhere is dropped, for an ACK has no answer.
    fn acknowledge(&mut self, message: &Arc<Message>, flow: Flow, now: Instant) {
        if let Some(defect) = request_defect(message) {
            return self.drop(DropReason::Malformed, &flow, defect.reason);
        }
        if message.max_forwards() == Some(0) {
            return self.drop(DropReason::MaxForwards, &flow, "ACK ran out of Max-Forwards");
        }
        let origin = self.origin_of(&flow);
        let found = route::preprocess(&self.config, message, &flow).and_then(|route| {
            let within = route.dialog || origin != Origin::Access;
            let way = self.config.target(message, origin, &route, None, self.upstreams.flows().next())?;
            Ok((way, route, within))
        });
        // One that is of no call through us goes nowhere, whoever sends it.
        match found {
            Ok((Way::To(target), route, true)) => self.pass_ack(message, flow, target, &route, now),
            Ok((Way::Locate(name), route, true)) => self.locate_for_ack(Arc::clone(message), flow, route, name),
            Ok((_, _, false)) | Err(_) => self.drop(DropReason::Flow, &flow, "ACK has no route"),
        }
    }

    fn pass_ack(&mut self, message: &Arc<Message>, flow: Flow, mut target: Target, route: &Route, now: Instant) {
        if route.is_sips(message) && !target.is_secure() {
            return self.drop(DropReason::Flow, &flow, "no secure way for an ACK to a sips address");
        }
        let origin = self.origin_of(&flow);
        let mut edit = Edit::new(Arc::clone(message));
        route::follow(route, message, &mut edit);
        let correlation = self.correlation(message);
        if let Err(reason) = self.clean(message, origin, false, &correlation, &mut edit) {
            return self.drop(DropReason::Acl, &flow, reason);
        }
        let (id, missing) = session::of(&self.config.keys.session, message, None);
        if missing {
            edit.set(Name::SessionId, &id.to_string());
        }
        self.expect(&mut target);
        let hop = self.hop(target.flow, edit, false);
        self.proxy.forward_stateless(hop, now);
    }

    fn unix(&self, now: Instant) -> u64 {
        self.unix_at_start + now.saturating_duration_since(self.started).as_secs()
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn drop(&mut self, reason: DropReason, flow: &Flow, detail: &'static str) {
        let remote = Some(flow.remote);
        self.tell(Event::SipDropped(Dropped { reason, transport: flow.transport, remote, count: 1, detail }));
    }
}

impl config::Peer {
    /// True where an address is in one of its networks.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.sources.iter().any(|(network, length)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(u32::from(*length));
                u32::from(*network).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(u32::from(*length));
                u128::from(*network).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        })
    }
}
