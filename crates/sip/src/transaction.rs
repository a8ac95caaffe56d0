//! The transaction layer (RFC 3261 §17 as changed by RFC 6026): four state machines over injected time.
//!
//! A request that begins a server transaction comes out as [`Output::Request`]; its user answers with
//! [`Layer::respond`]. A user opens a client transaction with [`Layer::open`], writes the branch it got into the
//! request's Via, and [`Layer::start`]s it; responses come out as [`Output::Response`]. Retransmissions, the ACK to a
//! final response other than 2xx, and timers are this layer's own business.

mod client;
mod key;
mod server;
mod timer;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use memchr::memmem;
use slab::Slab;

pub use key::{ClientId, MAGIC_COOKIE, ServerId};
pub use timer::{T1, T2, T4, T64, TRYING};

use crate::method::Method;
use crate::name::Name;
use crate::{ConnectionId, Flow, Message, Transmit, Transport, Via};
use client::Client;
use cusax_event::sip::{DropReason, Timer};
use key::Secret;
use server::Server;
pub(crate) use timer::Timers;

/// What the layer wants done or known.
#[derive(Debug)]
pub enum Output {
    /// Bytes to send.
    Transmit {
        /// Where and what.
        transmit: Transmit,
        /// True where these bytes were sent before.
        again: bool,
    },
    /// A request that began a server transaction. A CANCEL names the request that it is about, where that is known.
    Request {
        /// The transaction to answer on.
        server: ServerId,
        /// The request.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
        /// For CANCEL: the transaction that it is about, an INVITE's or one that it cannot end, and its owner's tag.
        cancels: Option<(ServerId, u64)>,
    },
    /// An ACK that belongs to no transaction: it acknowledges a 2xx.
    Ack {
        /// The ACK.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A response; every 2xx to INVITE comes up, also a repeated one (RFC 6026 §7.2).
    Response {
        /// The transaction it belongs to.
        client: ClientId,
        /// Its owner's tag.
        owner: u64,
        /// The response.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A retransmission that was absorbed.
    Absorbed {
        /// What came.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A client transaction ended without a final response (timer B or F).
    TimedOut {
        /// Its owner's tag.
        owner: u64,
        /// The transaction.
        client: ClientId,
        /// The timer that fired.
        timer: Timer,
    },
    /// A client transaction ended because the transport said so.
    Unreachable {
        /// Its owner's tag.
        owner: u64,
        /// The transaction.
        client: ClientId,
    },
    /// No ACK came for a final response (timer H).
    Unacknowledged {
        /// Its owner's tag.
        owner: u64,
    },
    /// Something was dropped.
    Dropped {
        /// Why.
        reason: DropReason,
        /// Where it came from.
        flow: Flow,
        /// What was wrong.
        detail: &'static str,
    },
}

#[derive(Clone, Copy, Debug)]
enum TimerKey {
    Client(ClientId, client::Alarm),
    Server(ServerId, server::Alarm),
}

/// All transactions of one worker.
pub struct Layer {
    secret: Secret,
    generation: u32,
    limit: usize,
    clients: Slab<Client>,
    servers: Slab<Server>,
    /// INVITE transactions among the clients and among the servers.
    invites: (usize, usize),
    index: HashMap<u128, u32>,
    /// Transactions of each connection: most connections that end have none, and need no search.
    held: HashMap<ConnectionId, u32>,
    timers: Timers<TimerKey>,
    outputs: VecDeque<Output>,
}

impl Layer {
    /// Makes an empty layer. `seed` must differ between starts; at most `limit` transactions of each side live at a
    /// time.
    #[must_use]
    pub fn new(seed: [u64; 2], limit: usize) -> Self {
        let secret = Secret::new(seed);
        Self {
            secret,
            // Branches must not repeat after a restart (RFC 3261 §8.1.1.7).
            generation: secret.first_generation(),
            limit,
            clients: Slab::new(),
            servers: Slab::new(),
            invites: (0, 0),
            index: HashMap::new(),
            held: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes another limit; transactions beyond it that live already stay.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes a message that was received on a flow.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        if message.is_request() {
            self.handle_request(message, flow, now);
        } else {
            self.handle_response(message, flow, now);
        }
    }

    /// Takes word that a flow does not reach its other end: its unanswered client transactions end, and answers to what came
    /// by a connection go by a new one.
    pub fn handle_unreachable(&mut self, flow: &Flow) {
        if flow.connection.is_some_and(|connection| !self.held.contains_key(&connection)) {
            return;
        }
        let lost: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| client.waits_on(flow))
            .filter_map(|(slot, client)| {
                Some(ClientId { slot: u32::try_from(slot).ok()?, generation: client.generation })
            })
            .collect();
        for id in lost {
            // A CANCEL that did not get through says nothing about its INVITE.
            if let Some(client) = self.remove_client(id).filter(|client| !client.is_cancel()) {
                self.outputs.push_back(Output::Unreachable { owner: client.owner, client: id });
            }
        }
        // Nobody is called by WebSocket (RFC 7118 §5).
        if flow.connection.is_some() && matches!(flow.transport, Transport::Tcp | Transport::Tls) {
            self.reply_anew(flow);
        }
    }

    /// Takes word by ICMP that a datagram did not arrive, with what it quotes of it: the transaction whose branch is quoted
    /// ends. Anybody can make up the rest of such a message.
    pub fn handle_bounced(&mut self, flow: &Flow, quoted: &[u8]) {
        let branch = memmem::find(quoted, b";branch=").map(|at| &quoted[at + 8..]);
        let text = branch.and_then(|rest| {
            let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')?;
            std::str::from_utf8(&rest[..end]).ok()
        });
        let Some((id, _)) = text.and_then(|branch| self.secret.client(branch)) else { return };
        let cancels = quoted.starts_with(b"CANCEL ");
        let waits = self.clients.get(id.slot as usize).is_some_and(|client| client.waits_on(flow));
        if let Some(client) = (waits && !cancels).then(|| self.remove_client(id)).flatten() {
            self.outputs.push_back(Output::Unreachable { owner: client.owner, client: id });
        }
    }

    /// Runs timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.expire(now) {
            match key {
                TimerKey::Client(id, alarm) => self.client_alarm(id, alarm, now),
                TimerKey::Server(id, alarm) => self.server_alarm(id, alarm, now),
            }
        }
    }

    /// When [`Layer::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// True where a response is to a request of this layer, also to one that is over.
    #[must_use]
    pub fn is_ours(&self, response: &Message) -> bool {
        response.top_via().is_some_and(|via| self.secret.client(via.branch()).is_some())
    }

    /// Client and server transactions that live now.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Those of them that are INVITE transactions.
    #[must_use]
    pub fn invites(&self) -> (usize, usize) {
        self.invites
    }

    /// Sends bytes that belong to no transaction: an ACK to a 2xx, a stateless response.
    pub fn send_stateless(&mut self, flow: Flow, bytes: Bytes) {
        self.transmit(flow, bytes, false);
    }

    /// A fresh tag for a From or To of ours (RFC 3261 §19.3); it tells nothing of the seed.
    #[must_use]
    pub fn tag(&mut self) -> String {
        let number = self.next_generation();
        self.secret.tag(number)
    }

    /// The tag for an answer that is given by [`Layer::respond_once`].
    #[must_use]
    pub fn stateless_tag(&self, request: &Message) -> String {
        self.secret.stateless_tag(request)
    }

    /// What a decision about a request rests on, and whether the same decision was made for it before: the request loops
    /// (RFC 5393 §4.2).
    #[must_use]
    pub fn decision(&self, request: &Message, flow: &Flow) -> (u32, bool) {
        let decision = self.secret.decision(request, flow.listener.0);
        let mut ours = request.values(Name::Via).filter_map(|via| self.secret.client(Via::parse(via)?.branch()));
        (decision, ours.any(|(_, decided)| decided == Some(decision)))
    }

    /// A branch for a request that is forwarded without a transaction (ACK to 2xx).
    #[must_use]
    pub fn stateless_branch(&mut self) -> String {
        let id = ClientId { slot: u32::MAX, generation: self.next_generation() };
        self.secret.branch(id, None)
    }

    fn hold(&mut self, flow: &Flow) {
        if let Some(connection) = flow.connection {
            *self.held.entry(connection).or_default() += 1;
        }
    }

    fn release(&mut self, flow: &Flow) {
        let Some(connection) = flow.connection else { return };
        if let Entry::Occupied(mut held) = self.held.entry(connection) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes, again: bool) {
        self.outputs.push_back(Output::Transmit { transmit: Transmit { flow, bytes }, again });
    }

    fn drop(&mut self, reason: DropReason, flow: Flow, detail: &'static str) {
        self.outputs.push_back(Output::Dropped { reason, flow, detail });
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    fn arm_client(&mut self, after: Duration, id: ClientId, alarm: client::Alarm, now: Instant) {
        self.timers.arm(after, TimerKey::Client(id, alarm), now);
    }

    fn arm_server(&mut self, after: Duration, id: ServerId, alarm: server::Alarm, now: Instant) {
        self.timers.arm(after, TimerKey::Server(id, alarm), now);
    }
}

/// The method by which a request's transaction is looked up: that of the INVITE for an ACK.
fn matched_method(message: &Message) -> &str {
    match message.method() {
        Method::Ack => Method::Invite.as_str(),
        Method::Invite
        | Method::Bye
        | Method::Cancel
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
        | Method::Other => message.method_text(),
    }
}
