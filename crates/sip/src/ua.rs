//! The user agent core (RFC 3261 §8, §11–15): transactions and dialogs of one or of thousands of calls.
//!
//! The focus of a conference, the virtual user agent server that speaks for a proxy, and the phones of the load tester
//! are all this one struct. It does what needs no decision (100, retransmitted 2xx, ACK, CANCEL, PRACK, answers to
//! challenges, 481 and the order of CSeq) and puts out the rest. Each call that it puts out or is given ends with
//! exactly one [`Output::Failed`] or [`Output::Ended`].
//!
//! Requests within a dialog go to the first hop of its route set where that is an address, else to the flow that the
//! dialog began on: the outbound proxy of a phone, the proxy core of an agent inside the process.

mod answer;
mod call;
mod client;
mod draft;
mod login;
mod output;
mod reliable;
mod request;
mod server;
mod slots;
mod tokens;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use cusax_event::SessionId as Uuid;

pub use draft::{Body, Headers};
pub use login::Login;
pub use output::{CallHandle, EndReason, Output, RequestHandle, SentHandle};
pub use request::Outgoing;

use crate::dialog::Dialog;
use crate::flow::Transport;
use crate::method::Method;
use crate::session_id::SessionId;
use crate::transaction::{self, Layer, ServerId, Timers};
use crate::{Compose, Flow, Message};
use call::{Call, State};
use request::Sent;
use slots::Slots;
use tokens::Tokens;

/// What a user agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// User-Agent of its requests, Server of its responses.
    pub name: String,
    /// Host and port of its Via.
    pub sent_by: String,
    /// The methods that its user answers; others get 405.
    pub allow: Vec<Method>,
    /// The option tags that it knows; a request that requires another gets 420. With `100rel`, provisional responses
    /// are reliable where the caller requires it, and PRACK is sent and answered here.
    pub supported: Vec<&'static str>,
}

impl Default for Config {
    /// All of a phone: calls, re-INVITE and UPDATE, INFO, OPTIONS.
    fn default() -> Self {
        use Method::{Ack, Bye, Cancel, Info, Invite, Options, Prack, Update};
        Self {
            name: "cusax".to_owned(),
            sent_by: "127.0.0.1".to_owned(),
            allow: vec![Invite, Ack, Cancel, Bye, Options, Info, Update, Prack],
            supported: vec!["100rel"],
        }
    }
}

/// A request that waits for its user's answer.
#[derive(Debug)]
struct Asked {
    server: ServerId,
    message: Arc<Message>,
    call: Option<u64>,
    /// The tag of its responses, where it came with none.
    tag: String,
}

#[derive(Clone, Copy, Debug)]
enum Alarm {
    /// Send the 2xx with this CSeq again.
    Resend(u64, u32),
    /// No ACK came for the 2xx with this CSeq.
    Unacknowledged(u64, u32),
    /// Send the reliable provisional response with this RSeq again.
    ResendProvisional(u64, u32),
    /// No PRACK came for it.
    Unpracked(u64, u32),
    /// Nobody answered for too long.
    RangOut(u64),
    /// An INVITE that nobody waits for any more has not ended.
    Overdue(u64),
    /// No more 2xx can come.
    Settled(u64),
    /// Try a re-INVITE again after 491.
    Retry(u64),
    /// The user did not answer a request.
    Unanswered(u64),
}

/// A user agent.
pub struct UserAgent {
    config: Config,
    layer: Layer,
    tokens: Tokens,
    calls: Slots<Call>,
    asked: Slots<Asked>,
    sent: Slots<Sent>,
    /// Calls by our tag.
    tags: HashMap<String, u64>,
    /// Calls from others by Call-ID and their tag, to tell an INVITE that came on two ways (§8.2.2.2).
    origins: HashMap<(String, String), u64>,
    timers: Timers<Alarm>,
    outputs: VecDeque<Output>,
}

impl UserAgent {
    /// Makes a user agent. `seed` must differ between starts and be unknown to others; at most `limit` calls live at a
    /// time, further ones get 503.
    #[must_use]
    pub fn new(config: Config, seed: [u64; 2], limit: usize) -> Self {
        Self {
            config,
            // A call has an INVITE, a BYE and little more at a time.
            layer: Layer::new(seed, limit.saturating_mul(4)),
            tokens: Tokens::new(seed),
            calls: Slots::new(limit),
            asked: Slots::new(limit.saturating_mul(2)),
            sent: Slots::new(limit.saturating_mul(4)),
            tags: HashMap::new(),
            origins: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes a message that was received on a flow.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        self.layer.handle_message(message, flow, now);
        self.settle(now);
    }

    /// Takes word that a flow does not reach its other end.
    pub fn handle_unreachable(&mut self, flow: &Flow, now: Instant) {
        self.layer.handle_unreachable(flow);
        self.settle(now);
    }

    /// Runs timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.settle(now);
        while let Some(alarm) = self.timers.expire(now) {
            match alarm {
                Alarm::Resend(call, cseq) => self.resend_answer(call, cseq, now),
                Alarm::Unacknowledged(call, cseq) => self.unacknowledged(call, cseq, now),
                Alarm::ResendProvisional(call, rseq) => self.resend_provisional(call, rseq, now),
                Alarm::Unpracked(call, rseq) => self.unpracked(call, rseq, now),
                Alarm::RangOut(call) => self.rang_out(call, now),
                Alarm::Overdue(sent) => self.overdue(sent, now),
                Alarm::Settled(sent) => {
                    self.sent.remove(sent);
                }
                Alarm::Retry(call) => self.retry_offer(call, now),
                Alarm::Unanswered(asked) => self.answer(RequestHandle(asked), 500, &[], None, now),
            }
        }
        self.settle(now);
    }

    /// When [`UserAgent::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.layer.poll_timeout(), self.timers.next()].into_iter().flatten().min()
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Calls that live now.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// True where nothing is left of any call or request, also none of their transactions.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let tables = [self.calls.len(), self.asked.len(), self.sent.len(), self.tags.len(), self.origins.len()];
        tables == [0; 5] && self.layer.counts() == (0, 0)
    }

    /// The dialog of a call; of a call to others, only once it is answered.
    #[must_use]
    pub fn dialog(&self, call: CallHandle) -> Option<&Dialog> {
        self.calls.get(call.0)?.dialog.as_ref()
    }

    /// Sets our half of a call's Session-ID (RFC 7989); from now on, all messages of the call carry both halves.
    pub fn set_session(&mut self, call: CallHandle, uuid: Uuid) {
        if let Some(call) = self.calls.get_mut(call.0) {
            call.session.local = Some(uuid);
        }
    }

    /// Sets what answers challenges to our requests within a call that came in: its edge may ask either side of the call.
    pub fn set_login(&mut self, call: CallHandle, login: &Login) {
        if let Some(call) = self.calls.get_mut(call.0) {
            call.login = Some(login.clone());
        }
    }

    /// Both halves of a call's Session-ID: ours, and what the other side last sent.
    #[must_use]
    pub fn session(&self, call: CallHandle) -> Option<SessionId> {
        self.calls.get(call.0).map(|call| call.session)
    }

    /// Moves on what the transaction layer put out.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                transaction::Output::Transmit { transmit, .. } => self.outputs.push_back(Output::Transmit(transmit)),
                transaction::Output::Request { server, message, flow, cancels } => {
                    self.request(server, message, flow, cancels, now);
                }
                transaction::Output::Ack { message, .. } => self.acknowledged(message, now),
                transaction::Output::Response { owner, client, message, .. } => {
                    self.response(owner, client, message, now);
                }
                transaction::Output::TimedOut { owner, client, .. } => self.unanswered(owner, client, 408, now),
                transaction::Output::Unreachable { owner, client } => self.unanswered(owner, client, 503, now),
                transaction::Output::Dropped { reason, flow, detail } => {
                    self.outputs.push_back(Output::Dropped { reason, flow, detail });
                }
                transaction::Output::Absorbed { .. } | transaction::Output::Unacknowledged { .. } => {}
            }
        }
    }

    /// The Via of a request on a flow.
    fn via(&self, flow: &Flow, branch: &str) -> String {
        let (transport, rport) = match flow.transport {
            Transport::Udp => ("UDP", ";rport"),
            // What others see of an agent inside the process is what its proxy speaks.
            Transport::Internal => ("UDP", ""),
            Transport::Tcp => ("TCP", ""),
            Transport::Tls => ("TLS", ""),
            Transport::Ws => ("WS", ""),
            Transport::Wss => ("WSS", ""),
        };
        format!("SIP/2.0/{transport} {};branch={branch}{rport}", self.config.sent_by)
    }

    fn compose(&self, request: &Message, status: u16, tag: &str) -> Compose {
        Compose::response(request, status, None, Some(tag)).header("Server", &self.config.name)
    }

    fn allow(&self) -> String {
        self.config.allow.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Forgets a call and says so: its unanswered INVITE or offer gets 487.
    fn end(&mut self, key: u64, reason: EndReason, message: Option<Arc<Message>>, now: Instant) {
        if self.remove(key, now) {
            self.outputs.push_back(Output::Ended { call: CallHandle(key), reason, message });
        }
    }

    fn remove(&mut self, key: u64, now: Instant) -> bool {
        let Some(call) = self.calls.remove(key) else { return false };
        self.tags.remove(&call.local_tag);
        if let Some(origin) = &call.origin {
            self.origins.remove(origin);
        }
        for (server, request) in call.invite.iter().chain(&call.offer) {
            let response = call.sign(self.compose(request, 487, &call.local_tag));
            self.layer.respond(*server, 487, response.empty(), now);
        }
        if let Some(sent) = call.pending {
            self.disown(sent, now);
        }
        true
    }

    /// The call that a request with our tag belongs to.
    fn call_of(&self, message: &Message) -> Option<u64> {
        let key = *self.tags.get(message.to_tag())?;
        let call = self.calls.get(key)?;
        let early = call.early.iter().map(|early| &early.dialog);
        call.dialog.iter().chain(early).any(|dialog| dialog.owns_request(message)).then_some(key)
    }

    /// Rejects or cancels a call that rings for too long.
    fn rang_out(&mut self, key: u64, now: Instant) {
        match self.calls.get(key).map(|call| call.state) {
            Some(State::Ringing) => {
                self.refuse(key, 480, &[], now);
                self.end(key, EndReason::RangOut, None, now);
            }
            Some(State::Calling) => self.cancel(key, EndReason::RangOut, &[], now),
            Some(State::Established) | None => {}
        }
        self.settle(now);
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test looks for the one output that it is about")]
mod tests;
