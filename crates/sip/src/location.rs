//! Locating SIP servers (RFC 3263), without IO: a [`Lookup`] asks questions of DNS, hears the answers, and ends with an
//! ordered list of places to try.

mod order;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::Transport;
use crate::uri::{Scheme, Uri, host_address};

/// Places that a lookup ends with, at most.
pub const MAX_PLACES: usize = 16;
/// Questions that one lookup asks, at most: records that lead to ever more names end here.
const MAX_QUESTIONS: usize = 32;

/// A next hop as a URI names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Host name, or an address.
    pub host: String,
    /// Port, where one is given.
    pub port: Option<u16>,
    /// Transport, where one is given.
    pub transport: Option<Transport>,
    /// True for `sips:`: nothing but TLS will do.
    pub secure: bool,
}

/// A place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Transport.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
}

/// What DNS is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// NAPTR of a domain (RFC 3403).
    Naptr(String),
    /// SRV of a name (RFC 2782).
    Srv(String),
    /// A and AAAA of a host, IPv4 first.
    Addresses(String),
}

/// A NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first among equal orders.
    pub preference: u16,
    /// `s` or `a`, in any case.
    pub flags: String,
    /// `SIP+D2U` and its like, in any case.
    pub services: String,
    /// Where to go on.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share among equal priorities.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; a single dot says that there is no such service.
    pub target: String,
}

/// What DNS answered; empty where there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// There is no address, or none of a transport that can be spoken.
    #[error("no address")]
    NotFound,
    /// DNS did not answer.
    #[error("DNS did not answer")]
    Unanswered,
    /// It asks for a transport that cannot be spoken.
    #[error("its transport is not spoken here")]
    Transport,
}

/// One lookup under way.
#[derive(Debug)]
pub struct Lookup {
    target: Target,
    spoken: Vec<Transport>,
    seed: u64,
    questions: VecDeque<Question>,
    step: Step,
    asked: usize,
    /// True once DNS failed to answer.
    unanswered: bool,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Step {
    /// RFC 3263 §4.1: which transport?
    Naptr,
    /// §4.1: SRV of each transport that is spoken, in our own order; of those that exist, the first is taken.
    Services(VecDeque<(Transport, String)>),
    /// §4.2: SRV of the transport that was chosen.
    Service(Transport),
    /// §4.2: the addresses of the hosts, in their order.
    Hosts(VecDeque<(Transport, String, u16)>),
    Done,
}

impl Target {
    /// Reads a `sip:` or `sips:` URI.
    #[must_use]
    pub fn of(uri: &Uri<'_>) -> Option<Self> {
        let secure = match uri.scheme {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return None,
        };
        let named = uri.params.find("transport").map(|name| transport_named(name, secure));
        // RFC 3261 §19.1.1: `maddr` takes the host's place.
        let host = uri.params.find("maddr").unwrap_or(uri.host);
        let transport = match named {
            Some(None) => return None,
            Some(named) => named,
            None => None,
        };
        Some(Self { host: host.to_owned(), port: uri.port, transport, secure })
    }
}

/// A `transport` parameter; in a `sips:` URI `tcp` means TLS over it (RFC 3261 §26.2.2).
fn transport_named(name: &str, secure: bool) -> Option<Transport> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    match (is("udp"), is("tcp"), is("tls"), is("ws"), is("wss")) {
        (true, ..) if !secure => Some(Transport::Udp),
        (_, true, ..) if secure => Some(Transport::Tls),
        (_, true, ..) => Some(Transport::Tcp),
        (_, _, true, ..) => Some(Transport::Tls),
        (_, _, _, true, _) if secure => Some(Transport::Wss),
        (_, _, _, true, _) => Some(Transport::Ws),
        (.., true) => Some(Transport::Wss),
        _ => None,
    }
}

/// The port that a transport has where nobody says another (RFC 3261 §19.1.2, RFC 7118 §8.1).
#[must_use]
pub const fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp | Transport::Internal => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}

const fn is_secure(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Wss)
}

/// The name under which SRV lists a transport's servers (RFC 3263 §4.2, RFC 7118 §8.1 has none for WebSocket).
fn service(transport: Transport, host: &str) -> Option<String> {
    match transport {
        Transport::Udp => Some(format!("_sip._udp.{host}")),
        Transport::Tcp => Some(format!("_sip._tcp.{host}")),
        Transport::Tls => Some(format!("_sips._tcp.{host}")),
        Transport::Ws | Transport::Wss | Transport::Internal => None,
    }
}

fn naptr_transport(services: &str) -> Option<Transport> {
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ];
    known.into_iter().find(|(name, _)| services.eq_ignore_ascii_case(name)).map(|(_, transport)| transport)
}

impl Lookup {
    /// Begins; `spoken` are the transports that can be spoken, the most liked first; `seed` draws among SRV weights.
    ///
    /// # Errors
    /// [`LocateError::Transport`].
    pub fn new(target: Target, spoken: &[Transport], seed: u64) -> Result<Self, LocateError> {
        let usable = |transport: &Transport| !target.secure || is_secure(*transport);
        let spoken: Vec<Transport> = spoken.iter().copied().filter(usable).collect();
        if target.transport.is_some_and(|transport| !spoken.contains(&transport)) || spoken.is_empty() {
            return Err(LocateError::Transport);
        }
        let mut lookup = Self {
            spoken,
            seed,
            questions: VecDeque::new(),
            step: Step::Done,
            asked: 0,
            unanswered: false,
            places: Vec::new(),
            target,
        };
        lookup.begin()?;
        Ok(lookup)
    }

    /// The next question; none while an answer is awaited or all is known.
    pub fn poll_question(&mut self) -> Option<Question> {
        let question = self.questions.pop_front()?;
        self.asked += 1;
        Some(question)
    }

    /// Takes an answer; an error where DNS gave none in time.
    pub fn handle_records(&mut self, records: Result<Records, LocateError>) {
        if records == Err(LocateError::Unanswered) {
            self.unanswered = true;
            // What did not answer may well be there: to go on as if it were not would lead elsewhere.
            if !matches!(self.step, Step::Hosts(_)) {
                self.step = Step::Done;
                return;
            }
        }
        let records = records.unwrap_or(Records::Addresses(Vec::new()));
        match (std::mem::replace(&mut self.step, Step::Done), records) {
            (Step::Naptr, Records::Naptr(records)) => self.choose(&records),
            (Step::Naptr, _) => self.choose(&[]),
            (Step::Services(rest), Records::Srv(records)) => self.try_services(rest, &records),
            (Step::Services(rest), _) => self.try_services(rest, &[]),
            (Step::Service(transport), Records::Srv(records)) => self.serve(transport, &records),
            (Step::Service(transport), _) => self.serve(transport, &[]),
            (Step::Hosts(hosts), Records::Addresses(addresses)) => self.reach(hosts, &addresses),
            (Step::Hosts(hosts), _) => self.reach(hosts, &[]),
            (Step::Done, _) => {}
        }
    }

    /// False where DNS did not answer for some of the hosts, so that there may be more places.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.unanswered
    }

    /// Where to send, the best first; to be called when [`Lookup::poll_question`] has no more.
    ///
    /// # Errors
    /// [`LocateError`]; the list is never empty.
    pub fn finish(self) -> Result<Vec<Place>, LocateError> {
        match (self.places.is_empty(), self.unanswered) {
            (false, _) => Ok(self.places),
            (true, true) => Err(LocateError::Unanswered),
            (true, false) => Err(LocateError::NotFound),
        }
    }

    fn ask(&mut self, question: Question, step: Step) {
        if self.asked + self.questions.len() < MAX_QUESTIONS {
            self.questions.push_back(question);
            self.step = step;
        }
    }

    /// RFC 3263 §4.1 and §4.2 as far as the URI alone decides.
    fn begin(&mut self) -> Result<(), LocateError> {
        // Without a word about it: UDP for `sip:`, TLS for `sips:`; or what can be spoken.
        let usual = if self.target.secure { Transport::Tls } else { Transport::Udp };
        let usual = if self.spoken.contains(&usual) { usual } else { self.spoken[0] };
        let given = self.target.transport;
        if let Some(address) = host_address(&self.target.host) {
            let transport = given.unwrap_or(usual);
            let port = self.target.port.unwrap_or(default_port(transport));
            self.places.push(Place { transport, address: SocketAddr::new(address, port) });
            return Ok(());
        }
        let host = self.target.host.clone();
        match (given, self.target.port) {
            (_, Some(port)) => {
                let transport = given.unwrap_or(usual);
                self.ask(Question::Addresses(host.clone()), Step::Hosts([(transport, host, port)].into()));
            }
            (Some(transport), None) => self.ask_service(transport, &host),
            (None, None) => self.ask(Question::Naptr(host), Step::Naptr),
        }
        Ok(())
    }

    fn ask_service(&mut self, transport: Transport, host: &str) {
        match service(transport, host) {
            Some(name) => self.ask(Question::Srv(name), Step::Service(transport)),
            None => self.serve(transport, &[]),
        }
    }

    /// §4.1: the best record of a transport that is spoken; without any, SRV of each transport.
    fn choose(&mut self, records: &[Naptr]) {
        let mut usable: Vec<(&Naptr, Transport)> = records
            .iter()
            .filter_map(|record| Some((record, naptr_transport(&record.services)?)))
            .filter(|(_, transport)| self.spoken.contains(transport))
            .collect();
        usable.sort_by_key(|(record, _)| (record.order, record.preference));
        let host = self.target.host.clone();
        match usable.first() {
            Some((record, transport)) if record.flags.eq_ignore_ascii_case("s") => {
                self.ask(Question::Srv(record.replacement.clone()), Step::Service(*transport));
            }
            Some((record, transport)) if record.flags.eq_ignore_ascii_case("a") => {
                let port = default_port(*transport);
                let step = Step::Hosts([(*transport, record.replacement.clone(), port)].into());
                self.ask(Question::Addresses(record.replacement.clone()), step);
            }
            _ => {
                let named = |transport: &Transport| Some((*transport, service(*transport, &host)?));
                let mut services: VecDeque<_> = self.spoken.iter().filter_map(named).collect();
                match services.front().cloned() {
                    Some((_, name)) => self.ask(Question::Srv(name), Step::Services(services)),
                    None => {
                        services.clear();
                        self.serve(self.spoken[0], &[]);
                    }
                }
            }
        }
    }

    /// §4.1: a transport whose SRV exists is one that the domain speaks.
    fn try_services(&mut self, mut services: VecDeque<(Transport, String)>, records: &[Srv]) {
        let Some((transport, _)) = services.pop_front() else { return };
        if !records.is_empty() {
            return self.serve(transport, records);
        }
        match services.front().cloned() {
            Some((_, name)) => self.ask(Question::Srv(name), Step::Services(services)),
            None => {
                let usual = if self.target.secure { Transport::Tls } else { Transport::Udp };
                let transport = if self.spoken.contains(&usual) { usual } else { self.spoken[0] };
                self.serve(transport, &[]);
            }
        }
    }

    /// §4.2: the hosts behind SRV in the order of RFC 2782; without SRV, the target itself at its usual port.
    fn serve(&mut self, transport: Transport, records: &[Srv]) {
        let hosts: VecDeque<(Transport, String, u16)> = if records.is_empty() {
            [(transport, self.target.host.clone(), default_port(transport))].into()
        } else {
            let ordered = order::by_weight(records, self.seed);
            // RFC 2782: a target of "." says that the service is decidedly not there.
            let there = ordered.into_iter().filter(|record| record.target != ".");
            there.map(|record| (transport, record.target, record.port)).collect()
        };
        self.next_host(hosts);
    }

    fn next_host(&mut self, hosts: VecDeque<(Transport, String, u16)>) {
        if let Some((_, host, _)) = hosts.front().cloned() {
            self.ask(Question::Addresses(host), Step::Hosts(hosts));
        }
    }

    fn reach(&mut self, mut hosts: VecDeque<(Transport, String, u16)>, addresses: &[IpAddr]) {
        let Some((transport, _, port)) = hosts.pop_front() else { return };
        for address in addresses {
            let place = Place { transport, address: SocketAddr::new(*address, port) };
            if self.places.len() < MAX_PLACES && !self.places.contains(&place) {
                self.places.push(place);
            }
        }
        if self.places.len() < MAX_PLACES {
            self.next_host(hosts);
        }
    }
}
