//! An edge with its phones, its core, its accounts and a clock that the test turns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_edge::config::{
    Action, Caller, Config, CoreTarget, Forged, Keys, Limits, Listener, Numbers, Peer, Reach, Zone,
};
use cusax_edge::{Account, AccountKey, Edge, FOCUS, Headline, LocateId, Output, Retired};
use cusax_event::Event;
use cusax_event::sip::{Dropped, NumberClass};
use cusax_numbering::Classifier;
use cusax_sip::digest::{Algorithm, Challenge, Credentials, Qop, ha1};
use cusax_sip::location::{self, LocateError, Place};
use cusax_sip::{Compose, ConnectionId, Flow, ListenerId, Message, Name, Transport};

use crate::draft::Draft;

pub(crate) const ALICE: &str = "198.51.100.1:5060";
pub(crate) const BOB: &str = "198.51.100.2:5060";
pub(crate) const STRANGER: &str = "203.0.113.9:5060";
pub(crate) const CORE: &str = "192.0.2.20:5080";
/// Seconds since 1970 when a world begins.
const UNIX: u64 = 1_800_000_000;

const ACCESS_UDP: ListenerId = ListenerId(0);
const CORE_UDP: ListenerId = ListenerId(1);
const ACCESS_TCP: ListenerId = ListenerId(2);
const PEER_UDP: ListenerId = ListenerId(3);

/// Our address on the access and the core side, as others write it.
pub(crate) const ACCESS_SIDE: &str = "192.0.2.1:5060";
pub(crate) const CORE_SIDE: &str = "192.0.2.1:5070";

/// A message that left the edge.
pub(crate) struct Sent {
    pub(crate) flow: Flow,
    pub(crate) message: Message,
}

impl Sent {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.message.bytes()).into_owned()
    }

    pub(crate) fn lines(&self, name: Name) -> Vec<&str> {
        self.message.values(name).collect()
    }
}

pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) focus: Vec<Message>,
    pub(crate) headlines: Vec<Headline>,
    pub(crate) events: Vec<Event>,
    /// What core targets answer to OPTIONS probes; silence where there is nothing.
    pub(crate) alive: BTreeMap<SocketAddr, u16>,
    pub(crate) probes: Vec<Sent>,
    /// Where names lead; what is not here is not answered.
    pub(crate) dns: BTreeMap<String, Result<Vec<Place>, LocateError>>,
    pub(crate) asked: Vec<(LocateId, location::Target, Vec<Transport>)>,
    nonce_count: u32,
}

fn listener(transport: Transport, sent_by: &str, zone: Zone) -> Listener {
    Listener { transport, address: sent_by.parse().unwrap(), sent_by: sent_by.to_owned(), zone }
}

/// The plan of the United States; reading it takes longer than most tests.
fn classifier() -> Arc<Classifier> {
    static CLASSIFIER: LazyLock<Arc<Classifier>> = LazyLock::new(|| {
        let numbers = cusax_numbering::Config {
            country: "US".to_owned(),
            domains: vec!["example.com".to_owned()],
            own: vec!["+1404555".to_owned()],
            ..cusax_numbering::Config::default()
        };
        Arc::new(Classifier::new(&numbers).unwrap())
    });
    Arc::clone(&CLASSIFIER)
}

pub(crate) fn config() -> Config {
    let policy = [
        (NumberClass::National, Action::Text),
        (NumberClass::Mobile, Action::Text),
        (NumberClass::International, Action::Text),
        (NumberClass::Premium, Action::Block),
    ];
    Config {
        domain: "example.com".to_owned(),
        listeners: vec![
            listener(Transport::Udp, ACCESS_SIDE, Zone::Access),
            listener(Transport::Udp, CORE_SIDE, Zone::Core),
            listener(Transport::Tcp, ACCESS_SIDE, Zone::Access),
            listener(Transport::Udp, "192.0.2.1:5090", Zone::Peer),
        ],
        core: vec![CoreTarget {
            name: Arc::from("sip:192.0.2.20:5080"),
            address: CORE.parse().unwrap(),
            transport: Transport::Udp,
        }],
        core_identities: Vec::new(),
        retired: Retired::default(),
        peers: vec![
            Peer { sources: vec![("192.0.2.128".parse().unwrap(), 28)], identities: Vec::new(), trusted: false },
            Peer { sources: vec![("192.0.2.160".parse().unwrap(), 28)], identities: Vec::new(), trusted: true },
        ],
        federation: true,
        challenge: true,
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        caller: Caller { insert: true, forged: Forged::Strip, callee: Reach::OwnDomain, egress: Reach::All },
        numbers: Numbers { classifier: classifier(), policy: BTreeMap::from(policy), message: true },
        conferences: vec!["conference.example.com".to_owned()],
        dial_in: BTreeMap::from([("+14045550900".to_owned(), "sip:standup@conference.example.com".to_owned())]),
        limits: Limits { transactions: 1_000, ..Limits::default() },
        summaries: true,
        keys: Keys { nonce: vec![[1; 32]], token: vec![[2; 32]], session: [3; 32] },
    }
}

#[expect(clippy::disallowed_methods, reason = "one instant is as good as another to count from")]
fn beginning() -> Instant {
    Instant::now()
}

fn account(key: &AccountKey) -> Option<Account> {
    let (name, username, algorithm) = match key {
        AccountKey::Digest { username, algorithm } => {
            (username.strip_suffix("@example.com").unwrap_or(username), username.as_str(), Some(*algorithm))
        }
        AccountKey::User(user) => (user.as_str(), "", None),
        AccountKey::Id(1) => ("alice", "", None),
        AccountKey::Id(2) => ("bob", "", None),
        AccountKey::Number(number) if number == "+14045550101" => ("alice", "", None),
        AccountKey::Id(_) | AccountKey::Number(_) => return None,
    };
    let (id, numbers) = match name {
        "alice" => (1, vec!["+14045550101".to_owned()]),
        "bob" => (2, Vec::new()),
        _ => return None,
    };
    let ha1 = algorithm.map_or_else(String::new, |algorithm| ha1(algorithm, username, "example.com", &password(name)));
    Some(Account { id, user: name.to_owned(), jid: Some(format!("{name}@example.com")), numbers, ha1 })
}

fn password(user: &str) -> String {
    format!("secret of {user}")
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = beginning();
        let alive = config.core.iter().map(|core| (core.address, 200)).collect();
        let edge = Edge::new(config, [11, 12, 13, 14], UNIX, now);
        let (sent, focus, headlines, events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            edge,
            now,
            sent,
            focus,
            headlines,
            events,
            alive,
            probes: Vec::new(),
            dns: BTreeMap::new(),
            asked: Vec::new(),
            nonce_count: 0,
        }
    }

    /// Bytes from an address, at the listener that is for it.
    pub(crate) fn receive(&mut self, from: &str, bytes: impl Into<Bytes>) {
        self.receive_on(udp(from), bytes);
    }

    pub(crate) fn receive_on(&mut self, flow: Flow, bytes: impl Into<Bytes>) {
        self.edge.handle_message(bytes.into(), flow, self.now);
        self.settle();
    }

    /// Turns the clock, stopping wherever the edge wants to be woken.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.edge.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.edge.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let message = Message::parse(transmit.bytes).unwrap();
                    assert_eq!(message.defect(), None, "{:?}", message.bytes());
                    let sent = Sent { flow: transmit.flow, message };
                    if sent.message.call_id().starts_with("probe-") {
                        self.probed(sent);
                    } else {
                        self.sent.push(sent);
                    }
                }
                Output::Focus { bytes, .. } => self.focus.push(Message::parse(bytes).unwrap()),
                Output::Accounts { query, caller, callee } => {
                    let find = |key: Option<AccountKey>| key.as_ref().and_then(account);
                    self.edge.handle_accounts(query, find(caller), find(callee), self.now);
                }
                Output::Locate { query, target, spoken } => {
                    let answer = self.dns.get(&target.host).cloned();
                    self.asked.push((query, target, spoken));
                    if let Some(answer) = answer {
                        self.edge.handle_located(query, answer, self.now);
                    }
                }
                Output::Headline(headline) => self.headlines.push(headline),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn probed(&mut self, probe: Sent) {
        if let Some(status) = self.alive.get(&probe.flow.remote) {
            let bytes = Compose::response(&probe.message, *status, None, Some("alive")).empty();
            self.edge.handle_message(bytes, probe.flow, self.now);
        }
        self.probes.push(probe);
    }

    /// Takes what was sent to an address since the last look.
    pub(crate) fn sent_to(&mut self, to: &str) -> Vec<Sent> {
        let to: SocketAddr = to.parse().unwrap();
        let (theirs, others) = self.sent.drain(..).partition(|sent| sent.flow.remote == to);
        self.sent = others;
        theirs
    }

    /// The one message that was sent to an address, apart from 100 Trying.
    pub(crate) fn one_to(&mut self, to: &str) -> Sent {
        let mut sent = self.sent_to(to);
        sent.retain(|sent| sent.message.status() != Some(100));
        let told = sent.iter().map(|sent| sent.message.first_line()).collect::<Vec<_>>().join(", ");
        assert_eq!(sent.len(), 1, "to {to}: {told}; dropped: {:?}", self.dropped());
        sent.remove(0)
    }

    /// The status of the one response that was sent to an address.
    pub(crate) fn one_status(&mut self, to: &str) -> Option<u16> {
        let sent = self.sent_to(to);
        assert_eq!(sent.len(), 1);
        sent[0].message.status()
    }

    /// The status that a request from an address is answered with at once.
    pub(crate) fn status_of(&mut self, from: &str, bytes: impl Into<Bytes>) -> u16 {
        self.receive(from, bytes);
        self.one_to(from).message.status().unwrap()
    }

    /// What a phone adds to a request when it was challenged for it.
    pub(crate) fn credentials(&mut self, challenged: &Sent, user: &str, draft: &Draft) -> String {
        let register = challenged.message.status() == Some(401);
        let name = if register { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
        let challenge = challenged.message.values(name).find_map(Challenge::parse).expect("a challenge");
        self.answer(&challenge, user, &password(user), draft)
    }

    pub(crate) fn answer(&mut self, challenge: &Challenge, user: &str, password: &str, draft: &Draft) -> String {
        self.nonce_count += 1;
        let key = ha1(challenge.algorithm, user, &challenge.realm, password);
        let qop = Qop { count: self.nonce_count, cnonce: "c0ffee".into() };
        let credentials = Credentials::answer(challenge, user, &key, draft.method, &draft.uri, qop);
        let name = if draft.method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
        format!("{name}: {credentials}")
    }

    /// Sends a request twice, as a phone does: without credentials and, when it was challenged, with them. Returns the
    /// request as it was sent last.
    pub(crate) fn send(&mut self, from: &str, user: &str, draft: Draft) -> Draft {
        self.receive(from, draft.bytes());
        let challenged = self.one_to(from);
        assert!(matches!(challenged.message.status(), Some(401 | 407)), "{}", challenged.text());
        if draft.method == "INVITE" {
            self.receive(from, ack_to(&draft, &challenged));
        }
        let credentials = self.credentials(&challenged, user, &draft);
        let again = draft.next().header(&credentials);
        self.receive(from, again.bytes());
        again
    }

    /// Sends a request of alice as [`World::send`] does, and takes what the core gets.
    pub(crate) fn at_core(&mut self, draft: Draft) -> Sent {
        self.send(ALICE, "alice", draft);
        self.one_to(CORE)
    }

    /// A call of alice with header lines that need not be text; what the core gets.
    pub(crate) fn send_raw_call(&mut self, lines: &[u8]) -> Sent {
        let draft = Draft::invite("sip:bob@example.com");
        self.receive(ALICE, draft.bytes());
        let challenged = self.one_to(ALICE);
        let credentials = self.credentials(&challenged, "alice", &draft);
        let bytes = draft.next().header(&credentials).bytes();
        let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 2;
        self.receive(ALICE, [&bytes[..at], lines, &bytes[at..]].concat());
        self.one_to(CORE)
    }

    /// A response of the core to a request that it got.
    pub(crate) fn core_answers(&mut self, request: &Sent, status: u16, lines: &[(&str, &str)]) {
        let bytes = answer(&request.message, status, "core", lines);
        self.receive(CORE, bytes);
    }

    /// Registers bob over a flow; returns the route that the core has for him.
    pub(crate) fn path_of(&mut self, flow: Flow) -> String {
        let remote = flow.remote.to_string();
        let mut draft = Draft::new("REGISTER", "sip:example.com")
            .from("<sip:bob@example.com>;tag=b")
            .to("<sip:bob@example.com>")
            .header("Contact: <sip:bob@198.51.100.2:5060>");
        draft.call_id = "registration of bob".to_owned();
        if flow.transport == Transport::Tcp {
            draft.via = "SIP/2.0/TCP 198.51.100.2:5060;branch=z9hG4bK-r".to_owned();
        }
        self.receive_on(flow, draft.bytes());
        let challenged = self.one_to(&remote);
        let credentials = self.credentials(&challenged, "bob", &draft);
        self.receive_on(flow, draft.next().header(&credentials).bytes());
        let registration = self.one_to(CORE);
        self.core_answers(&registration, 200, &[]);
        assert_eq!(self.one_to(&remote).message.status(), Some(200));
        registration.lines(Name::Path)[0].to_owned()
    }

    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        let dropped = |event: &Event| if let Event::SipDropped(dropped) = event { Some(dropped.clone()) } else { None };
        self.events.iter().filter_map(dropped).collect()
    }

    /// Lets every timer run out, and looks whether anything stayed behind.
    pub(crate) fn ends_empty(mut self) {
        self.pass(Duration::from_secs(600));
        assert_eq!(self.edge.counts(), [0; 4]);
        assert_eq!(self.edge.transactions(), [[0; 2]; 2]);
        // Only the next probe is due.
        let due = self.edge.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "{due:?}");
    }
}

/// A flow to one of our UDP sockets, the one that is for its other end.
pub(crate) fn udp(from: &str) -> Flow {
    let remote: SocketAddr = from.parse().unwrap();
    let listener = match from {
        CORE | "192.0.2.21:5080" => CORE_UDP,
        _ if from.ends_with(":5099") => PEER_UDP,
        _ => ACCESS_UDP,
    };
    Flow { listener, transport: Transport::Udp, remote, connection: None, domain: None }
}

/// A TCP connection to the access side.
pub(crate) fn tcp(from: &str, connection: u64) -> Flow {
    let remote = from.parse().unwrap();
    Flow {
        listener: ACCESS_TCP,
        transport: Transport::Tcp,
        remote,
        connection: Some(ConnectionId(connection)),
        domain: None,
    }
}

/// A flow that the focus speaks on.
pub(crate) fn inside() -> Flow {
    let remote = SocketAddr::from(([0, 0, 0, 0], 0));
    Flow { listener: FOCUS, transport: Transport::Internal, remote, connection: None, domain: None }
}

/// A response of a user agent, with its tag and its route set.
pub(crate) fn answer(request: &Message, status: u16, tag: &str, lines: &[(&str, &str)]) -> Bytes {
    let mut compose = Compose::response(request, status, None, Some(tag)).copy(request, Name::RecordRoute);
    for (name, value) in lines {
        compose = compose.header(name, value);
    }
    compose.empty()
}

/// The ACK to a failure, on the INVITE's own transaction.
pub(crate) fn ack_to(invite: &Draft, failure: &Sent) -> Bytes {
    let mut ack = invite.clone();
    ack.method = "ACK";
    ack.to = failure.message.first(Name::To).unwrap().to_owned();
    ack.bytes()
}
