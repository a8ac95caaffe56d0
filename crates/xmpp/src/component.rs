//! The Jabber Component Protocol (XEP-0114 v1.6): one stream to the server that we extend, kept up.

mod backoff;
mod ping;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::sip::Direction;
use cusax_event::xmpp::{DropReason, Dropped, Link, LinkState};
use sha1::{Digest, Sha1};

use crate::secret::Secret;
use crate::seed::Seed;
use crate::stream::{Condition, Item, Limits, Refusal, StreamParser, describe};
use crate::{BareJid, Element, ns, stanza};
use backoff::Backoff;
use ping::{Ping, Pulse};

/// What a component needs to know.
#[derive(Clone)]
pub struct Config {
    /// The component's own domain, and the only one that it sends from.
    pub domain: BareJid,
    /// The secret that it shares with the server.
    pub secret: Secret,
    /// The server's domain, which is pinged to see whether the stream is alive.
    pub server_domain: BareJid,
    /// Bounds of what is received.
    pub limits: Limits,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a TCP connection to the component port; answer with `handle_connected` or `handle_closed`.
    Connect,
    /// Write these bytes to the connection.
    Send(Vec<u8>),
    /// Write what is pending, close the connection and forget it: nothing more of it is reported.
    Close,
    /// A message, presence or IQ answer for us.
    Stanza {
        /// The stanza.
        element: Element,
        /// When its last byte was received.
        received: Instant,
    },
    /// The server took us in: stanzas can be sent.
    Ready,
    /// The link is down; it will be tried again unless it was closed by us.
    Down,
    /// What happened.
    Event(Box<Event>),
}

/// How long connecting and the handshake may each take.
const SETUP: Duration = Duration::from_secs(10);
/// Outputs that may wait for the shell; what it does not take is dropped, stanza by stanza.
const QUEUE: usize = 4096;

enum State {
    /// No connection; the next attempt is due then.
    Waiting(Instant),
    /// `Connect` is out.
    Connecting(Instant),
    /// The header, then the handshake, was sent.
    Handshake { parser: StreamParser, deadline: Instant },
    /// In service.
    Ready { parser: StreamParser, ping: Ping, since: Instant },
    /// Closed by us.
    Closed,
}

/// One component: connects, proves the secret, carries stanzas, notices a dead or shared link and comes back.
pub struct Component {
    config: Config,
    state: State,
    backoff: Backoff,
    seed: Seed,
    outputs: VecDeque<Output>,
}

impl Component {
    /// Starts at once: the first output is [`Output::Connect`].
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let outputs = VecDeque::from([Output::Connect]);
        Self {
            config,
            state: State::Connecting(now + SETUP),
            backoff: Backoff::default(),
            seed: Seed::new(seed),
            outputs,
        }
    }

    /// Tells whether stanzas can be sent.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// The connection that [`Output::Connect`] asked for is there.
    pub fn handle_connected(&mut self, now: Instant) {
        if let State::Connecting(_) = self.state {
            self.push(Output::Send(self.header().into_bytes()));
            let parser = StreamParser::new(ns::COMPONENT, self.config.limits);
            self.state = State::Handshake { parser, deadline: now + SETUP };
        }
    }

    fn header(&self) -> String {
        let mut header =
            format!("<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='", ns::COMPONENT, ns::STREAM);
        crate::element::escape(&mut header, self.config.domain.as_str(), true);
        header.push_str("'>");
        header
    }

    /// Bytes came in, the last of them at `now`.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        match &mut self.state {
            State::Handshake { parser, .. } => parser.push(bytes),
            State::Ready { parser, ping, .. } => {
                ping.heard();
                parser.push(bytes);
            }
            State::Waiting(_) | State::Connecting(_) | State::Closed => return,
        }
        loop {
            let item = match &mut self.state {
                State::Handshake { parser, .. } | State::Ready { parser, .. } => parser.next_item(),
                State::Waiting(_) | State::Connecting(_) | State::Closed => return,
            };
            match item {
                Ok(Some(item)) => self.item(item, now),
                Ok(None) => return,
                Err(refusal) => return self.refuse(refusal, now),
            }
        }
    }

    fn item(&mut self, item: Item, now: Instant) {
        match item {
            Item::Open(header) => self.handshake(&header, now),
            Item::Stanza(error) if error.is(ns::STREAM, "error") => self.lose(&describe(&error), now),
            Item::Stanza(reply) if reply.is(ns::CLIENT, "handshake") => self.ready(now),
            Item::Stanza(stanza) => self.receive(stanza, now),
            Item::Close => self.lose("the server closed the stream", now),
        }
    }

    /// Proves the secret (XEP-0114 §3): lower-case hex SHA-1 of stream id and secret.
    fn handshake(&mut self, header: &Element, now: Instant) {
        let Some(id) = header.attr("id") else {
            return self.refuse(
                Refusal {
                    condition: Condition::BadFormat,
                    reason: DropReason::Malformed,
                    detail: "a header without id",
                },
                now,
            );
        };
        let digest = Sha1::new().chain_update(id).chain_update(self.config.secret.expose()).finalize();
        let hex = digest.iter().fold(String::with_capacity(40), |hex, byte| hex + &format!("{byte:02x}"));
        self.push(Output::Send(
            Element::new(ns::CLIENT, "handshake").with_text(hex).to_xml(ns::COMPONENT).into_bytes(),
        ));
    }

    fn ready(&mut self, now: Instant) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Handshake { parser, .. } => {
                self.link(LinkState::Connected, String::new(), None);
                self.push(Output::Ready);
                State::Ready { parser, ping: Ping::new(now), since: now }
            }
            other @ (State::Waiting(_) | State::Connecting(_) | State::Ready { .. } | State::Closed) => other,
        };
    }

    fn receive(&mut self, stanza: Element, now: Instant) {
        let State::Ready { ping, .. } = &mut self.state else {
            return self.drop(DropReason::Unhandled, "a stanza before the handshake");
        };
        let Some(event) = stanza::passed(&stanza, Direction::Received) else {
            return self.drop(DropReason::Unhandled, "not a stanza");
        };
        let to = stanza::to(&stanza);
        if to.as_ref().is_none_or(|to| to.domain() != self.config.domain.as_str()) {
            return self.drop(DropReason::Misaddressed, "not addressed to this component");
        }
        if ping.answered(&stanza, self.config.server_domain.as_str(), now) {
            return;
        }
        self.push(Output::Event(Event::XmppStanza(event).into()));
        if stanza::is_request(&stanza) {
            // Only IQs are answered: rooms kick who answers presence or messages with an error.
            let answer = self.answer(&stanza);
            self.send(answer);
        } else {
            self.push(Output::Stanza { element: stanza, received: now });
        }
    }

    fn answer(&self, request: &Element) -> Element {
        let to_domain = request.attr("to") == Some(self.config.domain.as_str());
        let get = request.attr("type") == Some("get");
        if get && request.child(ns::PING, "ping").is_some() {
            stanza::result(request, None)
        } else if get
            && to_domain
            && request.child(ns::DISCO_INFO, "query").is_some_and(|query| query.attr("node").is_none())
        {
            let feature = |name| Element::new(ns::DISCO_INFO, "feature").with_attr("var", name);
            let identity = Element::new(ns::DISCO_INFO, "identity")
                .with_attr("category", "component")
                .with_attr("type", "generic");
            let query = Element::new(ns::DISCO_INFO, "query").with_child(identity.with_attr("name", "cusax"));
            stanza::result(request, Some(query.with_child(feature(ns::DISCO_INFO)).with_child(feature(ns::PING))))
        } else {
            stanza::error(request, "cancel", "service-unavailable")
        }
    }

    /// Sends a stanza. `from` and `to`, where missing, become the component's and the server's domain: servers close the
    /// stream for a stanza without them, or from an address that is not ours, so the latter is dropped here.
    pub fn send(&mut self, mut stanza: Element) {
        if !self.is_ready() {
            return self.drop(DropReason::Disconnected, "the component stream is down");
        }
        for (attribute, default) in [("from", &self.config.domain), ("to", &self.config.server_domain)] {
            if stanza.attr(attribute).is_none() {
                stanza.set_attr(attribute, default.as_str());
            }
        }
        if stanza::from(&stanza).is_none_or(|from| from.domain() != self.config.domain.as_str())
            || stanza::to(&stanza).is_none()
        {
            return self.drop(DropReason::Misaddressed, "a stanza that the server would close the stream for");
        }
        if self.outputs.len() >= QUEUE {
            return self.drop(DropReason::QueueFull, "the shell does not take what is to be sent");
        }
        let Some(event) = stanza::passed(&stanza, Direction::Sent) else {
            return self.drop(DropReason::Unhandled, "not a stanza");
        };
        self.push(Output::Event(Event::XmppStanza(event).into()));
        self.push(Output::Send(stanza.to_xml(ns::COMPONENT).into_bytes()));
    }

    /// The connection is gone, or could not be made.
    pub fn handle_closed(&mut self, now: Instant) {
        match self.state {
            State::Connecting(_) => self.retry(LinkState::Lost, "could not connect".to_owned(), now),
            State::Handshake { .. } | State::Ready { .. } => {
                self.retry(LinkState::Lost, "the connection closed".to_owned(), now)
            }
            State::Waiting(_) | State::Closed => {}
        }
    }

    /// Ends the stream for good.
    pub fn close(&mut self) {
        match self.state {
            State::Handshake { .. } | State::Ready { .. } => {
                self.push(Output::Send(b"</stream:stream>".to_vec()));
                self.push(Output::Close);
            }
            State::Connecting(_) => self.push(Output::Close),
            State::Waiting(_) | State::Closed => {}
        }
        if self.is_ready() {
            self.push(Output::Down);
        }
        self.state = State::Closed;
    }

    /// When `handle_timeout` is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(due) | State::Connecting(due) | State::Handshake { deadline: due, .. } => Some(*due),
            State::Ready { ping, .. } => Some(ping.due()),
            State::Closed => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.state {
            State::Waiting(_) => {
                self.state = State::Connecting(now + SETUP);
                self.push(Output::Connect);
            }
            State::Connecting(_) => {
                self.push(Output::Close);
                self.retry(LinkState::Lost, "no connection in time".to_owned(), now);
            }
            State::Handshake { .. } => self.fail(Condition::ConnectionTimeout, "no answer to the handshake", now),
            State::Ready { ping, .. } => match ping.beat(&mut self.seed, now) {
                Pulse::Ask(id) => {
                    let ping = Element::iq("get", &id, Element::new(ns::PING, "ping"));
                    self.send(ping);
                }
                Pulse::Dead => self.fail(Condition::ConnectionTimeout, "the server does not answer", now),
                Pulse::Shared => self.fail(
                    Condition::ConnectionTimeout,
                    "answers go elsewhere: is the component connected twice?",
                    now,
                ),
            },
            State::Closed => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn refuse(&mut self, refusal: Refusal, now: Instant) {
        self.drop(refusal.reason, refusal.detail);
        self.fail(refusal.condition, refusal.detail, now);
    }

    /// Ends the stream with an error of ours.
    fn fail(&mut self, condition: Condition, detail: &str, now: Instant) {
        let farewell = condition.to_element().to_xml(ns::COMPONENT) + "</stream:stream>";
        self.push(Output::Send(farewell.into_bytes()));
        self.push(Output::Close);
        self.retry(LinkState::Lost, detail.to_owned(), now);
    }

    /// The server ended the stream.
    fn lose(&mut self, detail: &str, now: Instant) {
        let state = if self.is_ready() { LinkState::Lost } else { LinkState::Refused };
        self.push(Output::Close);
        self.retry(state, detail.to_owned(), now);
    }

    fn retry(&mut self, state: LinkState, detail: String, now: Instant) {
        let up = match &self.state {
            State::Ready { since, .. } => Some(now.saturating_duration_since(*since)),
            State::Waiting(_) | State::Connecting(_) | State::Handshake { .. } | State::Closed => None,
        };
        let delay = self.backoff.next(up, &mut self.seed);
        self.state = State::Waiting(now + delay);
        if up.is_some() {
            self.push(Output::Down);
        }
        self.link(state, detail, Some(delay));
    }

    fn link(&mut self, state: LinkState, detail: String, retry_in: Option<Duration>) {
        let component = self.config.domain.as_str().to_owned();
        self.push(Output::Event(Event::XmppLink(Link { component, state, detail, retry_in }).into()));
    }

    fn drop(&mut self, reason: DropReason, detail: &str) {
        self.push(Output::Event(Event::XmppDropped(Dropped { reason, detail: detail.to_owned() }).into()));
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
