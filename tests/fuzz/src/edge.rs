//! The whole edge between phones, core servers and other providers who do what the bytes say: what leaves can be read and goes
//! nowhere but to who is known, a JID that reaches the core is the directory's, tables are bounded, and in the end nothing is left.

mod cast;
mod script;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_edge::{AccountKey, ContextId, Edge, LocateId, Output};
use cusax_sip::location::{LocateError, Place};
use cusax_sip::{Address, Compose, ConnectionId, Flow, Message, Method, Name, Transmit, Transport};

use super::input::Input;
use super::{pace, wire};
use cast::{JIDS, LIMIT};

/// Timer C at both core servers, and what follows from it.
const LONG: Duration = Duration::from_secs(600);
/// A core server that answers no probe has one every few seconds: so many steps are enough for everything to end.
const STEP: Duration = Duration::from_secs(10);

struct World {
    edge: Edge,
    now: Instant,
    /// What the edge sent, to be answered or repeated.
    sent: Vec<Transmit>,
    /// What phones sent last.
    said: Vec<(Bytes, Flow)>,
    waiting: Vec<(ContextId, Option<AccountKey>, Option<AccountKey>)>,
    lookups: Vec<LocateId>,
    /// Requests to the focus.
    focus: Vec<(Bytes, Flow)>,
    /// The last challenge's value.
    challenge: Option<String>,
    /// Values of Record-Route and Path that the edge wrote.
    routes: Vec<String>,
    /// True where the directory answers at once.
    prompt: bool,
    /// True once the core said what no core says.
    mad: bool,
}

/// Does what the bytes say.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let now = pace::start();
    let edge = Edge::new(cast::config(input.byte()), [5, 6, 7, 8], cast::UNIX, now);
    let mut world = World {
        edge,
        now,
        sent: Vec::new(),
        said: Vec::new(),
        waiting: Vec::new(),
        lookups: Vec::new(),
        focus: Vec::new(),
        challenge: None,
        routes: Vec::new(),
        prompt: input.byte() & 3 != 3,
        mad: false,
    };
    for (number, identity) in [(1, None), (2, Some("biloxi.example".to_owned()))] {
        world.edge.handle_opened(ConnectionId(number), identity.into_iter().collect());
    }
    world.drain();
    while !input.is_empty() {
        world.act(&mut input);
        world.drain();
    }
    world.end();
}

impl World {
    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 16 {
            0..=4 => {
                let (bytes, flow) = script::of_a_phone(self, input);
                self.say(bytes, flow);
            }
            5 => {
                let Some((bytes, flow)) = input.one_of(&self.said) else { return };
                let flow = if input.byte() & 3 == 0 { cast::phone(input.byte()) } else { flow };
                self.edge.handle_message(bytes, flow, now);
            }
            6 => {
                let bytes = script::of_a_core(self, input);
                let flow = cast::core(input.byte());
                self.edge.handle_message(bytes, flow, now);
            }
            7..=9 => {
                let Some(Transmit { flow, bytes }) = input.one_of(&self.sent) else { return };
                let response = wire::response(input, &wire::readable(&bytes));
                let flow = if input.byte() & 15 == 0 { cast::phone(input.byte()) } else { flow };
                self.edge.handle_message(response, flow, now);
            }
            10 => {
                let bytes = Bytes::copy_from_slice(input.piece());
                let at = input.byte();
                self.mad |= at & 1 == 1;
                let flow = if at & 1 == 1 { cast::core(at >> 1) } else { cast::phone(at >> 1) };
                self.edge.handle_message(bytes, flow, now);
            }
            11 => self.answer_lookups(input.byte()),
            12 => {
                let time = Duration::from_millis(u64::from(input.number()) * 2);
                self.pass(time);
            }
            13 => {
                let flow = if input.byte() & 1 == 0 { cast::phone(input.byte()) } else { cast::core(input.byte()) };
                if let Some(connection) = flow.connection {
                    self.edge.handle_closed(connection);
                }
                self.edge.handle_unreachable(&flow, now);
            }
            14 => match input.one_of(&self.sent) {
                Some(Transmit { flow, bytes }) if input.byte() & 1 == 0 => self.edge.handle_bounced(&flow, &bytes, now),
                _ => self.edge.handle_backlog(input.byte() % 101),
            },
            _ => self.focus_says(input),
        }
    }

    fn say(&mut self, bytes: Bytes, flow: Flow) {
        if self.said.len() < 32 {
            self.said.push((bytes.clone(), flow));
        }
        self.edge.handle_message(bytes, flow, self.now);
    }

    fn focus_says(&mut self, input: &mut Input<'_>) {
        let Some((bytes, flow)) = input.one_of(&self.focus) else { return };
        let response = wire::response(input, &wire::readable(&bytes));
        self.edge.handle_message(response, flow, self.now);
    }

    /// Accounts and places are found, or are not.
    fn answer_lookups(&mut self, choice: u8) {
        let known = |key: &Option<AccountKey>| key.as_ref().filter(|_| choice & 1 == 0).and_then(cast::account);
        for (query, caller, callee) in std::mem::take(&mut self.waiting) {
            self.edge.handle_accounts(query, known(&caller), known(&callee), self.now);
        }
        for query in std::mem::take(&mut self.lookups) {
            let place = Place { transport: Transport::Udp, address: cast::PLACE.parse().expect("an address") };
            let found = if choice & 2 == 0 { Ok(vec![place]) } else { Err(LocateError::NotFound) };
            self.edge.handle_located(query, found, self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        let mut now = self.now;
        pace::pass(
            self,
            &mut now,
            time,
            |world| world.edge.poll_timeout(),
            |world, now| {
                world.now = now;
                world.edge.handle_timeout(now);
                world.drain();
            },
        );
        self.now = now;
    }

    fn end(&mut self) {
        self.edge.handle_backlog(0);
        for (bytes, flow) in std::mem::take(&mut self.focus) {
            let request = wire::readable(&bytes);
            if request.is_request() && request.method() != Method::Ack {
                let response = Compose::response(&request, 500, None, Some("f")).empty();
                self.edge.handle_message(response, flow, self.now);
                self.drain();
            }
        }
        let end = self.now + LONG;
        while self.now < end {
            self.answer_lookups(2);
            self.drain();
            if self.edge.counts() == [0; 4] && self.waiting.is_empty() && self.lookups.is_empty() {
                return;
            }
            self.pass(STEP);
        }
        panic!("requests, clients, servers, cues are left: {:?}", self.edge.counts());
    }

    fn drain(&mut self) {
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmitted(transmit),
                Output::Focus { bytes, flow } => {
                    wire::readable(&bytes);
                    if self.focus.len() < 32 {
                        self.focus.push((bytes, flow));
                    }
                }
                Output::Accounts { query, caller, callee } if self.prompt => {
                    let known = |key: Option<AccountKey>| key.as_ref().and_then(cast::account);
                    self.edge.handle_accounts(query, known(caller), known(callee), self.now);
                }
                Output::Accounts { query, caller, callee } => self.waiting.push((query, caller, callee)),
                Output::Locate { query, .. } => self.lookups.push(query),
                Output::Headline(headline) => {
                    assert!(JIDS.contains(&headline.to.as_str()), "a headline to {}", headline.to);
                }
                Output::Event(_) => {}
            }
        }
        let [requests, clients, servers, cues] = self.edge.counts();
        assert!(servers <= LIMIT && requests <= LIMIT && clients <= 2 * LIMIT && cues <= LIMIT);
    }

    fn transmitted(&mut self, transmit: Transmit) {
        let flow = transmit.flow;
        if transmit.bytes.starts_with(&[1, 1]) {
            return;
        }
        let message = wire::readable(&transmit.bytes);
        let known = cast::everybody().any(|address: IpAddr| address == flow.remote.ip());
        assert!(self.mad || known, "sent to {}, who is a stranger", flow.remote);
        for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
            if let Some(value) = message.values(name).next() {
                self.challenge = Some(value.to_owned());
            }
        }
        for value in message.values(Name::Path).chain(message.values(Name::RecordRoute)) {
            if self.routes.len() < 16 && value.contains("@192.0.2.1:") {
                self.routes.push(value.to_owned());
            }
        }
        if cast::is_core(&flow) && message.is_request() && !self.mad {
            jids_are_ours(&message);
        }
        if message.is_request() && message.method() != Method::Ack && self.sent.len() < 64 {
            self.sent.push(transmit);
        }
    }
}

/// Who calls by XMPP is who the directory says (RFC 7081 §3.5), whatever a phone writes.
fn jids_are_ours(message: &Message) {
    for value in message.values(Name::CallInfo) {
        let Some(address) = Address::parse(value) else { continue };
        let purpose = address.params.find_unquoted("purpose");
        if purpose.is_some_and(|purpose| purpose.eq_ignore_ascii_case("impp")) {
            let jid = address.uri_text.strip_prefix("xmpp:");
            assert!(jid.is_some_and(|jid| JIDS.contains(&jid)), "the core is told {value}");
        }
    }
}
