//! What a call costs the edge's core, without a network: INVITE, 100, 180, 200, ACK, BYE, 200, two thousand calls a second
//! by the clock of the bench, so that as many finished transactions are kept as then would be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cusax_edge::config::{Caller, Config, CoreTarget, Forged, Keys, Limits, Listener, Numbers, Reach, Zone};
use cusax_edge::{Account, AccountKey, Edge, Output, Retired};
use cusax_numbering::Classifier;
use cusax_sip::{Compose, Flow, ListenerId, Message, Name, Transport};

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLER: &str = "192.0.2.7:5060";
const CORE: &str = "192.0.2.20:5080";
/// Calls before the first that is measured: those of 32 s.
const WARM: u64 = 64_000;
/// Between two calls.
const STEP: Duration = Duration::from_micros(500);

fn config(summaries: bool) -> Config {
    let listener = |at: &str, zone| Listener {
        transport: Transport::Udp,
        address: at.parse().expect("an address"),
        sent_by: at.to_owned(),
        zone,
    };
    let numbers = cusax_numbering::Config {
        country: "US".to_owned(),
        domains: vec!["example.com".to_owned()],
        ..cusax_numbering::Config::default()
    };
    let classifier = Classifier::new(&numbers).expect("a country that is known");
    Config {
        domain: "example.com".to_owned(),
        listeners: vec![listener("192.0.2.1:5060", Zone::Access), listener("192.0.2.1:5070", Zone::Core)],
        core: vec![CoreTarget {
            name: Arc::from("sip:192.0.2.20:5080"),
            address: CORE.parse().expect("an address"),
            transport: Transport::Udp,
        }],
        retired: Retired::default(),
        core_identities: Vec::new(),
        peers: Vec::new(),
        federation: false,
        challenge: false,
        algorithms: Vec::new(),
        caller: Caller { insert: true, forged: Forged::Strip, callee: Reach::OwnDomain, egress: Reach::All },
        numbers: Numbers { classifier: Arc::new(classifier), policy: BTreeMap::new(), message: false },
        conferences: Vec::new(),
        dial_in: BTreeMap::new(),
        limits: Limits { transactions: 1_000_000, ..Limits::default() },
        summaries,
        keys: Keys { nonce: vec![[1; 32]], token: vec![[2; 32]], session: [3; 32] },
    }
}

struct World {
    edge: Edge,
    now: Instant,
    calls: u64,
}

fn flow(listener: u16, remote: &str) -> Flow {
    let remote: SocketAddr = remote.parse().expect("an address");
    Flow { listener: ListenerId(listener), transport: Transport::Udp, remote, connection: None, domain: None }
}

fn account(key: &AccountKey) -> Option<Account> {
    matches!(key, AccountKey::User(_)).then(|| Account {
        id: 1,
        user: "alice".to_owned(),
        jid: Some("alice@example.com".to_owned()),
        numbers: Vec::new(),
        ha1: String::new(),
    })
}

impl World {
    fn new(summaries: bool) -> Self {
        let now = cusax_net::clock::now();
        Self { edge: Edge::new(config(summaries), [1, 2, 3, 4], 1_800_000_000, now), now, calls: 0 }
    }

    /// Gives the edge a message and takes what it sends; the last of it.
    fn pass(&mut self, bytes: Bytes, flow: Flow) -> Option<Bytes> {
        self.edge.handle_message(bytes, flow, self.now);
        let mut last = None;
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Transmit(transmit) if transmit.bytes.starts_with(b"OPTIONS") => {
                    // The core server is there.
                    let probe = Message::parse(transmit.bytes).expect("what the edge sends");
                    self.edge.handle_message(
                        Compose::response(&probe, 200, None, Some("core")).empty(),
                        transmit.flow,
                        self.now,
                    );
                }
                Output::Transmit(transmit) => last = Some(transmit.bytes),
                Output::Accounts { query, caller, callee } => {
                    self.edge.handle_accounts(
                        query,
                        caller.as_ref().and_then(account),
                        callee.as_ref().and_then(account),
                        self.now,
                    );
                }
                Output::Focus { .. } | Output::Locate { .. } | Output::Headline(_) => {}
                Output::Event(event) => drop(std::hint::black_box(event)),
            }
        }
        last
    }

    fn call(&mut self) {
        self.calls += 1;
        self.now += STEP;
        self.edge.handle_timeout(self.now);
        let number = self.calls;
        let (caller, core) = (flow(0, CALLER), flow(1, CORE));
        let request = |method: &str, branch: &str, routes: &[String], cseq: u8, to: &str| {
            let uri = if routes.is_empty() { "sip:bob@example.com" } else { "sip:bob@192.0.2.20:5080" };
            let mut compose = Compose::request(method, uri)
                .header("Via", &format!("SIP/2.0/UDP {CALLER};branch=z9hG4bK{number:x}{branch};rport"))
                .header("Max-Forwards", "70")
                .header("From", "\"Alice\" <sip:alice@example.com>;tag=9fxced76sl")
                .header("To", to)
                .header("Call-ID", &format!("{number:016x}@192.0.2.7"))
                .header("CSeq", &format!("{cseq} {method}"))
                .header("Contact", "<sip:alice@192.0.2.7:5060>");
            for route in routes {
                compose = compose.header("Route", route);
            }
            compose.header("User-Agent", "phone/1.0").header("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE").empty()
        };
        let invite = self.pass(request("INVITE", "i", &[], 1, "<sip:bob@example.com>"), caller).expect("it is sent on");
        let invite = Message::parse(invite).expect("what the edge sends");
        assert_eq!(invite.method_text(), "INVITE");
        let mut routes: Vec<String> = invite.values(Name::RecordRoute).map(str::to_owned).collect();
        routes.reverse();
        for status in [100, 180, 200] {
            let tag = (status > 100).then_some("callee");
            let compose = Compose::response(&invite, status, None, tag).copy(&invite, Name::RecordRoute);
            self.pass(compose.header("Contact", "<sip:bob@192.0.2.20:5080>").empty(), core);
        }
        let to = "<sip:bob@example.com>;tag=callee";
        self.pass(request("ACK", "a", &routes, 1, to), caller).expect("it is sent on");
        let bye = self.pass(request("BYE", "b", &routes, 2, to), caller).expect("it is sent on");
        let bye = Message::parse(bye).expect("what the edge sends");
        let ok = self.pass(Compose::response(&bye, 200, None, None).empty(), core).expect("it is sent on");
        assert!(ok.starts_with(b"SIP/2.0 200"));
    }
}

fn edge_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edge_call");
    group.throughput(Throughput::Elements(1));
    for (name, summaries) in [("traced", true), ("untraced", false)] {
        let mut world = World::new(summaries);
        (0..WARM).for_each(|_| world.call());
        group.bench_function(name, |bencher| bencher.iter(|| world.call()));
    }
    group.finish();
}

criterion_group!(benches, edge_call);
criterion_main!(benches);
