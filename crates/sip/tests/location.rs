//! RFC 3263 by table: a URI, what DNS holds, and where that leads.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use cusax_sip::location::{LocateError, Lookup, Naptr, Question, Records, Srv, Target};
use cusax_sip::{Transport, Uri};

const SPOKEN: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// DNS as a test has it; what is not in it does not exist.
#[derive(Default)]
struct Zone {
    naptr: BTreeMap<&'static str, Vec<Naptr>>,
    srv: BTreeMap<&'static str, Vec<Srv>>,
    hosts: BTreeMap<&'static str, Vec<IpAddr>>,
    silent: bool,
}

impl Zone {
    fn naptr(mut self, domain: &'static str, records: &[(u16, u16, &str, &str, &str)]) -> Self {
        let record = |(order, preference, flags, services, replacement): &(u16, u16, &str, &str, &str)| Naptr {
            order: *order,
            preference: *preference,
            flags: (*flags).to_owned(),
            services: (*services).to_owned(),
            replacement: (*replacement).to_owned(),
        };
        self.naptr.insert(domain, records.iter().map(record).collect());
        self
    }

    fn srv(mut self, name: &'static str, records: &[(u16, u16, u16, &str)]) -> Self {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: (*target).to_owned(),
        };
        self.srv.insert(name, records.iter().map(record).collect());
        self
    }

    fn host(mut self, name: &'static str, addresses: &[&str]) -> Self {
        self.hosts.insert(name, addresses.iter().map(|address| address.parse().unwrap()).collect());
        self
    }

    fn answer(&self, question: &Question) -> Result<Records, LocateError> {
        if self.silent {
            return Err(LocateError::Unanswered);
        }
        Ok(match question {
            Question::Naptr(name) => Records::Naptr(self.naptr.get(&**name).cloned().unwrap_or_default()),
            Question::Srv(name) => Records::Srv(self.srv.get(&**name).cloned().unwrap_or_default()),
            Question::Addresses(name) => Records::Addresses(self.hosts.get(&**name).cloned().unwrap_or_default()),
        })
    }

    fn locate_with(&self, uri: &str, spoken: &[Transport], seed: u64) -> Result<Vec<String>, LocateError> {
        let target = Target::of(&Uri::parse(uri).unwrap()).ok_or(LocateError::Transport)?;
        let mut lookup = Lookup::new(target, spoken, seed)?;
        let mut asked = 0;
        while let Some(question) = lookup.poll_question() {
            asked += 1;
            assert!(asked <= 32, "{uri} asks without end");
            lookup.handle_records(self.answer(&question));
        }
        let places = lookup.finish()?;
        Ok(places.iter().map(|place| format!("{} {}", place.transport.as_str(), place.address)).collect())
    }

    fn locate(&self, uri: &str) -> Result<Vec<String>, LocateError> {
        self.locate_with(uri, &SPOKEN, 1)
    }
}

fn full() -> Zone {
    Zone::default()
        .naptr(
            "example.com",
            &[
                (50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
                (90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
                (100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
            ],
        )
        .srv("_sips._tcp.example.com", &[(0, 1, 5061, "server1.example.com"), (1, 1, 5061, "server2.example.com")])
        .srv("_sip._tcp.example.com", &[(0, 1, 5060, "server1.example.com")])
        .srv("_sip._udp.example.com", &[(0, 1, 5070, "server1.example.com")])
        .host("server1.example.com", &["192.0.2.1", "2001:db8::1"])
        .host("server2.example.com", &["192.0.2.2"])
        .host("example.com", &["192.0.2.9"])
}

#[test]
fn follows_the_uri_as_far_as_it_decides_by_itself() {
    for (uri, expected) in [
        ("sip:192.0.2.7", "udp 192.0.2.7:5060"),
        ("sip:192.0.2.7:5070", "udp 192.0.2.7:5070"),
        ("sip:a@[2001:db8::7]", "udp [2001:db8::7]:5060"),
        ("sip:192.0.2.7;transport=tcp", "tcp 192.0.2.7:5060"),
        ("sip:192.0.2.7;transport=TLS", "tls 192.0.2.7:5061"),
        ("sips:192.0.2.7", "tls 192.0.2.7:5061"),
        ("sips:192.0.2.7;transport=tcp", "tls 192.0.2.7:5061"),
        ("sip:example.com:5080", "udp 192.0.2.9:5080"),
        ("sip:example.com:5080;transport=tcp", "tcp 192.0.2.9:5080"),
        ("sips:example.com:5081", "tls 192.0.2.9:5081"),
        ("sip:x@elsewhere.example;maddr=192.0.2.8", "udp 192.0.2.8:5060"),
    ] {
        assert_eq!(full().locate(uri).as_deref(), Ok(&[expected.to_owned()][..]), "{uri}");
    }
}

#[test]
fn asks_naptr_then_srv_then_addresses() {
    let all = ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061", "tls 192.0.2.2:5061"].map(str::to_owned);
    assert_eq!(full().locate("sip:bob@example.com").unwrap(), all);
    assert_eq!(full().locate("sips:bob@example.com").unwrap(), all);
    let tcp = ["tcp 192.0.2.1:5060", "tcp [2001:db8::1]:5060"].map(str::to_owned);
    assert_eq!(full().locate_with("sip:bob@example.com", &[Transport::Udp, Transport::Tcp], 1).unwrap(), tcp);
    let udp = ["udp 192.0.2.1:5070", "udp [2001:db8::1]:5070"].map(str::to_owned);
    assert_eq!(full().locate_with("sip:bob@example.com", &[Transport::Udp], 1).unwrap(), udp);
    assert_eq!(full().locate("sip:bob@example.com;transport=udp").unwrap(), udp);
}

#[test]
fn does_without_naptr_and_without_srv() {
    let mut zone = full();
    zone.naptr.clear();
    let udp = ["udp 192.0.2.1:5070", "udp [2001:db8::1]:5070"].map(str::to_owned);
    assert_eq!(zone.locate("sip:bob@example.com").unwrap(), udp, "our own order of transports");
    zone.srv.remove("_sip._udp.example.com");
    assert_eq!(zone.locate("sip:bob@example.com").unwrap()[0], "tcp 192.0.2.1:5060");
    zone.srv.clear();
    assert_eq!(zone.locate("sip:bob@example.com").unwrap(), ["udp 192.0.2.9:5060"]);
    assert_eq!(zone.locate("sip:bob@example.com;transport=tcp").unwrap(), ["tcp 192.0.2.9:5060"]);
    assert_eq!(zone.locate("sips:bob@example.com").unwrap(), ["tls 192.0.2.9:5061"]);
}

#[test]
fn takes_a_naptr_that_names_a_host() {
    let zone = full().naptr("flag-a.example", &[(1, 1, "A", "sip+d2u", "server2.example.com")]);
    assert_eq!(zone.locate("sip:flag-a.example").unwrap(), ["udp 192.0.2.2:5060"]);
    let strange = full().naptr("example.com", &[(1, 1, "u", "E2U+sip", "!^.*$!sip:x@y!")]);
    assert_eq!(strange.locate("sip:example.com").unwrap()[0], "udp 192.0.2.1:5070");
}

#[test]
fn a_single_dot_says_that_there_is_no_such_service() {
    let zone = full().srv("_sip._udp.example.com", &[(0, 0, 0, ".")]);
    assert_eq!(zone.locate("sip:example.com;transport=udp"), Err(LocateError::NotFound));
}

#[test]
fn says_what_it_cannot_do() {
    assert_eq!(full().locate("sip:nowhere.example"), Err(LocateError::NotFound));
    assert_eq!(full().locate_with("sips:example.com", &[Transport::Udp], 1), Err(LocateError::Transport));
    assert_eq!(full().locate("sip:example.com;transport=sctp"), Err(LocateError::Transport));
    assert_eq!(full().locate_with("sip:example.com;transport=ws", &SPOKEN, 1), Err(LocateError::Transport));
    let silent = Zone { silent: true, ..full() };
    assert_eq!(silent.locate("sip:example.com"), Err(LocateError::Unanswered));
}

#[test]
fn draws_among_equals_by_weight_and_keeps_priorities() {
    let zone = Zone::default()
        .srv("_sip._udp.w.example", &[(1, 70, 1, "a"), (1, 30, 1, "b"), (1, 0, 1, "c"), (2, 100, 1, "d")])
        .host("a", &["192.0.2.1"])
        .host("b", &["192.0.2.2"])
        .host("c", &["192.0.2.3"])
        .host("d", &["192.0.2.4"]);
    let mut first = BTreeMap::new();
    for seed in 0..10_000 {
        let places = zone.locate_with("sip:w.example;transport=udp", &SPOKEN, seed).unwrap();
        assert_eq!((places.len(), &*places[3]), (4, "udp 192.0.2.4:1"));
        *first.entry(places[0].clone()).or_insert(0) += 1;
    }
    let share = |address: &str| first.get(address).copied().unwrap_or(0);
    assert!((6_700..7_300).contains(&share("udp 192.0.2.1:1")), "{first:?}");
    assert!((2_700..3_300).contains(&share("udp 192.0.2.2:1")), "{first:?}");
    assert!((1..300).contains(&share("udp 192.0.2.3:1")), "weight 0 is seldom, not never: {first:?}");
}

#[test]
fn records_without_end_end() {
    let many: Vec<(u16, u16, u16, &str)> = (0..1_000).map(|n| (n, 1, 5060, "none.example")).collect();
    let zone = Zone::default().srv("_sip._udp.example.com", &many);
    assert_eq!(zone.locate("sip:example.com;transport=udp"), Err(LocateError::NotFound));
    let addresses: Vec<String> = (0..100).map(|n| format!("192.0.2.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let zone = Zone::default().host("many.example", &addresses);
    assert_eq!(zone.locate("sip:many.example:5060").unwrap().len(), 16);
}
