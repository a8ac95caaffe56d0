//! Crowds: callees that answer, fail, fall silent, die while ringing or ignore CANCEL, behind forks and alternates, on a
//! link that loses, repeats and reorders. A failure names its seed; `CUSAX_SEED=n` runs that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_sip::proxy::{self, Hop, Proxy};
use cusax_sip::transaction::{ClientId, Layer, Output, ServerId, T1, T2, T64};
use cusax_sip::{Compose, Edit, Message, Method, Name};
use cusax_tests::link::Link;

use crate::stage::{flow, hop};

const CALLER: &str = "10.0.0.1:5060";
const PROXY: &str = "10.0.0.2:5060";
const CALLEES: [&str; 4] = ["10.0.1.1:5060", "10.0.1.2:5060", "10.0.1.3:5060", "10.0.1.4:5060"];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn place(index: usize) -> &'static str {
    CALLEES[index]
}

/// What a person does later.
enum Deed {
    /// The caller begins a call or asks something.
    Begin(Method),
    /// The caller gives up.
    GiveUp(u64),
    /// A callee answers.
    Answer { callee: usize, server: ServerId, request: Arc<Message>, status: u16 },
    /// A callee says a 2xx again until somebody has heard it.
    Repeat { callee: usize, server: ServerId, bytes: Bytes, key: String, after: Duration, until: Instant },
}

/// How a request of the caller ended.
#[derive(Debug, Default)]
struct Fate {
    client: Option<ClientId>,
    finals: BTreeSet<u16>,
    timed_out: bool,
}

struct Crowd {
    link: Link,
    proxy: Proxy,
    caller: Layer,
    callees: Vec<Layer>,
    /// INVITEs whose callee is dead or deaf: by server transaction.
    deaf: BTreeSet<String>,
    open: BTreeMap<String, (ServerId, Arc<Message>)>,
    deeds: Vec<(Instant, Deed)>,
    fates: BTreeMap<u64, Fate>,
    /// 2xx that the caller heard, and ACKs that callees heard, by Call-ID and tag.
    heard: BTreeSet<String>,
    acked: BTreeSet<String>,
}

fn key(message: &Message) -> String {
    format!("{} {}", message.call_id(), message.to_tag())
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut link = Link::new(seed);
        link.loss = 10;
        Self {
            link,
            proxy: Proxy::new([seed, 7], 1_000),
            caller: Layer::new([seed, 8], 1_000),
            callees: (0..CALLEES.len() as u64).map(|index| Layer::new([seed, 100 + index], 1_000)).collect(),
            deaf: BTreeSet::new(),
            open: BTreeMap::new(),
            deeds: Vec::new(),
            fates: BTreeMap::new(),
            heard: BTreeSet::new(),
            acked: BTreeSet::new(),
        }
    }

    fn later(&mut self, most: u64, deed: Deed) {
        let at = self.link.now + Duration::from_millis(self.link.random(most));
        self.deeds.push((at, deed));
    }

    fn act(&mut self, deed: Deed) {
        let now = self.link.now;
        match deed {
            Deed::Begin(method) => self.begin(method),
            Deed::GiveUp(number) => {
                if let Some(client) = self.fates[&number].client {
                    self.caller.cancel(client, &[], now);
                }
            }
            Deed::Answer { callee, server, request, status } => self.answer(callee, server, &request, status),
            Deed::Repeat { callee, server, bytes, key, after, until } => {
                if !self.acked.contains(&key) && now < until {
                    self.callees[callee].respond(server, 200, bytes.clone(), now);
                    let deed = Deed::Repeat { callee, server, bytes, key, after: (after * 2).min(T2), until };
                    self.deeds.push((now + after, deed));
                }
            }
        }
    }

    fn begin(&mut self, method: Method) {
        let number = self.fates.len() as u64;
        let Some((client, branch)) = self.caller.open(method, flow(PROXY), number, None) else { return };
        let bytes = Compose::request(method.as_str(), "sip:bob@example.com")
            .header("Via", &format!("SIP/2.0/UDP {CALLER};branch={branch}"))
            .header("Max-Forwards", "70")
            .header("From", "<sip:alice@example.com>;tag=1")
            .header("To", "<sip:bob@example.com>")
            .header("Call-ID", &number.to_string())
            .header("CSeq", &format!("1 {method}"))
            .empty();
        self.caller.start(client, bytes, self.link.now);
        self.fates.insert(number, Fate { client: Some(client), ..Fate::default() });
        if method == Method::Invite && self.link.random(3) == 0 {
            self.later(20_000, Deed::GiveUp(number));
        }
    }

    fn answer(&mut self, callee: usize, server: ServerId, request: &Arc<Message>, status: u16) {
        let now = self.link.now;
        let invite = request.method() == Method::Invite;
        let number = format!("{callee}{}", request.top_via().unwrap().branch());
        if invite && status >= 200 && self.open.remove(&number).is_none() {
            return;
        }
        let tag = format!("{callee}-{}", request.top_via().unwrap().branch().len());
        let bytes = Compose::response(request, status, None, Some(&tag))
            .header("Contact", &format!("<sip:bob@{}>", place(callee)))
            .empty();
        self.callees[callee].respond(server, status, bytes.clone(), now);
        if invite && (200..300).contains(&status) {
            let key = format!("{} {tag}", request.call_id());
            self.deeds.push((now + T1, Deed::Repeat { callee, server, bytes, key, after: T1 * 2, until: now + T64 }));
        }
    }

    fn callee_hears(&mut self, callee: usize, output: Output) {
        match output {
            Output::Transmit { transmit, .. } => {
                self.link.send(address(place(callee)), address(PROXY), &transmit.bytes)
            }
            Output::Ack { message, .. } => {
                self.acked.insert(key(&message));
            }
            Output::Request { server, message, .. } => {
                let number = format!("{callee}{}", message.top_via().unwrap().branch());
                match message.method() {
                    Method::Invite => self.rings(callee, server, &message, number),
                    Method::Cancel if self.deaf.contains(&number) => {}
                    Method::Cancel => {
                        self.answer(callee, server, &message, 200);
                        if let Some((server, invite)) = self.open.get(&number).cloned() {
                            self.answer(callee, server, &invite, 487);
                        }
                    }
                    _ => match self.link.random(3) {
                        0 => {}
                        1 => self.later(3_000, Deed::Answer { callee, server, request: message, status: 200 }),
                        _ => self.later(3_000, Deed::Answer { callee, server, request: message, status: 404 }),
                    },
                }
            }
            _ => {}
        }
    }

    fn rings(&mut self, callee: usize, server: ServerId, invite: &Arc<Message>, number: String) {
        let deed = |status| Deed::Answer { callee, server, request: Arc::clone(invite), status };
        self.open.insert(number.clone(), (server, Arc::clone(invite)));
        let kind = self.link.random(9);
        if matches!(kind, 0..=2 | 8) {
            self.deaf.insert(number);
        }
        match kind {
            0 => {}
            1 => self.later(100, deed(100)),
            2 => self.later(500, deed(180)),
            3 => {
                let status = [404, 486, 503, 302, 407][usize::try_from(self.link.random(5)).unwrap()];
                self.later(500, deed(status));
            }
            4 => {
                self.later(500, deed(183));
                self.later(20_000, deed(603));
            }
            5 => self.later(500, deed(200)),
            _ => {
                self.later(500, deed(180));
                self.later(20_000, deed(200));
            }
        }
    }

    fn caller_hears(&mut self, output: Output) {
        match output {
            Output::Transmit { transmit, .. } => self.link.send(address(CALLER), address(PROXY), &transmit.bytes),
            Output::Response { owner, message, .. } => {
                let status = message.status().unwrap();
                if status >= 200 {
                    self.fates.get_mut(&owner).unwrap().finals.insert(status);
                }
                if message.method() == Method::Invite && (200..300).contains(&status) {
                    self.heard.insert(key(&message));
                    let contact = message.address(Name::Contact).unwrap().uri_text;
                    let ack = Compose::request("ACK", contact)
                        .header("Via", &format!("SIP/2.0/UDP {CALLER};branch=z9hG4bKack{owner}"))
                        .header("Max-Forwards", "70")
                        .header("From", message.first(Name::From).unwrap())
                        .header("To", message.first(Name::To).unwrap())
                        .header("Call-ID", message.call_id())
                        .header("CSeq", "1 ACK")
                        .empty();
                    self.link.send(address(CALLER), address(PROXY), &ack);
                }
            }
            Output::TimedOut { owner, .. } => self.fates.get_mut(&owner).unwrap().timed_out = true,
            _ => {}
        }
    }

    fn proxy_says(&mut self, output: proxy::Output) {
        let now = self.link.now;
        match output {
            proxy::Output::Transmit { transmit, .. } => {
                self.link.send(address(PROXY), transmit.flow.remote, &transmit.bytes);
            }
            proxy::Output::Request { context, message, .. } => {
                let first = usize::try_from(self.link.random(4)).unwrap();
                let (forks, alternates) = (1 + self.link.random(3), self.link.random(3));
                let to = |step: u64| hop(&message, place((first + usize::try_from(step).unwrap()) % 4), false);
                if self.link.random(4) == 0 {
                    self.proxy.forward(context, Hop { minor: true, ..to(3) }, now);
                }
                for step in 0..alternates {
                    self.proxy.add_alternate(context, to(step + 1));
                }
                self.proxy.fork(context, (0..forks).map(to).collect(), now);
            }
            proxy::Output::Ack { message, .. } => {
                let to = message.request_uri_text().strip_prefix("sip:bob@").unwrap().to_owned();
                self.proxy.forward_stateless(hop(&message, &to, false), now);
            }
            proxy::Output::Response { context, message, .. } => self.proxy.relay(context, Edit::new(message), now),
            _ => {}
        }
    }

    fn settle(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            while let Some(output) = self.caller.poll_output() {
                quiet = false;
                self.caller_hears(output);
            }
            for callee in 0..CALLEES.len() {
                while let Some(output) = self.callees[callee].poll_output() {
                    quiet = false;
                    self.callee_hears(callee, output);
                }
            }
            while let Some(output) = self.proxy.poll_output() {
                quiet = false;
                self.proxy_says(output);
            }
        }
    }

    /// Runs for a time, jumping from one event to the next.
    fn run(&mut self, time: Duration) {
        let until = self.link.now + time;
        loop {
            self.settle();
            let layers = self.callees.iter().chain([&self.caller]).map(Layer::poll_timeout);
            let deeds = self.deeds.iter().map(|(at, _)| Some(*at));
            let wakes = layers.chain(deeds).chain([self.proxy.poll_timeout(), self.link.next()]);
            let Some(next) = wakes.flatten().min().filter(|next| *next <= until) else { break };
            self.link.now = self.link.now.max(next);
            let now = self.link.now;
            while let Some(datagram) = self.link.arrived() {
                let message = Message::parse(datagram.bytes).unwrap();
                let from = flow(&datagram.from.to_string());
                match CALLEES.iter().position(|place| address(place) == datagram.to) {
                    Some(callee) => self.callees[callee].handle_message(message, from, now),
                    None if datagram.to == address(CALLER) => self.caller.handle_message(message, from, now),
                    None => self.proxy.handle_message(message, from, now),
                }
            }
            self.callees.iter_mut().chain([&mut self.caller]).for_each(|layer| layer.handle_timeout(now));
            self.proxy.handle_timeout(now);
            self.settle();
            while let Some(at) = self.deeds.iter().position(|(at, _)| *at <= now) {
                let (_, deed) = self.deeds.swap_remove(at);
                self.act(deed);
            }
        }
        self.link.now = until;
    }
}

fn simulate(seed: u64) -> BTreeMap<u16, u32> {
    let mut crowd = Crowd::new(seed);
    for _ in 0..40 {
        let method = if crowd.link.random(4) == 0 { Method::Options } else { Method::Invite };
        crowd.later(60_000, Deed::Begin(method));
    }
    crowd.run(Duration::from_secs(900));
    let mut outcomes = BTreeMap::new();
    for (number, fate) in &crowd.fates {
        let ended = fate.timed_out || !fate.finals.is_empty();
        assert!(ended, "seed {seed}: request {number} never ended");
        let failures = fate.finals.iter().filter(|status| **status >= 300).count();
        assert!(failures <= 1, "seed {seed}: request {number} failed twice: {fate:?}");
        for status in &fate.finals {
            *outcomes.entry(*status).or_default() += 1;
        }
    }
    for key in &crowd.heard {
        assert!(crowd.acked.contains(key), "seed {seed}: the ACK of {key} got lost for good");
    }
    assert_eq!(crowd.proxy.counts(), (0, 0, 0), "seed {seed}: the proxy's tables are not empty");
    assert_eq!(crowd.proxy.poll_timeout(), None, "seed {seed}");
    assert_eq!(crowd.caller.counts(), (0, 0), "seed {seed}: the caller's tables are not empty");
    outcomes
}

#[test]
fn every_request_of_a_crowd_ends_and_nothing_stays_behind() {
    if let Some(seed) = std::env::var("CUSAX_SEED").ok().and_then(|seed| seed.parse().ok()) {
        simulate(seed);
        return;
    }
    let seeds = if std::env::var_os("CUSAX_LONG").is_some() { 2_000 } else { 64 };
    let mut outcomes: BTreeMap<u16, u32> = BTreeMap::new();
    for (status, count) in (0..seeds).flat_map(simulate) {
        *outcomes.entry(status).or_default() += count;
    }
    for status in [200, 302, 404, 407, 408, 486, 487, 500, 603] {
        assert!(outcomes.contains_key(&status), "no call ended with {status}: {outcomes:?}");
    }
}
