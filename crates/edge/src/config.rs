//! What an operator says about this edge, in the form that the edge works with.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use cusax_event::sip::NumberClass;
use cusax_numbering::Classifier;
use cusax_sip::digest::Algorithm;
use cusax_sip::{ListenerId, Message, Name, Transport, Uri, Via};

use crate::retired::Retired;

/// Who is on the other side of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// User agents.
    Access,
    /// The existing SIP servers.
    Core,
    /// Other providers.
    Peer,
}

/// One socket; its place in [`Config::listeners`] is its [`ListenerId`].
#[derive(Clone, Debug)]
pub struct Listener {
    /// Transport.
    pub transport: Transport,
    /// The address it is bound to.
    pub address: SocketAddr,
    /// `host[:port]` for Via, Record-Route and Path.
    pub sent_by: String,
    /// Whom it is for.
    pub zone: Zone,
}

/// One of the existing SIP servers.
#[derive(Clone, Debug)]
pub struct CoreTarget {
    /// As configured; its name in metrics.
    pub name: Arc<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// How it is reached.
    pub transport: Transport,
}

/// Another provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address and prefix length of the networks that its requests come from.
    pub sources: Vec<(IpAddr, u8)>,
    /// The SIP domains one of which its certificate speaks for, from wherever it connects (RFC 5922).
    pub identities: Vec<String>,
    /// Whether its identities are believed.
    pub trusted: bool,
}

/// What becomes of an `impp` value that a user agent sends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// It is removed.
    Strip,
    /// The request is refused with 403.
    Reject,
}

/// Who may learn a JID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody.
    Off,
    /// Our own domain.
    OwnDomain,
    /// Everyone.
    All,
}

/// `[caller]`.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whether calls leave with `Call-Info: <xmpp:…>;purpose=impp`.
    pub insert: bool,
    /// What becomes of such a value that a user agent sends itself.
    pub forged: Forged,
    /// Who learns the callee's JID from 18x and 2xx.
    pub callee: Reach,
    /// Who is called with the caller's JID.
    pub egress: Reach,
}

/// What a caller gets for a class of number, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    Allow,
    /// 183 with Warning.
    Text,
    /// 403 with the reason.
    Block,
}

/// `[numbers]`.
pub struct Numbers {
    /// What a number is.
    pub classifier: Arc<Classifier>,
    /// What its caller gets; classes that are not named: nothing.
    pub policy: BTreeMap<NumberClass, Action>,
    /// Whether he is told over XMPP as well.
    pub message: bool,
}

/// `[sip.limits]`, as far as this crate keeps them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Header lines of a request, as far as they are read at all ([`cusax_sip::message::MAX_HEADERS`]).
    pub headers: usize,
    /// Bytes of its header section, as far as it is read at all ([`cusax_sip::message::MAX_HEADER_BYTES`]).
    pub header_bytes: usize,
    /// Transactions of each side at a time; what is shed before they are reached says ARCHITECTURE.md, "Overload".
    pub transactions: usize,
    /// Calls for help that are being set up at a time; they have room of their own beyond that.
    pub emergency_calls: usize,
    /// Requests in a second from one source of the access zone.
    pub per_source: Option<NonZeroU32>,
    /// Requests in a second of one account.
    pub per_account: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: 128,
            header_bytes: 32_768,
            transactions: 500_000,
            emergency_calls: 100,
            per_source: None,
            per_account: None,
        }
    }
}

impl Limits {
    /// Transactions of each side at a time with those of calls for help and of the ends of calls.
    pub(crate) const fn all_transactions(&self) -> usize {
        // A call for help may be tried at several core servers.
        self.transactions + self.transactions / 16 + 4 * self.emergency_calls
    }

    /// Transactions of each side that leave room for calls for help only.
    pub(crate) const fn transactions_of_calls(&self) -> usize {
        self.transactions + self.transactions / 16
    }
}

/// Keys that outlive a restart, the present one first and then the one before it.
#[derive(Clone)]
pub struct Keys {
    /// For nonces.
    pub nonce: Vec<[u8; 32]>,
    /// For flow tokens.
    pub token: Vec<[u8; 32]>,
    /// For session ids of endpoints that send none.
    pub session: [u8; 32],
}

/// Everything that the edge is told, at its start and by [`Edge::handle_config`](crate::Edge::handle_config).
pub struct Config {
    /// Domain of the addresses of record; also the digest realm.
    pub domain: String,
    /// Sockets.
    pub listeners: Vec<Listener>,
    /// The existing SIP servers, in the order in which they are tried.
    pub core: Vec<CoreTarget>,
    /// Who was in it before and is no more; nobody at the start.
    pub retired: Retired,
    /// The SIP domains one of which the certificate of a core server speaks for, from wherever it connects.
    pub core_identities: Vec<String>,
    /// Other providers.
    pub peers: Vec<Peer>,
    /// Whether a From of another domain may reach our addresses of record through an access listener.
    pub federation: bool,
    /// Whether requests from `access` are challenged here.
    pub challenge: bool,
    /// Algorithms that are offered, strongest first.
    pub algorithms: Vec<Algorithm>,
    /// Callers' and callees' JIDs.
    pub caller: Caller,
    /// Numbers and charges.
    pub numbers: Numbers,
    /// Domains of conferences: what is addressed to them ends at the focus.
    pub conferences: Vec<String>,
    /// Numbers (E.164) that stand for a conference's URI.
    pub dial_in: BTreeMap<String, String>,
    /// How much of it.
    pub limits: Limits,
    /// Whether events carry what a ladder shows of each message.
    pub summaries: bool,
    /// Secrets.
    pub keys: Keys,
}

/// The focus, as a place that messages go to and come from.
pub const FOCUS: ListenerId = ListenerId(u16::MAX);
/// The virtual UAS that gives cues.
pub const CUE: ListenerId = ListenerId(u16::MAX - 1);

impl Config {
    /// The listener of an id; `None` for the user agents inside this process.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(id.0))
    }

    /// The first listener of a zone, a transport and an address family.
    pub(crate) fn listener_for(&self, zone: Zone, transport: Transport, to: IpAddr) -> Option<(ListenerId, &Listener)> {
        let mut found = self.listeners.iter().enumerate().filter(|(_, listener)| {
            listener.zone == zone && listener.transport == transport && listener.address.is_ipv4() == to.is_ipv4()
        });
        let (index, listener) = found.next()?;
        Some((ListenerId(u16::try_from(index).ok()?), listener))
    }

    /// True where a URI names one of our own sockets. Nobody is called by WebSocket (RFC 7118 §5): one that says so is where
    /// its sender is connected to, at whatever port a balancer has.
    pub(crate) fn is_us(&self, uri: &Uri<'_>) -> bool {
        self.sockets(uri).next().is_some()
    }

    /// True where a URI names one of our own sockets, and no one but the core is on its other side.
    pub(crate) fn is_us_for_core(&self, uri: &Uri<'_>) -> bool {
        self.is_us(uri) && self.sockets(uri).all(|listener| listener.zone == Zone::Core)
    }

    fn sockets(&self, uri: &Uri<'_>) -> impl Iterator<Item = &Listener> {
        let transport = uri.params.find("transport").unwrap_or("");
        let by_websocket = matches!(&*transport.to_ascii_lowercase(), "ws" | "wss");
        let port = uri.port.unwrap_or(default_port(uri));
        self.listeners.iter().filter(move |listener| {
            let (host, sent_port) = match listener.sent_by.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(5060)),
                _ => (listener.sent_by.as_str(), 5060),
            };
            let any_port = by_websocket && matches!(listener.transport, Transport::Ws | Transport::Wss);
            (uri.host_is(host) && (any_port || port == sent_port))
                || (uri.address() == Some(listener.address.ip()) && (any_port || port == listener.address.port()))
        })
    }

    /// True where a URI may be what a phone has for us as its outbound proxy: our domain, or an address at the port of a
    /// socket that is bound to all of them. It leads to the core, whatever else the URI may mean.
    pub(crate) fn is_outbound_proxy(&self, uri: &Uri<'_>) -> bool {
        let port = uri.port.unwrap_or(5060);
        let bound = |listener: &Listener| listener.address.ip().is_unspecified() && listener.address.port() == port;
        uri.user.is_none()
            && (self.is_own_domain(uri.host) || (uri.address().is_some() && self.listeners.iter().any(bound)))
    }

    /// True where a host is one of ours, whatever the port: an address of a socket, or the name that it bears.
    pub(crate) fn is_our_host(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host.strip_suffix('.').unwrap_or(uri.host);
        self.is_own_domain(host)
            || self.listeners.iter().any(|listener| {
                let name = listener.sent_by.rsplit_once(':').map_or(listener.sent_by.as_str(), |(name, _)| name);
                host.eq_ignore_ascii_case(name) || uri.address() == Some(listener.address.ip())
            })
    }

    /// True where one of a request's Via values is ours.
    pub(crate) fn was_here(&self, message: &Message) -> bool {
        message.values(Name::Via).filter_map(Via::parse).any(|via| {
            let port = via.port.unwrap_or(5060);
            self.listeners.iter().any(|listener| {
                listener.sent_by.eq_ignore_ascii_case(&format!("{}:{port}", via.host)) || listener.sent_by == via.host
            })
        })
    }

    /// True where a host is a conference domain.
    pub(crate) fn is_conference(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.conferences.iter().any(|domain| domain.eq_ignore_ascii_case(host))
    }

    /// True where a host is our domain.
    pub(crate) fn is_own_domain(&self, host: &str) -> bool {
        self.domain.eq_ignore_ascii_case(host.strip_suffix('.').unwrap_or(host))
    }

    /// The core target that a URI names, by address or as it is written in the configuration.
    pub(crate) fn core_named(&self, uri: &Uri<'_>) -> Option<&CoreTarget> {
        let port = uri.port.unwrap_or(default_port(uri));
        self.core_places().map(|(target, _)| target).find(|target| {
            let written = Uri::parse(&target.name);
            target.address.port() == port
                && (uri.address() == Some(target.address.ip()) || written.is_some_and(|name| name.host_is(uri.host)))
        })
    }
}

/// The port of a SIP URI that names none (RFC 3261 §19.1.2).
pub(crate) fn default_port(uri: &Uri<'_>) -> u16 {
    if uri.asks_for_tls() { 5061 } else { 5060 }
}
