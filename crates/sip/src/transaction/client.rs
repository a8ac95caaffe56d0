//! Client transactions: RFC 3261 §17.1, with the Accepted state of RFC 6026 §7.2.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ClientId, Layer, Output, T1, T2, T4, T64};
use crate::method::{Method, method_of};
use crate::name::Name;
use crate::{Compose, Flow, Message};
use cusax_event::sip::{DropReason, Timer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Opened, nothing sent.
    Idle,
    /// Sent, nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A final response came (INVITE: other than 2xx).
    Completed,
    /// INVITE answered with 2xx.
    Accepted,
}

/// The timers of a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// A or E: send the request again.
    Retransmit,
    /// B or F: nobody answered.
    GiveUp,
    /// D, K or M: forget it.
    Forget,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) generation: u32,
    pub(super) owner: u64,
    method: Method,
    state: State,
    flow: Flow,
    request: Bytes,
    ack: Option<Bytes>,
    interval: Duration,
    cancel: Option<ClientId>,
}

impl Client {
    pub(super) fn waits_on(&self, flow: &Flow) -> bool {
        self.state == State::Calling && self.flow == *flow
    }

    /// True where a response may come by a flow: our end must be the same, and of a stream also the other end's host
    /// (RFC 3261 §18.2.2 lets it open a new connection).
    fn may_answer(&self, flow: &Flow) -> bool {
        self.flow.listener == flow.listener
            && (!flow.is_reliable()
                || self.flow.connection == flow.connection
                || self.flow.remote.ip() == flow.remote.ip())
    }

    pub(super) fn is_cancel(&self) -> bool {
        self.method == Method::Cancel
    }
}

impl Layer {
    /// Opens a client transaction and names the branch for its request's Via; `None` where too many live. `decided` is
    /// what a proxy has by [`Layer::decision`].
    pub fn open(&mut self, method: Method, flow: Flow, owner: u64, decided: Option<u32>) -> Option<(ClientId, String)> {
        // A phone must stop ringing also when there are too many: each CANCEL has its INVITE.
        if self.clients.len() >= self.limit && method != Method::Cancel {
            return None;
        }
        let generation = self.next_generation();
        let (request, state) = (Bytes::new(), State::Idle);
        let client = Client { generation, owner, method, state, flow, request, ack: None, interval: T1, cancel: None };
        let slot = u32::try_from(self.clients.insert(client)).ok()?;
        self.invites.0 += usize::from(method == Method::Invite);
        self.hold(&flow);
        let id = ClientId { slot, generation };
        Some((id, self.secret.branch(id, decided)))
    }

    /// Sends the request of a transaction that was opened.
    pub fn start(&mut self, id: ClientId, request: Bytes, now: Instant) {
        let Some(client) = self.client(id) else { return };
        client.request = request.clone();
        client.state = State::Calling;
        let (flow, reliable) = (client.flow, client.flow.is_reliable());
        self.transmit(flow, request, false);
        if !reliable {
            self.arm_client(T1, id, Alarm::Retransmit, now);
        }
        self.arm_client(T64, id, Alarm::GiveUp, now);
    }

    /// Sends a CANCEL for an INVITE that is ringing (RFC 3261 §9.1); `headers` are whole lines, such as Reason.
    pub fn cancel(&mut self, id: ClientId, headers: &[(&str, &str)], now: Instant) {
        let Some(client) = self.client(id) else { return };
        if client.state != State::Proceeding || client.cancel.is_some() || client.method != Method::Invite {
            return;
        }
        let (flow, owner) = (client.flow, client.owner);
        let Ok(invite) = Message::parse(client.request.clone()) else { return };
        let mut compose = follow_up(&invite, Method::Cancel, None);
        for (name, value) in headers {
            compose = compose.header(name, value);
        }
        let Some((cancel, _)) = self.open(Method::Cancel, flow, owner, None) else { return };
        if let Some(client) = self.client(id) {
            client.cancel = Some(cancel);
        }
        self.start(cancel, compose.empty(), now);
    }

    pub(super) fn handle_response(&mut self, message: Message, flow: Flow, now: Instant) {
        if let Some(defect) = message.defect() {
            // RFC 3261 §18.3: what is no whole response is no response; nor is one that hides a header from us.
            return self.drop(DropReason::Malformed, flow, defect.reason);
        }
        let invite = message.top_via().and_then(|via| self.secret.client(via.branch()));
        let method = message.cseq().map_or(Method::Other, |(_, method)| method_of(method));
        let target = invite.and_then(|(id, _)| {
            let client = self.clients.get(id.slot as usize).filter(|client| client.generation == id.generation)?;
            if client.method != Method::Cancel && method == Method::Cancel { client.cancel } else { Some(id) }
        });
        let known = target.and_then(|id| Some((id, self.client(id)?.method)));
        let (Some((id, expected)), Some(status)) = (known, message.status()) else {
            return self.drop(DropReason::Unmatched, flow, "a response to nothing that was sent");
        };
        if expected != method {
            return self.drop(DropReason::Unmatched, flow, "a response to another method");
        }
        if !self.client(id).is_some_and(|client| client.may_answer(&flow)) {
            // Others down the path know our branch: who was not asked does not answer.
            return self.drop(DropReason::Unmatched, flow, "a response by another way than its request");
        }
        let response = Arc::new(message);
        if method == Method::Invite {
            self.invite_response(id, status, response, flow, now);
        } else {
            self.other_response(id, status, response, flow, now);
        }
    }

    fn invite_response(&mut self, id: ClientId, status: u16, message: Arc<Message>, flow: Flow, now: Instant) {
        let Some(client) = self.client(id) else { return };
        let owner = client.owner;
        match (client.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => client.state = State::Proceeding,
            (State::Calling | State::Proceeding, 200..=299) => {
                client.state = State::Accepted;
                client.request = Bytes::new();
                self.arm_client(T64, id, Alarm::Forget, now);
            }
            (State::Accepted, 200..=299) => {}
            (State::Calling | State::Proceeding, _) => {
                client.state = State::Completed;
                let (to_flow, reliable) = (client.flow, client.flow.is_reliable());
                let request = std::mem::take(&mut client.request);
                let invite = Message::parse(request).ok();
                let ack = invite.map(|invite| follow_up(&invite, Method::Ack, Some(&message)).empty());
                if let (Some(client), Some(ack)) = (self.client(id), ack) {
                    client.ack = Some(ack.clone());
                    self.transmit(to_flow, ack, false);
                }
                let linger = if reliable { Duration::ZERO } else { T64 };
                self.arm_client(linger, id, Alarm::Forget, now);
            }
            (State::Completed, 300..=699) => {
                let (ack, to_flow) = (client.ack.clone(), client.flow);
                if let Some(ack) = ack {
                    self.transmit(to_flow, ack, true);
                }
                return self.outputs.push_back(Output::Absorbed { message, flow });
            }
            (State::Idle | State::Completed | State::Accepted, _) => {
                return self.outputs.push_back(Output::Absorbed { message, flow });
            }
        }
        self.outputs.push_back(Output::Response { client: id, owner, message, flow });
    }

    fn other_response(&mut self, id: ClientId, status: u16, message: Arc<Message>, flow: Flow, now: Instant) {
        let Some(client) = self.client(id) else { return };
        let (owner, method) = (client.owner, client.method);
        match (client.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => client.state = State::Proceeding,
            (State::Calling | State::Proceeding, _) => {
                client.state = State::Completed;
                client.request = Bytes::new();
                let linger = if client.flow.is_reliable() { Duration::ZERO } else { T4 };
                self.arm_client(linger, id, Alarm::Forget, now);
            }
            (State::Idle | State::Completed | State::Accepted, _) => {
                return self.outputs.push_back(Output::Absorbed { message, flow });
            }
        }
        if method != Method::Cancel {
            self.outputs.push_back(Output::Response { client: id, owner, message, flow });
        }
    }

    pub(super) fn client_alarm(&mut self, id: ClientId, alarm: Alarm, now: Instant) {
        let Some(client) = self.client(id) else { return };
        let invite = client.method == Method::Invite;
        match (alarm, client.state) {
            // An INVITE is not repeated once somebody is working on it; any other request is, every T2 (§17.1.2.2).
            (Alarm::Retransmit, State::Calling) => {
                let doubled = client.interval * 2;
                client.interval = if invite { doubled } else { doubled.min(T2) };
                self.repeat_request(id, now);
            }
            (Alarm::Retransmit, State::Proceeding) if !invite => {
                client.interval = T2;
                self.repeat_request(id, now);
            }
            (Alarm::GiveUp, State::Calling) => self.give_up(id),
            (Alarm::GiveUp, State::Proceeding) if !invite => self.give_up(id),
            (Alarm::Forget, State::Completed | State::Accepted) => {
                self.remove_client(id);
            }
            (Alarm::Retransmit | Alarm::GiveUp | Alarm::Forget, _) => {}
        }
    }

    fn repeat_request(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.client(id) else { return };
        let (flow, request, interval) = (client.flow, client.request.clone(), client.interval);
        self.transmit(flow, request, true);
        self.arm_client(interval, id, Alarm::Retransmit, now);
    }

    fn give_up(&mut self, id: ClientId) {
        let Some(client) = self.remove_client(id) else { return };
        let timer = if client.method == Method::Invite { Timer::B } else { Timer::F };
        if client.method != Method::Cancel {
            self.outputs.push_back(Output::TimedOut { owner: client.owner, client: id, timer });
        }
    }

    /// Ends a client transaction whose user has no more interest in it (timer C on an INVITE that never ends).
    pub fn abandon(&mut self, id: ClientId) {
        self.remove_client(id);
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.slot as usize).filter(|client| client.generation == id.generation)
    }

    pub(super) fn remove_client(&mut self, id: ClientId) -> Option<Client> {
        self.client(id)?;
        let client = self.clients.remove(id.slot as usize);
        self.invites.0 -= usize::from(client.method == Method::Invite);
        self.release(&client.flow);
        Some(client)
    }
}

/// The ACK (§17.1.1.3) or CANCEL (§9.1) that follows an INVITE on the same hop: same Request-URI, topmost Via, From,
/// Call-ID, CSeq number and Route; To of the response for an ACK.
fn follow_up(invite: &Message, method: Method, answered: Option<&Message>) -> Compose {
    let via = invite.values(Name::Via).next().unwrap_or("");
    let number = invite.cseq().map_or(1, |(number, _)| number);
    Compose::request(method.as_str(), invite.request_uri_text())
        .header("Via", via)
        .header("Max-Forwards", "70")
        .copy(invite, Name::Route)
        .copy(invite, Name::From)
        .copy(answered.unwrap_or(invite), Name::To)
        .header("Call-ID", invite.call_id())
        .header("CSeq", &format!("{number} {method}"))
        .header_opt("Session-ID", invite.first(Name::SessionId))
}
