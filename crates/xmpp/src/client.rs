//! A client's stream (RFC 6120): header, SASL, binding, presence, then stanzas both ways.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::xmpp::{DropReason, Dropped};

use crate::sasl::{Exchange, Mechanism, PlainPolicy};
use crate::secret::Secret;
use crate::stream::{Condition, Item, Limits, Refusal, StreamParser, describe};
use crate::{BareJid, Element, Jid, ns, stanza};

/// Who logs in.
#[derive(Clone)]
pub struct Config {
    /// The account.
    pub jid: BareJid,
    /// The resource to ask for; the server makes one up where it is `None`.
    pub resource: Option<String>,
    /// The password.
    pub password: Secret,
    /// Whether PLAIN may be used.
    pub plain: PlainPolicy,
    /// Bounds of what is received.
    pub limits: Limits,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write these bytes to the connection.
    Send(Vec<u8>),
    /// Write what is pending and close the connection.
    Close,
    /// Logged in, bound and available.
    Online {
        /// The full JID that the server gave.
        jid: Jid,
        /// How it was proven.
        mechanism: Mechanism,
    },
    /// The server did not let us in.
    AuthFailed {
        /// The SASL condition (`not-authorized`, …) or what was wrong on our side.
        condition: String,
        /// The server's words.
        text: Option<String>,
    },
    /// A stanza.
    Stanza {
        /// The stanza.
        element: Element,
        /// When its last byte was received.
        received: Instant,
    },
    /// The stream is over; the last output but `Event`.
    Closed {
        /// Why.
        detail: String,
    },
    /// What happened.
    Event(Box<Event>),
}

/// From the first byte to being online.
const LOGIN: Duration = Duration::from_secs(30);
/// Outputs that may wait for the shell.
const QUEUE: usize = 1024;
/// The id of the only request that this core makes.
const BIND_ID: &str = "bind";

enum State {
    Disconnected,
    /// The header was sent; features are awaited.
    Features,
    Authenticating(Exchange),
    /// Authenticated; the second header was sent.
    Restarted,
    Binding,
    Online,
    Closed,
}

/// One login of one user. It does not come back by itself: make another.
pub struct Client {
    config: Config,
    nonce: [u8; 16],
    state: State,
    parser: StreamParser,
    deadline: Option<Instant>,
    mechanism: Mechanism,
    outputs: VecDeque<Output>,
}

impl Client {
    /// Prepares a login. `nonce` must be random: SCRAM rests on its not repeating.
    #[must_use]
    pub fn new(config: Config, nonce: [u8; 16]) -> Self {
        let parser = StreamParser::new(ns::CLIENT, config.limits);
        let outputs = VecDeque::new();
        Self { config, nonce, state: State::Disconnected, parser, deadline: None, mechanism: Mechanism::Plain, outputs }
    }

    /// Tells whether stanzas can be sent.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self.state, State::Online)
    }

    /// The connection is there.
    pub fn handle_connected(&mut self, now: Instant) {
        if let State::Disconnected = self.state {
            self.state = State::Features;
            self.deadline = Some(now + LOGIN);
            self.open();
        }
    }

    fn open(&mut self) {
        self.parser = StreamParser::new(ns::CLIENT, self.config.limits);
        let mut header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' version='1.0' to='",
            ns::CLIENT,
            ns::STREAM
        );
        crate::element::escape(&mut header, self.config.jid.domain(), true);
        header.push_str("'>");
        self.outputs.push_back(Output::Send(header.into_bytes()));
    }

    /// Bytes came in, the last of them at `now`.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if matches!(self.state, State::Disconnected | State::Closed) {
            return;
        }
        self.parser.push(bytes);
        loop {
            match self.parser.next_item() {
                Ok(Some(Item::Open(_))) => {}
                Ok(Some(Item::Stanza(error))) if error.is(ns::STREAM, "error") => return self.end(&describe(&error)),
                Ok(Some(Item::Stanza(element))) => self.element(element, now),
                Ok(Some(Item::Close)) => return self.end("the server closed the stream"),
                Ok(None) => return,
                Err(refusal) => return self.refuse(refusal),
            }
        }
    }

    fn element(&mut self, element: Element, now: Instant) {
        match (&mut self.state, element.ns(), element.name()) {
            (State::Features, ns::STREAM, "features") => self.authenticate(&element),
            (State::Authenticating(exchange), ns::SASL, "challenge") => match exchange.respond(&element.text()) {
                Ok(response) => self.write(&Element::new(ns::SASL, "response").with_text(response)),
                Err(error) => {
                    self.write(&Element::new(ns::SASL, "abort"));
                    self.fail(&error.to_string(), None);
                }
            },
            (State::Authenticating(_), ns::SASL, "success") => self.authenticated(&element),
            (State::Authenticating(_), ns::SASL, "failure") => {
                let text = element.child(ns::SASL, "text").map(|text| text.text().into_owned());
                let condition =
                    element.children().find(|child| child.name() != "text").map_or("not-authorized", Element::name);
                self.fail(condition, text);
            }
            (State::Restarted, ns::STREAM, "features") => self.bind(),
            (State::Binding, ns::CLIENT, "iq") if element.attr("id") == Some(BIND_ID) => self.bound(&element),
            (State::Online, ns::CLIENT, "iq") if stanza::is_request(&element) => {
                let ping = element.attr("type") == Some("get") && element.child(ns::PING, "ping").is_some();
                let answer = if ping {
                    stanza::result(&element, None)
                } else {
                    stanza::error(&element, "cancel", "service-unavailable")
                };
                self.send(&answer);
            }
            (State::Online, ns::CLIENT, "iq" | "message" | "presence") => {
                self.outputs.push_back(Output::Stanza { element, received: now });
            }
            _ => self.drop(DropReason::Unhandled, "not expected in this state of the stream"),
        }
    }

    /// Begins SASL with the strongest mechanism offered. Where STARTTLS is offered, this is where it would go first.
    fn authenticate(&mut self, features: &Element) {
        let mechanisms =
            features.child(ns::SASL, "mechanisms").cloned().unwrap_or_else(|| Element::new(ns::SASL, "mechanisms"));
        let offered: Vec<_> =
            mechanisms.children().filter(|child| child.name() == "mechanism").map(Element::text).collect();
        let user = self.config.jid.localpart().unwrap_or_default();
        match Exchange::begin(&offered, self.config.plain, user, &self.config.password, self.nonce) {
            Ok(exchange) => {
                self.mechanism = exchange.mechanism();
                let auth = Element::new(ns::SASL, "auth").with_attr("mechanism", exchange.mechanism().as_str());
                self.write(&auth.with_text(exchange.initial_response()));
                self.state = State::Authenticating(exchange);
            }
            Err(error) => self.fail(&error.to_string(), None),
        }
    }

    fn authenticated(&mut self, success: &Element) {
        if let State::Authenticating(exchange) = std::mem::replace(&mut self.state, State::Restarted) {
            match exchange.finish(&success.text()) {
                Ok(()) => self.open(),
                Err(error) => self.fail(&error.to_string(), None),
            }
        }
    }

    fn bind(&mut self) {
        let bind = Element::new(ns::BIND, "bind");
        let bind = match &self.config.resource {
            Some(resource) => bind.with_child(Element::new(ns::BIND, "resource").with_text(resource.as_str())),
            None => bind,
        };
        self.write(&Element::iq("set", BIND_ID, bind));
        self.state = State::Binding;
    }

    fn bound(&mut self, answer: &Element) {
        let jid = answer
            .child(ns::BIND, "bind")
            .and_then(|bind| bind.child(ns::BIND, "jid"))
            .and_then(|jid| jid.text().parse().ok());
        match (answer.attr("type"), jid) {
            (Some("result"), Some(jid)) => {
                self.state = State::Online;
                self.deadline = None;
                self.write(&Element::presence());
                self.outputs.push_back(Output::Online { jid, mechanism: self.mechanism });
            }
            _ => self.leave(&format!("no resource: {}", stanza::error_condition(answer).unwrap_or("malformed answer"))),
        }
    }

    /// Sends a stanza once online.
    pub fn send(&mut self, stanza: &Element) {
        if !self.is_online() {
            self.drop(DropReason::Disconnected, "not online");
        } else if self.outputs.len() >= QUEUE {
            self.drop(DropReason::QueueFull, "the shell does not take what is to be sent");
        } else {
            self.write(stanza);
        }
    }

    /// Ends the stream.
    pub fn close(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.leave("closed by us");
        }
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self) {
        self.end("the connection closed");
    }

    /// When `handle_timeout` is wanted.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.write(&Condition::ConnectionTimeout.to_element());
            self.leave("no login in time");
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn fail(&mut self, condition: &str, text: Option<String>) {
        self.outputs.push_back(Output::AuthFailed { condition: condition.to_owned(), text });
        self.leave("not authenticated");
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.drop(refusal.reason, refusal.detail);
        self.write(&refusal.condition.to_element());
        self.leave(refusal.detail);
    }

    fn leave(&mut self, detail: &str) {
        self.outputs.push_back(Output::Send(b"</stream:stream>".to_vec()));
        self.end(detail);
    }

    fn end(&mut self, detail: &str) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.state = State::Closed;
        self.deadline = None;
        self.outputs.push_back(Output::Close);
        self.outputs.push_back(Output::Closed { detail: detail.to_owned() });
    }

    fn write(&mut self, element: &Element) {
        self.outputs.push_back(Output::Send(element.to_xml(ns::CLIENT).into_bytes()));
    }

    fn drop(&mut self, reason: DropReason, detail: &str) {
        self.outputs.push_back(Output::Event(Event::XmppDropped(Dropped { reason, detail: detail.to_owned() }).into()));
    }
}
