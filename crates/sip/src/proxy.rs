//! The proxy core (RFC 3261 §16): stateful, forking, transaction by transaction.
//!
//! Life of a request: [`Output::Request`] asks the user of this core what to do; it answers with [`Proxy::respond`],
//! or with [`Proxy::forward`] once for each branch. Responses worth sending upstream come out as
//! [`Output::Response`], one at a time and already chosen; the user edits and [`Proxy::relay`]s them. CANCEL, timer C,
//! best response, ACK to failures and retransmissions are handled here and below.

mod best;
mod context;
mod output;
mod response;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use slab::Slab;

pub use context::{ContextId, Hop};
pub use output::Output;

use crate::flow::via_name;
use crate::method::Method;
use crate::name::Name;
use crate::transaction::{self, Layer, ServerId, T64, TRYING, Timers};
use crate::{Compose, Edit, Flow, Message};
use best::Candidate;
use context::{Branch, BranchState, Context};
use cusax_event::sip::DropReason;

/// Timer C (RFC 3261 §16.6 step 11): more than three minutes.
pub const TIMER_C: Duration = Duration::from_secs(185);
/// How often is looked whether timer C has run out: what is armed for minutes takes room for minutes.
const TIMER_C_LOOK: Duration = Duration::from_secs(37);
/// Branches that a request may have at a time where it does not say (RFC 5393 §5.3.3).
const MAX_BREADTH: u32 = 60;
/// Most branches of one request.
pub const MAX_BRANCHES: usize = 32;

#[derive(Clone, Copy, Debug)]
enum Alarm {
    /// Timer C, or the end of patience with a cancelled branch.
    Branch(ContextId, usize),
    /// A context whose 2xx may still be repeated is forgotten.
    Forget(ContextId),
    /// A request other than INVITE that nobody has answered yet is owed a 100 (RFC 4320 §4.1).
    Trying(ContextId),
}

/// All requests that one worker proxies.
pub struct Proxy {
    layer: Layer,
    contexts: Slab<Context>,
    generation: u32,
    timers: Timers<Alarm>,
    outputs: VecDeque<Output>,
}

impl Proxy {
    /// Makes a proxy core. `seed` must differ between starts; at most `limit` transactions of each side live at a
    /// time.
    #[must_use]
    pub fn new(seed: [u64; 2], limit: usize) -> Self {
        Self {
            layer: Layer::new(seed, limit),
            contexts: Slab::new(),
            generation: 0,
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes another limit of transactions ([`Layer::set_limit`]).
    pub const fn set_limit(&mut self, limit: usize) {
        self.layer.set_limit(limit);
    }

    /// Takes a message that was received on a flow.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        self.layer.handle_message(message, flow, now);
        self.drain(now);
    }

    /// Takes word that a flow does not reach its other end.
    pub fn handle_unreachable(&mut self, flow: &Flow, now: Instant) {
        self.layer.handle_unreachable(flow);
        self.drain(now);
    }

    /// Takes word by ICMP that a datagram did not arrive ([`Layer::handle_bounced`]).
    pub fn handle_bounced(&mut self, flow: &Flow, quoted: &[u8], now: Instant) {
        self.layer.handle_bounced(flow, quoted);
        self.drain(now);
    }

    /// Takes word that a server does not answer any more: what waits on it for a first answer is tried at its next
    /// alternate. What has none goes on waiting, for the server may only be slow.
    pub fn handle_dead(&mut self, remote: std::net::SocketAddr, now: Instant) {
        let waits = |context: &Context| {
            let waits = |branch: &Branch| branch.flow.remote == remote && branch.state == BranchState::Calling;
            let another = context.alternates.iter().any(|hop| hop.flow.remote != remote);
            let open = context.answered.is_none() && !context.cancelled && another;
            open.then(|| context.branches.iter().position(|branch| waits(branch) && !branch.superseded)).flatten()
        };
        let found: Vec<(ContextId, usize)> = self
            .contexts
            .iter()
            .filter_map(|(slot, context)| {
                let id = ContextId { slot: u32::try_from(slot).ok()?, generation: context.generation };
                Some((id, waits(context)?))
            })
            .collect();
        for (id, index) in found {
            self.supersede(id, index, now);
            self.drain(now);
        }
    }

    /// Runs timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.drain(now);
        while let Some(alarm) = self.timers.expire(now) {
            match alarm {
                Alarm::Forget(id) => self.close(id),
                Alarm::Branch(id, branch) => self.branch_alarm(id, branch, now),
                Alarm::Trying(id) => self.send_trying(id, now),
            }
            self.drain(now);
        }
    }

    /// When [`Proxy::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.layer.poll_timeout(), self.timers.next()].into_iter().flatten().min()
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Contexts, client transactions and server transactions that live now.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let (clients, servers) = self.layer.counts();
        (self.contexts.len(), clients, servers)
    }

    /// INVITE transactions among the clients and among the servers.
    #[must_use]
    pub fn invites(&self) -> (usize, usize) {
        self.layer.invites()
    }

    /// The request of a context.
    #[must_use]
    pub fn request(&self, id: ContextId) -> Option<&Arc<Message>> {
        self.context(id).map(|context| &context.request)
    }

    /// Where the request of a context came from.
    #[must_use]
    pub fn source(&self, id: ContextId) -> Option<Flow> {
        self.context(id).map(|context| context.flow)
    }

    /// A fresh tag for a To header of ours.
    pub fn tag(&mut self) -> String {
        self.layer.tag()
    }

    /// Answers a request here, as its UAS (a final response), instead of forwarding it.
    pub fn respond(&mut self, id: ContextId, status: u16, bytes: Bytes, now: Instant) {
        let Some(context) = self.context(id).filter(|context| context.answered.is_none()) else { return };
        self.layer.respond(context.server, status, bytes, now);
        if status >= 200 {
            self.answered(id, status, now);
            self.settle(id, now);
        }
        self.drain(now);
    }

    /// Answers a request that nobody has vouched for: once, and nothing is kept of it ([`Layer::respond_once`]). The
    /// answer's To tag is [`Proxy::stateless_tag`].
    pub fn respond_once(&mut self, id: ContextId, status: u16, bytes: Bytes, now: Instant) {
        let Some(context) = self.context(id).filter(|context| context.answered.is_none()) else { return };
        self.layer.respond_once(context.server, bytes);
        self.answered(id, status, now);
        self.close(id);
        self.drain(now);
    }

    /// Takes no notice of a request, not even by an answer ([`Layer::ignore`]).
    pub fn ignore(&mut self, id: ContextId, now: Instant) {
        let Some(context) = self.context(id).filter(|context| context.answered.is_none()) else { return };
        self.layer.ignore(context.server);
        self.close(id);
        self.drain(now);
    }

    /// The tag of an answer by [`Proxy::respond_once`].
    #[must_use]
    pub fn stateless_tag(&self, request: &Message) -> String {
        self.layer.stateless_tag(request)
    }

    /// Tells the sender of an INVITE that somebody works on it, before it is known where it goes.
    pub fn trying(&mut self, id: ContextId, now: Instant) {
        if self.context(id).is_some_and(|context| context.invite) {
            self.send_trying(id, now);
            self.drain(now);
        }
    }

    fn send_trying(&mut self, id: ContextId, now: Instant) {
        let Some(context) = self.context(id).filter(|context| context.answered.is_none()) else { return };
        let trying = Compose::response(&context.request, 100, None, None).empty();
        self.layer.respond(context.server, 100, trying, now);
    }

    /// Sends the request along one branch (§16.6).
    pub fn forward(&mut self, id: ContextId, hop: Hop, now: Instant) {
        self.fork(id, vec![hop], now);
    }

    /// Sends the request along several branches at once (§16.6), which share what breadth it has left (RFC 5393 §5.3.3).
    /// The first branch of an INVITE is preceded by a 100.
    pub fn fork(&mut self, id: ContextId, hops: Vec<Hop>, now: Instant) {
        let Some(context) = self.context(id) else { return };
        let room = MAX_BRANCHES.saturating_sub(context.branches.len());
        if context.answered.is_some() || context.cancelled || room == 0 || hops.is_empty() {
            return;
        }
        let used: u32 = context.branches.iter().filter(|branch| branch.is_open()).map(|branch| branch.breadth).sum();
        let first = context.invite && context.branches.is_empty();
        // A minor branch ends in this process and takes none.
        let wanted = u32::try_from(hops.iter().filter(|hop| !hop.minor).count()).unwrap_or(u32::MAX);
        let share = context.breadth.saturating_sub(used) / wanted.max(1);
        if share == 0 && wanted > 0 {
            self.record(id, Candidate::Generated(440));
            self.conclude_idle(id, now);
            return self.drain(now);
        }
        if first {
            self.send_trying(id, now);
        }
        for hop in hops.into_iter().take(room) {
            let minor = hop.minor;
            if !self.start_branch(id, hop, if minor { 0 } else { share }, now) && !minor {
                self.record(id, Candidate::Generated(503));
            }
        }
        self.conclude_idle(id, now);
        self.drain(now);
    }

    /// Keeps a place to try if all branches before it cannot be reached or answer 503 (RFC 3263 §4.3).
    pub fn add_alternate(&mut self, id: ContextId, hop: Hop) {
        if let Some(context) = self.context_mut(id).filter(|context| context.alternates.len() < MAX_BRANCHES) {
            context.alternates.push_back(hop);
        }
    }

    /// Forks to these branches as well, but only once all before them have failed (§16.6, serial forking): a 2xx, a 6xx or
    /// a CANCEL ends the search.
    pub fn then(&mut self, id: ContextId, hops: Vec<Hop>) {
        if let Some(context) = self.context_mut(id).filter(|context| context.later.len() < MAX_BRANCHES) {
            context.later.push_back(hops);
        }
    }

    /// Sends a response upstream, with the edits of this hop (§16.7 steps 3, 8, 9).
    pub fn relay(&mut self, id: ContextId, mut edit: Edit, now: Instant) {
        let Some(context) = self.context(id) else { return };
        let Some(status) = edit.message().status() else { return };
        let (server, invite, answered) = (context.server, context.invite, context.answered);
        let flow = context.flow;
        if matches!(status, 401 | 407) && answered.is_none() {
            context.add_challenges(&mut edit);
        }
        edit.pop(Name::Via, 1);
        let repeated = invite && answered.is_some() && (200..300).contains(&status);
        if answered.is_none() || repeated {
            self.layer.respond(server, status, sealed(edit, &flow), now);
        }
        if status >= 200 && answered.is_none() {
            self.answered(id, status, now);
        }
        self.settle(id, now);
        self.drain(now);
    }

    /// Forwards an ACK to a 2xx: without state (§16.11).
    pub fn forward_stateless(&mut self, hop: Hop, now: Instant) {
        let branch = self.layer.stateless_branch();
        let flow = hop.flow;
        let bytes = outgoing(hop, &branch, None);
        self.layer.send_stateless(flow, bytes);
        self.drain(now);
    }

    /// Sends bytes that belong to no transaction.
    pub fn send_stateless(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        self.layer.send_stateless(flow, bytes);
        self.drain(now);
    }

    /// False where there is no room for one more client transaction.
    fn start_branch(&mut self, id: ContextId, hop: Hop, breadth: u32, now: Instant) -> bool {
        let Some(context) = self.context(id) else { return false };
        let decided = context.decided;
        let (method, index, invite) = (context.request.method(), context.branches.len(), context.invite);
        let (flow, minor, unreachable) = (hop.flow, hop.minor, hop.unreachable);
        let Some((client, branch)) = self.layer.open(method, flow, owner_tag(id, index), Some(decided)) else {
            let (reason, detail) = (DropReason::Overload, "too many client transactions");
            self.outputs.push_back(Output::Dropped { reason, flow, detail });
            return false;
        };
        let deadline = invite.then(|| now + TIMER_C);
        if deadline.is_some() {
            self.timers.arm(TIMER_C_LOOK, Alarm::Branch(id, index), now);
        }
        if let Some(context) = self.context_mut(id) {
            let state = BranchState::Calling;
            let (cancel_wanted, superseded) = (false, false);
            context.branches.push(Branch {
                client,
                flow,
                state,
                minor,
                unreachable,
                breadth,
                cancel_wanted,
                superseded,
                deadline,
            });
        }
        self.layer.start(client, outgoing(hop, &branch, (!minor).then_some(breadth)), now);
        true
    }

    /// Turns what the transactions say into what the context makes of it.
    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.layer.poll_output() {
            use transaction::Output as Below;
            match output {
                Below::Transmit { transmit, again } => self.outputs.push_back(Output::Transmit { transmit, again }),
                Below::Request { server, message, cancels, .. } if message.method() == Method::Cancel => {
                    self.handle_cancel(server, &message, cancels, now);
                }
                Below::Request { server, message, flow, .. } => self.open(server, message, flow, now),
                Below::Ack { message, flow } => self.outputs.push_back(Output::Ack { message, flow }),
                Below::Response { owner, message, flow, .. } => self.branch_response(owner, message, flow, now),
                Below::Absorbed { message, flow } => self.outputs.push_back(Output::Absorbed { message, flow }),
                Below::TimedOut { owner, timer, .. } => self.branch_failed(owner, Some(timer), now),
                Below::Unreachable { owner, .. } => self.branch_failed(owner, None, now),
                Below::Unacknowledged { owner } => {
                    let context = self.owner(owner).map(|(id, _)| id);
                    self.outputs.push_back(Output::Unacknowledged { context });
                }
                Below::Dropped { reason, flow, detail } => {
                    self.outputs.push_back(Output::Dropped { reason, flow, detail });
                }
            }
        }
    }

    fn open(&mut self, server: ServerId, message: Arc<Message>, flow: Flow, now: Instant) {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let (decided, looped) = self.layer.decision(&message, &flow);
        let breadth = message.first(Name::MaxBreadth).and_then(|breadth| breadth.parse().ok());
        let invite = message.method() == Method::Invite;
        let slot = self.contexts.insert(Context {
            generation,
            server,
            flow,
            decided,
            breadth: breadth.unwrap_or(MAX_BREADTH),
            reasons: Vec::new(),
            invite,
            request: Arc::clone(&message),
            started: now,
            branches: Vec::new(),
            alternates: VecDeque::new(),
            later: VecDeque::new(),
            best: None,
            challenges: Vec::new(),
            chosen: false,
            answered: None,
            cancelled: false,
        });
        let Ok(slot) = u32::try_from(slot) else { return };
        let context = ContextId { slot, generation };
        self.layer.set_owner(server, owner_tag(context, 0));
        if !invite {
            self.timers.arm(TRYING, Alarm::Trying(context), now);
        }
        if looped {
            // RFC 3261 §16.3 step 4: it was here, and would be sent the same way again.
            let (reason, detail) = (DropReason::Loop, "a request came back as it was sent");
            self.outputs.push_back(Output::Dropped { reason, flow, detail });
            let tag = self.tag();
            let answer = Compose::response(&message, 482, None, Some(&tag)).empty();
            return self.respond(context, 482, answer, now);
        }
        self.outputs.push_back(Output::Request { context, message, flow });
    }

    fn answered(&mut self, id: ContextId, status: u16, now: Instant) {
        let Some(context) = self.context_mut(id) else { return };
        context.answered = Some(status);
        context.forget_the_search();
        let (invite, duration) = (context.invite, now.saturating_duration_since(context.started));
        self.outputs.push_back(Output::Answered { context: id, status, duration });
        if invite && (200..300).contains(&status) {
            self.timers.arm(T64, Alarm::Forget(id), now);
        }
    }

    /// Cancels what is left of an answered context, and closes it when nothing is.
    fn settle(&mut self, id: ContextId, now: Instant) {
        let Some(context) = self.context(id) else { return };
        let Some(status) = context.answered else { return };
        if context.branches.iter().any(Branch::is_open) {
            self.cancel_branches(id, now);
        } else if !(context.invite && (200..300).contains(&status)) {
            self.close(id);
        }
    }

    fn close(&mut self, id: ContextId) {
        if self.context(id).is_some() {
            let context = self.contexts.remove(id.slot as usize);
            for branch in context.branches.iter().filter(|branch| branch.is_open()) {
                // Nobody would hear of it any more: one that was cancelled and never ended.
                self.layer.abandon(branch.client);
            }
            self.outputs.push_back(Output::Closed { context: id });
        }
    }

    fn context(&self, id: ContextId) -> Option<&Context> {
        self.contexts.get(id.slot as usize).filter(|context| context.generation == id.generation)
    }

    fn context_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.contexts.get_mut(id.slot as usize).filter(|context| context.generation == id.generation)
    }

    /// The context and branch that an owner tag of the transaction layer names.
    fn owner(&self, owner: u64) -> Option<(ContextId, usize)> {
        let generation = u32::try_from(owner >> 32).ok()?;
        let slot = u32::try_from(owner & 0x00ff_ffff).ok()?;
        let id = ContextId { slot, generation };
        self.context(id).map(|_| (id, usize::from((owner >> 24) as u8)))
    }
}

fn owner_tag(id: ContextId, branch: usize) -> u64 {
    // Bounded by MAX_BRANCHES and by the transaction limit, both far below these widths.
    u64::from(id.generation) << 32 | (branch as u64 & 0xff) << 24 | u64::from(id.slot & 0x00ff_ffff)
}

/// The request as it leaves on a branch: Max-Forwards counted down (§16.6 step 3), Max-Breadth its share (RFC 5393
/// §5.3.3), our Via on top (step 8).
fn outgoing(hop: Hop, branch: &str, breadth: Option<u32>) -> Bytes {
    let mut edit = hop.edit;
    let left = edit.message().max_forwards().map_or(70, |left| left.saturating_sub(1));
    edit.set(Name::MaxForwards, &left.to_string());
    if let Some(breadth) = breadth {
        edit.set(Name::MaxBreadth, &breadth.to_string());
    }
    let transport = via_name(hop.flow.transport);
    // Above all else: ICMP quotes no more than the first 500 bytes, and the branch is what proves it.
    edit.push_top(Name::Via, &format!("SIP/2.0/{transport} {};rport;branch={branch}", hop.sent_by));
    sealed(edit, &hop.flow)
}

/// The bytes of an edited message, as its transport needs them.
fn sealed(mut edit: Edit, flow: &Flow) -> Bytes {
    if flow.is_reliable() {
        edit.set_length();
    }
    edit.finish()
}
