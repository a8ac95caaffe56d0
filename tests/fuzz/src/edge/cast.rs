//! Who is there: two phones with accounts, a stranger, another provider, two core servers, and the edge's configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use cusax_edge::config::{
    Action, Caller, Config, CoreTarget, Forged, Keys, Limits, Listener, Numbers, Peer, Reach, Zone,
};
use cusax_edge::{Account, AccountKey};
use cusax_event::sip::NumberClass;
use cusax_numbering::Classifier;
use cusax_sip::digest::{Algorithm, ha1};
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};

/// The time at the beginning.
pub(super) const UNIX: u64 = 1_800_000_000;
/// Transactions of a side.
const TRANSACTIONS: usize = 32;
/// With room for calls for help and the ends of calls.
pub(super) const LIMIT: usize = TRANSACTIONS + TRANSACTIONS / 16 + 4 * 4;
pub(super) const USERS: [&str; 2] = ["alice", "bob"];
pub(super) const JIDS: [&str; 2] = ["alice@example.com", "bob@example.com"];
/// Where DNS says that others are.
pub(super) const PLACE: &str = "203.0.113.9:5060";
const CORES: [&str; 2] = ["192.0.2.20:5080", "192.0.2.21:5080"];
const LISTENERS: [(Transport, &str, Zone); 5] = [
    (Transport::Udp, "192.0.2.1:5060", Zone::Access),
    (Transport::Udp, "192.0.2.1:5070", Zone::Core),
    (Transport::Tcp, "192.0.2.1:5060", Zone::Access),
    (Transport::Tls, "192.0.2.1:5061", Zone::Access),
    (Transport::Udp, "192.0.2.1:5090", Zone::Peer),
];
/// Listener, address, connection.
const PHONES: [(usize, &str, Option<u64>); 5] = [
    (0, "198.51.100.1:5060", None),
    (0, "198.51.100.2:5062", None),
    (2, "198.51.100.3:40000", Some(1)),
    (3, "198.51.100.4:40000", Some(2)),
    (4, "203.0.113.5:5060", None),
];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn flow(listener: usize, remote: &str, connection: Option<u64>) -> Flow {
    Flow {
        listener: ListenerId(u16::try_from(listener).expect("few")),
        transport: LISTENERS[listener].0,
        remote: address(remote),
        connection: connection.map(ConnectionId),
        domain: None,
    }
}

pub(super) fn phone(choice: u8) -> Flow {
    let (listener, remote, connection) = PHONES[usize::from(choice) % PHONES.len()];
    flow(listener, remote, connection)
}

pub(super) fn core(choice: u8) -> Flow {
    flow(1, CORES[usize::from(choice) % CORES.len()], None)
}

pub(super) fn is_core(flow: &Flow) -> bool {
    flow.listener == ListenerId(1)
}

/// The addresses of all who are there.
pub(super) fn everybody() -> impl Iterator<Item = IpAddr> {
    PHONES.iter().map(|(_, at, _)| *at).chain(CORES).chain([PLACE]).map(|at| address(at).ip())
}

fn classifier() -> Arc<Classifier> {
    static CLASSIFIER: LazyLock<Arc<Classifier>> = LazyLock::new(|| {
        let config = cusax_numbering::Config {
            country: "US".to_owned(),
            domains: vec!["example.com".to_owned()],
            ..cusax_numbering::Config::default()
        };
        Arc::new(Classifier::new(&config).expect("the plan of the United States"))
    });
    Arc::clone(&CLASSIFIER)
}

/// What operators leave open is as the bits of `choice` say.
pub(super) fn config(choice: u8) -> Config {
    let says = |bit: u8| choice >> bit & 1 == 1;
    let listener = |(transport, at, zone): &(Transport, &str, Zone)| Listener {
        transport: *transport,
        address: address(at),
        sent_by: (*at).to_owned(),
        zone: *zone,
    };
    let core = |at: &&str| CoreTarget {
        name: Arc::from(format!("sip:{at}")),
        address: address(at),
        transport: Transport::Udp,
    };
    Config {
        domain: "example.com".to_owned(),
        listeners: LISTENERS.iter().map(listener).collect(),
        core: CORES.iter().map(core).collect(),
        core_identities: Vec::new(),
        retired: cusax_edge::Retired::default(),
        peers: vec![Peer { sources: vec![(address(PLACE).ip(), 24)], identities: Vec::new(), trusted: false }],
        federation: says(0),
        challenge: !says(6),
        algorithms: vec![Algorithm::Sha256],
        caller: Caller {
            insert: !says(1),
            forged: if says(2) { Forged::Reject } else { Forged::Strip },
            callee: if says(3) { Reach::All } else { Reach::OwnDomain },
            egress: if says(3) { Reach::OwnDomain } else { Reach::All },
        },
        numbers: Numbers {
            classifier: classifier(),
            policy: BTreeMap::from([(NumberClass::Premium, Action::Text), (NumberClass::International, Action::Block)]),
            message: true,
        },
        conferences: vec!["conference.example.com".to_owned()],
        dial_in: BTreeMap::from([("+14045550900".to_owned(), "sip:standup@conference.example.com".to_owned())]),
        limits: Limits {
            transactions: TRANSACTIONS,
            emergency_calls: 4,
            per_source: NonZeroU32::new(20).filter(|_| says(4)),
            per_account: NonZeroU32::new(10).filter(|_| says(5)),
            ..Limits::default()
        },
        summaries: says(7),
        keys: Keys { nonce: vec![[1; 32]], token: vec![[2; 32]], session: [3; 32] },
    }
}

/// The directory.
pub(super) fn account(key: &AccountKey) -> Option<Account> {
    let (user, algorithm) = match key {
        AccountKey::Digest { username, algorithm } => (username.as_str(), Some(*algorithm)),
        AccountKey::User(user) => (user.as_str(), None),
        AccountKey::Id(id) => (*USERS.get(usize::try_from(*id).ok()?.checked_sub(1)?)?, None),
        AccountKey::Number(_) => return None,
    };
    let place = USERS.iter().position(|known| *known == user)?;
    let ha1 = algorithm.map_or_else(String::new, |algorithm| secret(algorithm, user));
    let (id, jid) = (i64::try_from(place).ok()? + 1, Some(JIDS[place].to_owned()));
    Some(Account { id, user: user.to_owned(), jid, numbers: Vec::new(), ha1 })
}

/// HA1 of a user's password.
pub(super) fn secret(algorithm: Algorithm, user: &str) -> String {
    ha1(algorithm, user, "example.com", "secret")
}
