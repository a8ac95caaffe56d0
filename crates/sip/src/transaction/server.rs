//! Server transactions: RFC 3261 §17.2, with the Accepted state of RFC 6026 §7.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Layer, Output, ServerId, T1, T2, T4, T64, matched_method};
use crate::flow::Transport;
use crate::method::Method;
use crate::{Flow, Message};
use cusax_event::sip::DropReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response yet (INVITE: Proceeding; others: Trying or Proceeding).
    Pending,
    /// A final response was sent (INVITE: other than 2xx).
    Completed,
    /// Its ACK came.
    Confirmed,
    /// INVITE answered with 2xx.
    Accepted,
}

/// The timers of a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// G: send the final response again.
    Retransmit,
    /// H: no ACK came.
    GiveUp,
    /// I, J or L: forget it.
    Forget,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) generation: u32,
    key: u128,
    invite: bool,
    state: State,
    /// Where responses go (RFC 3261 §18.2.2).
    reply: Flow,
    /// Where they go once the connection is gone that the request came by.
    sent_by: SocketAddr,
    /// Where the request came from.
    source: Flow,
    response: Option<Bytes>,
    interval: Duration,
    owner: u64,
}

impl Layer {
    pub(super) fn handle_request(&mut self, mut message: Message, flow: Flow, now: Instant) {
        if flow.transport != Transport::Internal {
            message.stamp(flow.remote);
        }
        let method = message.method();
        let Some(key) = self.secret.server_key(&message, matched_method(&message)) else {
            return self.drop(DropReason::Malformed, flow, "no usable Via");
        };
        if let Some(id) = self.index.get(&key).and_then(|slot| self.server_id(*slot)) {
            return self.handle_repeat(id, message, flow, now);
        }
        if method == Method::Ack {
            let message = Arc::new(message);
            let refused = message.to_tag() == self.stateless_tag(&message);
            let output = if refused { Output::Absorbed { message, flow } } else { Output::Ack { message, flow } };
            return self.outputs.push_back(output);
        }
        if self.servers.len() >= self.limit {
            return self.drop(DropReason::Overload, flow, "too many transactions");
        }
        let via = message.top_via();
        let reply = match (flow.transport, via) {
            (Transport::Udp, Some(via)) => Flow { remote: via.reply_address(flow.remote), ..flow },
            _ => flow,
        };
        let usual = if flow.transport == Transport::Tls { 5061 } else { 5060 };
        let sent_by = SocketAddr::new(flow.remote.ip(), via.and_then(|via| via.port).unwrap_or(usual));
        let generation = self.next_generation();
        let invite = method == Method::Invite;
        let (state, source) = (State::Pending, flow);
        let (response, interval) = (None, T1);
        let server = Server { generation, key, invite, state, reply, sent_by, source, response, interval, owner: 0 };
        let Ok(slot) = u32::try_from(self.servers.insert(server)) else { return };
        self.invites.1 += usize::from(invite);
        self.hold(&source);
        self.index.insert(key, slot);
        let cancels = (method == Method::Cancel).then(|| self.cancelled(&message, &flow)).flatten();
        let server = ServerId { slot, generation };
        if !invite {
            // Whoever asked has given up by then (timer F): an answer would come to nobody (RFC 4320 §4.2).
            self.arm_server(T64, server, Alarm::GiveUp, now);
        }
        self.outputs.push_back(Output::Request { server, message: Arc::new(message), flow, cancels });
    }

    /// The transaction that a CANCEL is about, whatever its method: only an INVITE can be cancelled, but a CANCEL is answered
    /// with 200 wherever it matches (RFC 3261 §9.2). A method that nobody knows is not looked for.
    fn cancelled(&self, cancel: &Message, flow: &Flow) -> Option<(ServerId, u64)> {
        let others =
            Method::ALL.iter().filter(|method| !matches!(method, Method::Cancel | Method::Invite | Method::Other));
        let id = std::iter::once(&Method::Invite)
            .chain(others)
            .find_map(|method| self.server_id(*self.index.get(&self.secret.server_key(cancel, method.as_str())?)?))?;
        let server = self.servers.get(id.slot as usize)?;
        // RFC 3261 §22.1: whoever sent the INVITE may cancel it; others down the path know its branch as well.
        same_sender(&server.source, flow).then_some((id, server.owner))
    }

    /// A request of a transaction that is already here: its retransmission, or the ACK to its final response.
    fn handle_repeat(&mut self, id: ServerId, message: Message, flow: Flow, now: Instant) {
        let Some(server) = self.servers.get_mut(id.slot as usize) else { return };
        if message.method() == Method::Ack {
            match server.state {
                State::Completed => {
                    server.state = State::Confirmed;
                    let linger = if server.reply.is_reliable() { Duration::ZERO } else { T4 };
                    self.arm_server(linger, id, Alarm::Forget, now);
                }
                State::Accepted => return self.outputs.push_back(Output::Ack { message: Arc::new(message), flow }),
                State::Pending | State::Confirmed => {}
            }
            return self.outputs.push_back(Output::Absorbed { message: Arc::new(message), flow });
        }
        if let (State::Pending | State::Completed, Some(bytes)) = (server.state, server.response.clone()) {
            let reply = server.reply;
            self.transmit(reply, bytes, true);
        }
        self.outputs.push_back(Output::Absorbed { message: Arc::new(message), flow });
    }

    /// Has responses open a connection to where the sender says that it listens, at the address that it spoke from (RFC 3261
    /// §18.2.2). A failure that is not acknowledged may not have arrived.
    pub(super) fn reply_anew(&mut self, gone: &Flow) {
        let mut again = Vec::new();
        for (_, server) in self.servers.iter_mut().filter(|(_, server)| server.reply == *gone) {
            server.reply = Flow { remote: server.sent_by, connection: None, ..*gone };
            let unheard = server.invite && server.state == State::Completed;
            again.extend(server.response.clone().filter(|_| unheard).map(|bytes| (server.reply, bytes)));
        }
        for (reply, bytes) in again {
            self.transmit(reply, bytes, true);
        }
    }

    /// Tags a server transaction; the tag comes back with its CANCEL and its end.
    pub fn set_owner(&mut self, id: ServerId, owner: u64) {
        if let Some(server) = self.server(id) {
            server.owner = owner;
        }
    }

    /// Sends a response on a server transaction; one after a final response is ignored, except further 2xx to INVITE.
    pub fn respond(&mut self, id: ServerId, status: u16, bytes: Bytes, now: Instant) {
        let Some(server) = self.server(id) else { return };
        let (reply, reliable, invite) = (server.reply, server.reply.is_reliable(), server.invite);
        match (server.state, status) {
            (State::Pending, 100..=199) => server.response = Some(bytes.clone()),
            (State::Pending, 200..=299) if invite => {
                server.state = State::Accepted;
                server.response = None;
                self.arm_server(T64, id, Alarm::Forget, now);
            }
            (State::Pending, _) => {
                server.state = State::Completed;
                server.response = Some(bytes.clone());
                if invite {
                    if !reliable {
                        self.arm_server(T1, id, Alarm::Retransmit, now);
                    }
                    self.arm_server(T64, id, Alarm::GiveUp, now);
                } else {
                    let linger = if reliable { Duration::ZERO } else { T64 };
                    self.arm_server(linger, id, Alarm::Forget, now);
                }
            }
            (State::Accepted, 200..=299) => {}
            (State::Completed | State::Confirmed | State::Accepted, _) => return,
        }
        self.transmit(reply, bytes, false);
    }

    /// Answers without keeping anything: a retransmission is a new request, and nobody waits for the ACK (RFC 3261 §8.2.7).
    /// The answer's To tag is [`Layer::stateless_tag`].
    pub fn respond_once(&mut self, id: ServerId, bytes: Bytes) {
        let Some(reply) = self.server(id).map(|server| server.reply) else { return };
        self.remove_server(id);
        self.transmit(reply, bytes, false);
    }

    /// Forgets a request without a word: a retransmission is a new request.
    pub fn ignore(&mut self, id: ServerId) {
        self.remove_server(id);
    }

    pub(super) fn server_alarm(&mut self, id: ServerId, alarm: Alarm, now: Instant) {
        let Some(server) = self.server(id) else { return };
        match (alarm, server.state) {
            (Alarm::Retransmit, State::Completed) => {
                server.interval = (server.interval * 2).min(T2);
                let (reply, bytes, interval) = (server.reply, server.response.clone(), server.interval);
                if let Some(bytes) = bytes {
                    self.transmit(reply, bytes, true);
                }
                self.arm_server(interval, id, Alarm::Retransmit, now);
            }
            (Alarm::GiveUp, State::Completed) if server.invite => {
                let owner = server.owner;
                self.remove_server(id);
                self.outputs.push_back(Output::Unacknowledged { owner });
            }
            (Alarm::GiveUp, State::Pending) if !server.invite => self.remove_server(id),
            (Alarm::Forget, _) => self.remove_server(id),
            (Alarm::Retransmit | Alarm::GiveUp, _) => {}
        }
    }

    fn server(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.get_mut(id.slot as usize).filter(|server| server.generation == id.generation)
    }

    fn server_id(&self, slot: u32) -> Option<ServerId> {
        self.servers.get(slot as usize).map(|server| ServerId { slot, generation: server.generation })
    }

    fn remove_server(&mut self, id: ServerId) {
        if self.server(id).is_some() {
            let server = self.servers.remove(id.slot as usize);
            self.invites.1 -= usize::from(server.invite);
            self.release(&server.source);
            self.index.remove(&server.key);
        }
    }
}

/// The same host by the same door.
fn same_sender(one: &Flow, other: &Flow) -> bool {
    one.listener == other.listener && one.remote.ip() == other.remote.ip()
}
