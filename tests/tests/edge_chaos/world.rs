//! Phones, edge and cores on one link.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use cusax_edge::config::{Caller, Config, CoreTarget, Forged, Keys, Limits, Listener, Numbers, Reach, Zone};
use cusax_edge::{Account, AccountKey, Edge, Output, Retired};
use cusax_numbering::Classifier;
use cusax_sip::digest::{Algorithm, ha1};
use cusax_sip::ua::{self, Body, CallHandle, EndReason, Login, Outgoing, UserAgent};
use cusax_sip::{Flow, ListenerId, Message, Transport};
use cusax_tests::link::Link;

use crate::core::{Bindings, Core};

/// Where everybody is. The phones' are on the edge's access side, the cores' on the other.
const PHONES: [&str; 2] = ["198.51.100.1:5060", "198.51.100.2:5060"];
const ACCESS: &str = "192.0.2.1:5060";
const CORE_SIDE: &str = "192.0.2.1:5070";
const CORES: [&str; 2] = ["192.0.2.20:5080", "192.0.2.21:5080"];
const USERS: [&str; 2] = ["alice", "bob"];

/// What goes wrong besides the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wreck {
    Edge,
    Cores,
}

/// What became of a call, at one of its ends.
#[derive(Debug, Default)]
struct End {
    ended: u32,
    reason: Option<EndReason>,
    established: bool,
}

pub(crate) struct World {
    pub(crate) link: Link,
    phones: [UserAgent; 2],
    edge: Edge,
    cores: [Core; 2],
    bindings: Bindings,
    calls: BTreeMap<(usize, CallHandle), End>,
    pub(crate) answered: u32,
    pub(crate) restarts: u32,
    pub(crate) deaths: u32,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn udp(listener: u16, remote: SocketAddr) -> Flow {
    Flow { listener: ListenerId(listener), transport: Transport::Udp, remote, connection: None, domain: None }
}

/// The plan of the United States; reading it takes longer than a simulation.
fn classifier() -> Arc<Classifier> {
    static CLASSIFIER: LazyLock<Arc<Classifier>> = LazyLock::new(|| {
        let numbers = cusax_numbering::Config {
            country: "US".to_owned(),
            domains: vec!["example.com".to_owned()],
            ..cusax_numbering::Config::default()
        };
        Arc::new(Classifier::new(&numbers).unwrap())
    });
    Arc::clone(&CLASSIFIER)
}

fn config() -> Config {
    let listener =
        |at: &str, zone| Listener { transport: Transport::Udp, address: address(at), sent_by: at.to_owned(), zone };
    let core = |at: &&str| CoreTarget {
        name: Arc::from(format!("sip:{at}")),
        address: address(at),
        transport: Transport::Udp,
    };
    Config {
        domain: "example.com".to_owned(),
        listeners: vec![listener(ACCESS, Zone::Access), listener(CORE_SIDE, Zone::Core)],
        core: CORES.iter().map(core).collect(),
        core_identities: Vec::new(),
        retired: Retired::default(),
        peers: Vec::new(),
        federation: false,
        challenge: true,
        algorithms: vec![Algorithm::Sha256],
        caller: Caller { insert: true, forged: Forged::Strip, callee: Reach::OwnDomain, egress: Reach::All },
        numbers: Numbers { classifier: classifier(), policy: BTreeMap::new(), message: false },
        conferences: Vec::new(),
        dial_in: BTreeMap::new(),
        limits: Limits { transactions: 1_000, ..Limits::default() },
        summaries: false,
        keys: Keys { nonce: vec![[1; 32]], token: vec![[2; 32]], session: [3; 32] },
    }
}

fn account(key: &AccountKey) -> Option<Account> {
    let (user, algorithm) = match key {
        AccountKey::Digest { username, algorithm } => (username.clone(), Some(*algorithm)),
        AccountKey::User(user) => (user.clone(), None),
        AccountKey::Id(id) => (USERS.get(usize::try_from(*id).ok()?.checked_sub(1)?)?.to_string(), None),
        AccountKey::Number(_) => return None,
    };
    let place = USERS.iter().position(|known| *known == user)?;
    let ha1 = algorithm.map_or_else(String::new, |algorithm| ha1(algorithm, &user, "example.com", "secret"));
    let jid = Some(format!("{user}@example.com"));
    Some(Account { id: i64::try_from(place).unwrap() + 1, user, jid, numbers: Vec::new(), ha1 })
}

fn login(phone: usize) -> Login {
    Login { username: USERS[phone].to_owned(), password: "secret".to_owned(), algorithm: None }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let phone = |phone: usize| {
            let config = ua::Config { sent_by: PHONES[phone].to_owned(), ..ua::Config::default() };
            UserAgent::new(config, [seed, phone as u64], 1_000)
        };
        let link = Link::new(seed);
        let edge = Edge::new(config(), [seed, 11, 12, 13], 1_800_000_000, link.now);
        Self {
            phones: [phone(0), phone(1)],
            edge,
            cores: [0, 1].map(|core| Core::new(address(CORES[core]), seed)),
            bindings: Bindings::new(),
            calls: BTreeMap::new(),
            answered: 0,
            restarts: 0,
            deaths: 0,
            link,
        }
    }

    /// Both phones register, as often as it takes.
    pub(crate) fn register(&mut self) {
        for phone in [0, 1] {
            for cseq in 1..20 {
                let user = USERS[phone];
                let aor = format!("<sip:{user}@example.com>");
                let contact = format!("<sip:{user}@{}>", PHONES[phone]);
                let login = login(phone);
                let call_id = format!("registration of {user}");
                let outgoing = Outgoing {
                    contact: Some(&contact),
                    call_id: Some(&call_id),
                    cseq: cseq * 10,
                    login: Some(&login),
                    ..Outgoing::new("sip:example.com", &aor, &aor, udp(0, address(ACCESS)))
                };
                self.phones[phone].send("REGISTER", &outgoing, self.link.now);
                self.run(self.link.now + Duration::from_secs(33));
                if self.bindings.contains_key(user) {
                    break;
                }
            }
            assert!(self.bindings.contains_key(USERS[phone]));
        }
    }

    /// One random deed of a random person, or something that goes wrong.
    pub(crate) fn act(&mut self, wreck: Wreck) {
        let now = self.link.now;
        if self.link.random(6) == 0 {
            return self.wreck(wreck);
        }
        let live: Vec<_> = self.live();
        if live.is_empty() || self.link.random(3) == 0 {
            let phone = usize::try_from(self.link.random(2)).unwrap();
            let contact = format!("<sip:{}@{}>", USERS[phone], PHONES[phone]);
            let (from, to) =
                (format!("<sip:{}@example.com>", USERS[phone]), format!("<sip:{}@example.com>", USERS[1 - phone]));
            let uri = format!("sip:{}@example.com", USERS[1 - phone]);
            let (offer, login) = (Body::sdp("v=0"), login(phone));
            let outgoing = Outgoing {
                contact: Some(&contact),
                body: Some(&offer),
                login: Some(&login),
                ..Outgoing::new(&uri, &from, &to, udp(0, address(ACCESS)))
            };
            if let Some(call) = self.phones[phone].invite(&outgoing, now) {
                self.calls.insert((phone, call), End::default());
            }
            return;
        }
        let (phone, call) = live[usize::try_from(self.link.random(live.len() as u64)).unwrap()];
        let contact = format!("<sip:{}@{}>", USERS[phone], PHONES[phone]);
        let deed = self.link.random(6);
        let agent = &mut self.phones[phone];
        match deed {
            0 => agent.progress(call, 180, &contact, &[], None, now),
            1..=3 => agent.accept(call, &contact, &[], Some(&Body::sdp("v=0")), now),
            4 => agent.reject(call, 486, &[], now),
            _ => agent.hang_up(call, &[], now),
        }
    }

    fn wreck(&mut self, wreck: Wreck) {
        let now = self.link.now;
        match wreck {
            Wreck::Edge => {
                self.restarts += 1;
                let seed = self.link.random(u64::MAX);
                self.edge = Edge::new(config(), [seed, 21, 22, 23], 1_800_000_000, now);
            }
            Wreck::Cores => {
                let (which, seed) = (usize::try_from(self.link.random(2)).unwrap(), self.link.random(u64::MAX));
                if self.cores[which].alive {
                    self.deaths += 1;
                    self.cores[which].die(seed);
                } else {
                    self.cores[which].alive = true;
                }
            }
        }
    }

    pub(crate) fn repair(&mut self) {
        self.cores.iter_mut().for_each(|core| core.alive = true);
        // Until the edge knows of it.
        self.run(self.link.now + Duration::from_secs(30));
    }

    fn live(&self) -> Vec<(usize, CallHandle)> {
        self.calls.iter().filter(|(_, end)| end.ended == 0).map(|(key, _)| *key).collect()
    }

    pub(crate) fn hang_up_all(&mut self) {
        for (phone, call) in self.live() {
            let now = self.link.now;
            self.phones[phone].hang_up(call, &[], now);
        }
    }

    /// Carries everything to where it goes until nobody has more to say now.
    fn settle(&mut self) {
        loop {
            let mut any = false;
            for phone in [0, 1] {
                while let Some(output) = self.phones[phone].poll_output() {
                    any = true;
                    self.phone_says(phone, output);
                }
            }
            while let Some(output) = self.edge.poll_output() {
                any = true;
                self.edge_says(output);
            }
            for core in [0, 1] {
                while let Some(transmit) = self.cores[core].poll(&mut self.bindings, self.link.now) {
                    any = true;
                    if self.cores[core].alive {
                        self.link.send(address(CORES[core]), transmit.flow.remote, &transmit.bytes);
                    }
                }
            }
            if !any {
                return;
            }
        }
    }

    fn phone_says(&mut self, phone: usize, output: ua::Output) {
        let now = self.link.now;
        match output {
            ua::Output::Transmit(transmit) => {
                self.link.send(address(PHONES[phone]), transmit.flow.remote, &transmit.bytes)
            }
            ua::Output::Invited { call, .. } => {
                self.calls.insert((phone, call), End::default());
            }
            ua::Output::Answered { call, .. } => {
                self.answered += 1;
                self.calls.get_mut(&(phone, call)).unwrap().established = true;
            }
            ua::Output::Acked { call, .. } => self.calls.get_mut(&(phone, call)).unwrap().established = true,
            ua::Output::Failed { call, .. } => self.calls.get_mut(&(phone, call)).unwrap().ended += 1,
            ua::Output::Ended { call, reason, .. } => {
                let end = self.calls.get_mut(&(phone, call)).unwrap();
                end.ended += 1;
                end.reason = Some(reason);
            }
            ua::Output::Reoffered { call, .. } => self.phones[phone].answer_offer(call, &[], None, now),
            ua::Output::Progress { .. }
            | ua::Output::Agreed { .. }
            | ua::Output::Refused { .. }
            | ua::Output::Request { .. }
            | ua::Output::Response { .. }
            | ua::Output::Dropped { .. } => {}
        }
    }

    fn edge_says(&mut self, output: Output) {
        match output {
            Output::Transmit(transmit) => {
                let from = if transmit.flow.listener == ListenerId(0) { ACCESS } else { CORE_SIDE };
                self.link.send(address(from), transmit.flow.remote, &transmit.bytes);
            }
            Output::Accounts { query, caller, callee } => {
                let find = |key: Option<AccountKey>| key.as_ref().and_then(account);
                self.edge.handle_accounts(query, find(caller), find(callee), self.link.now);
            }
            Output::Focus { .. } | Output::Locate { .. } | Output::Headline(_) | Output::Event(_) => {}
        }
    }

    /// Runs until a time, jumping from one event to the next.
    pub(crate) fn run(&mut self, until: Instant) {
        loop {
            self.settle();
            let phones = self.phones.iter().map(UserAgent::poll_timeout);
            let cores = self.cores.iter().filter(|core| core.alive).map(|core| core.proxy.poll_timeout());
            let timers = phones.chain(cores).chain([self.edge.poll_timeout(), self.link.next()]);
            let Some(next) = timers.flatten().min().filter(|next| *next <= until) else { break };
            self.link.now = self.link.now.max(next);
            let now = self.link.now;
            while let Some(datagram) = self.link.arrived() {
                self.deliver(datagram.from, datagram.to, datagram.bytes);
            }
            self.phones.iter_mut().for_each(|phone| phone.handle_timeout(now));
            self.edge.handle_timeout(now);
            self.cores.iter_mut().filter(|core| core.alive).for_each(|core| core.proxy.handle_timeout(now));
        }
        self.link.now = self.link.now.max(until);
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: bytes::Bytes) {
        let now = self.link.now;
        let listener = [ACCESS, CORE_SIDE].iter().position(|at| address(at) == to);
        if let Some(listener) = listener {
            return self.edge.handle_message(bytes, udp(u16::try_from(listener).unwrap(), from), now);
        }
        let message = Message::parse(bytes).unwrap();
        if let Some(phone) = PHONES.iter().position(|at| address(at) == to) {
            self.phones[phone].handle_message(message, udp(0, from), now);
        } else if let Some(core) = self.cores.iter_mut().find(|core| core.address == to && core.alive) {
            core.proxy.handle_message(message, udp(0, from), now);
        }
    }

    /// Established calls that neither side hung up by a BYE that the other got.
    pub(crate) fn torn(&self) -> impl Iterator<Item = (usize, CallHandle, Option<EndReason>)> {
        let whole = [Some(EndReason::Bye), Some(EndReason::HungUp)];
        let torn = self.calls.iter().filter(move |(_, end)| end.established && !whole.contains(&end.reason));
        torn.map(|((phone, call), end)| (*phone, *call, end.reason))
    }

    pub(crate) fn ends_clean(&self, seed: u64) {
        for ((phone, call), end) in &self.calls {
            assert_eq!(end.ended, 1, "seed {seed}: call {call} of {} ended {} times", USERS[*phone], end.ended);
        }
        assert_eq!(self.edge.counts(), [0; 4], "seed {seed}: the edge's tables are not empty");
        for core in &self.cores {
            // What is left are the edge's probes of the last 32 s, 2 s apart where the link loses them.
            let (contexts, clients, servers) = core.proxy.counts();
            assert!(
                contexts + clients == 0 && servers <= 16,
                "seed {seed}: a core keeps {contexts} contexts, {clients} clients, {servers} servers"
            );
        }
        assert!(self.phones.iter().all(UserAgent::is_idle), "seed {seed}: a phone's tables are not empty");
    }
}
