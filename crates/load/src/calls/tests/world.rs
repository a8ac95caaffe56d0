//! Both sides of the calls, a server that a test plays, and the links between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_sip::{Compose, Flow, ListenerId, Message, Name, Transport};

use crate::calls::{Calls, End, Ends, Expect, Phase, Plan, Role, Tally, User, Users};

pub(super) const CALLEE: &str = "192.0.2.1:5060";
pub(super) const CALLER: &str = "192.0.2.2:5060";
pub(super) const SERVER: &str = "192.0.2.3:5060";

/// What the server does with what is sent to it: messages and where they go.
type Server = Box<dyn FnMut(&Message) -> Vec<(&'static str, Bytes)>>;

pub(super) struct World {
    pub(super) calls: Calls,
    pub(super) now: Instant,
    pub(super) begin: Instant,
    /// Shares of datagrams, in percent.
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    /// Longest time under way.
    pub(super) delay: Duration,
    /// First lines of all that was sent, with the time in milliseconds.
    pub(super) log: Vec<(u128, String)>,
    /// All that was sent.
    pub(super) sent: Vec<Message>,
    /// What is under way: when it arrives, from where, to where.
    link: Vec<(Instant, SocketAddr, SocketAddr, Bytes)>,
    server: Server,
    random: u64,
}

pub(super) fn plan(calls: u64) -> Plan {
    let user = |uri: &str| User { uri: uri.to_owned(), login: None };
    Plan {
        role: Role::Both,
        transport: Transport::Udp,
        users: Users { callers: vec![user("sip:alice@example.com")], callees: vec![user("sip:bob@example.com")] },
        route: None,
        headers: Vec::new(),
        rate: 100.0,
        ramp: Duration::ZERO,
        calls: Some(calls),
        duration: None,
        concurrency: 1_000,
        late: Duration::from_millis(2),
        hold: Duration::ZERO,
        ring: Duration::ZERO,
        answer: 200,
        expect: Expect { status: 200, call_info: None, session_id: false },
        register: None,
        seed: 1,
    }
}

impl World {
    /// Calls that go straight to the callees.
    pub(super) fn direct(plan: Plan) -> Self {
        Self::new(plan, CALLEE, Box::new(|_| Vec::new()))
    }

    /// Calls that go to a server, which is only those things that a test makes of it.
    pub(super) fn with_server(
        plan: Plan,
        server: impl FnMut(&Message) -> Vec<(&'static str, Bytes)> + 'static,
    ) -> Self {
        Self::new(plan, SERVER, Box::new(server))
    }

    fn new(plan: Plan, proxy: &str, server: Server) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        let begin = Instant::now();
        let end = |listener, local: &str| End {
            flow: Flow {
                listener: ListenerId(listener),
                transport: plan.transport,
                remote: proxy.parse().unwrap(),
                connection: None,
                domain: None,
            },
            local: local.to_owned(),
        };
        let callers = if plan.role.calls() { vec![end(1, CALLER)] } else { Vec::new() };
        let ends = Ends { callers, callee: plan.role.answers().then(|| end(0, CALLEE)) };
        Self {
            random: plan.seed | 1,
            calls: Calls::new(plan, &ends, 0xcafe, begin),
            now: begin,
            begin,
            loss: 0,
            duplicates: 0,
            delay: Duration::ZERO,
            log: Vec::new(),
            sent: Vec::new(),
            link: Vec::new(),
            server,
        }
    }

    /// Goes on until all is over; tells what was counted.
    pub(super) fn run(&mut self) -> Tally {
        while self.calls.phase() != Phase::Over {
            self.step();
        }
        self.calls.tally().clone()
    }

    /// Goes on for some time.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next().is_some_and(|next| next <= until) && self.calls.phase() != Phase::Over {
            self.step();
        }
        self.now = until;
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.link.iter().map(|(at, ..)| *at).min();
        arrival.into_iter().chain(self.calls.poll_timeout()).min()
    }

    /// Does what is next.
    pub(super) fn step(&mut self) {
        let next = self.next().expect("a run that is not over has something to do");
        self.now = self.now.max(next);
        let arrived = (0..).zip(&self.link).filter(|(_, (at, ..))| *at <= self.now).min_by_key(|(_, (at, ..))| *at);
        match arrived.map(|(place, _)| place) {
            Some(place) => {
                let (_, from, to, bytes) = self.link.remove(place);
                self.arrive(from, to, bytes);
            }
            None => self.calls.handle_timeout(self.now),
        }
        self.flush();
    }

    /// Gives them a message at once.
    pub(super) fn inject(&mut self, from: &str, to: &str, bytes: impl Into<Bytes>) {
        self.arrive(from.parse().unwrap(), to.parse().unwrap(), bytes.into());
        self.flush();
    }

    /// The same for what is no good message: what is said to it need be none either.
    pub(super) fn inject_quietly(&mut self, from: &str, to: &str, bytes: Vec<u8>) {
        self.arrive(from.parse().unwrap(), to.parse().unwrap(), bytes.into());
        while self.calls.poll_output().is_some() {}
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if to == address(SERVER) {
            let message = Message::parse(bytes).unwrap();
            for (to, bytes) in (self.server)(&message) {
                self.transmit(address(SERVER), address(to), &bytes);
            }
            return;
        }
        let listener = ListenerId(u16::from(to != address(CALLEE)));
        let flow = Flow { listener, transport: Transport::Udp, remote: from, connection: None, domain: None };
        self.calls.handle_message(flow, bytes, self.now);
    }

    pub(super) fn flush(&mut self) {
        while let Some(transmit) = self.calls.poll_output() {
            let from = address(if transmit.flow.listener == ListenerId(0) { CALLEE } else { CALLER });
            let (to, bytes) = (transmit.flow.remote, Bytes::copy_from_slice(transmit.bytes));
            let message = Message::parse(bytes.clone()).unwrap();
            assert!(message.defect().is_none(), "{}", String::from_utf8_lossy(&bytes));
            let millis = self.now.duration_since(self.begin).as_millis();
            self.log.push((millis, message.first_line().to_owned()));
            self.sent.push(message);
            self.transmit(from, to, &bytes);
        }
    }

    fn transmit(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        for _ in 0..1 + u64::from(self.draw(100) < self.duplicates) {
            let delay = self.draw(1 + self.delay.as_micros() as u64);
            if self.draw(100) >= self.loss {
                self.link.push((self.now + Duration::from_micros(delay), from, to, bytes.clone()));
            }
        }
    }

    /// xorshift64.
    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    /// First words of what was sent: methods and status codes.
    pub(super) fn words(&self) -> Vec<&str> {
        self.log.iter().map(|(_, line)| word(line)).collect()
    }

    /// When a request was sent, in milliseconds.
    pub(super) fn times(&self, wanted: &str) -> Vec<u128> {
        self.log.iter().filter(|(_, line)| word(line) == wanted).map(|(at, _)| *at).collect()
    }

    /// What was sent with this method or status.
    pub(super) fn all(&self, wanted: &str) -> Vec<&Message> {
        self.sent.iter().filter(|message| word(message.first_line()) == wanted).collect()
    }
}

fn word(line: &str) -> &str {
    let line = line.strip_prefix("SIP/2.0 ").unwrap_or(line);
    line.split(' ').next().unwrap_or("")
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A response of the server to the callers.
pub(super) fn reply(request: &Message, status: u16, headers: &[(&str, &str)]) -> (&'static str, Bytes) {
    let response = Compose::response(request, status, None, Some("server"));
    let response = headers.iter().fold(response, |response, (name, value)| response.header(name, value));
    (CALLER, response.empty())
}

/// The same message with another line in front of the others.
pub(super) fn with_line(message: &Message, line: &str) -> Bytes {
    let text = String::from_utf8(message.bytes().to_vec()).unwrap();
    let (first, rest) = text.split_once("\r\n").unwrap();
    Bytes::from(format!("{first}\r\n{line}\r\n{rest}"))
}

/// Passes requests on to the callees, and their responses back, as a proxy does that leaves each as it is.
pub(super) fn pass(message: &Message) -> Vec<(&'static str, Bytes)> {
    if message.is_request() {
        return vec![(CALLEE, with_line(message, &format!("Via: SIP/2.0/UDP {SERVER};branch=z9hG4bKproxy")))];
    }
    let top = message.lines(Name::Via).next().unwrap().line();
    let bytes = message.bytes();
    vec![(CALLER, Bytes::from([&bytes[..top.start], &bytes[top.end..]].concat()))]
}
