//! A proxy core between one caller and as many places as a test wants, without a network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_net::clock;
use cusax_sip::proxy::{ContextId, Hop, Output, Proxy};
use cusax_sip::{Compose, Edit, Flow, ListenerId, Message, Name, Transport};

pub(crate) const CALLER: &str = "198.51.100.1:5060";
pub(crate) const A: &str = "203.0.113.1:5060";
pub(crate) const B: &str = "203.0.113.2:5060";
pub(crate) const C: &str = "203.0.113.3:5060";

pub(crate) fn flow(remote: &str) -> Flow {
    let remote: SocketAddr = remote.parse().unwrap();
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote, connection: None, domain: None }
}

pub(crate) fn hop(message: &Arc<Message>, to: &str, minor: bool) -> Hop {
    let (edit, sent_by) = (Edit::new(Arc::clone(message)), "192.0.2.1:5060".to_owned());
    Hop { flow: flow(to), edit, sent_by, minor, unreachable: 503 }
}

pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) now: Instant,
    /// What was sent and nobody has looked at.
    pub(crate) sent: VecDeque<(SocketAddr, Message)>,
    pub(crate) told: Vec<&'static str>,
    pub(crate) context: Option<ContextId>,
    /// Where requests go at once, where they go if that fails, and where a minor branch goes.
    places: (Vec<&'static str>, Vec<&'static str>, Option<&'static str>),
    /// Where requests go one after the other once the places before have failed.
    pub(crate) later: Vec<&'static str>,
}

impl Stage {
    /// A proxy that forks to these places.
    pub(crate) fn new(places: &[&'static str]) -> Self {
        Self::with(places, &[], None, 100)
    }

    pub(crate) fn with(
        places: &[&'static str],
        alternates: &[&'static str],
        minor: Option<&'static str>,
        limit: usize,
    ) -> Self {
        Self {
            proxy: Proxy::new([3, 4], limit),
            now: clock::now(),
            sent: VecDeque::new(),
            told: Vec::new(),
            context: None,
            places: (places.to_vec(), alternates.to_vec(), minor),
            later: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, from: &str, bytes: impl Into<Bytes>) {
        self.proxy.handle_message(Message::parse(bytes.into()).unwrap(), flow(from), self.now);
        self.settle();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.proxy.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.proxy.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                Output::Transmit { transmit, .. } => {
                    self.sent.push_back((transmit.flow.remote, Message::parse(transmit.bytes).unwrap()));
                }
                Output::Request { context, message, .. } => {
                    self.context = Some(context);
                    let (places, alternates, minor) = self.places.clone();
                    if let Some(minor) = minor {
                        self.proxy.forward(context, hop(&message, minor, true), self.now);
                    }
                    for alternate in alternates {
                        self.proxy.add_alternate(context, hop(&message, alternate, false));
                    }
                    let hops = places.iter().map(|place| hop(&message, place, false)).collect();
                    for place in self.later.clone() {
                        self.proxy.then(context, vec![hop(&message, place, false)]);
                    }
                    self.proxy.fork(context, hops, self.now);
                }
                Output::Ack { message, .. } => self.proxy.forward_stateless(hop(&message, A, false), self.now),
                Output::Response { context, message, .. } => self.proxy.relay(context, Edit::new(message), self.now),
                Output::Answered { .. } => self.told.push("answered"),
                Output::BranchFailed { .. } => self.told.push("branch failed"),
                Output::Closed { .. } => self.told.push("closed"),
                Output::Absorbed { .. } => self.told.push("absorbed"),
                Output::Unacknowledged { .. } => self.told.push("unacknowledged"),
                Output::Dropped { .. } => self.told.push("dropped"),
            }
        }
    }

    /// What was sent to a place, each once, as first words: `INVITE`, `180`.
    pub(crate) fn at(&mut self, place: &str) -> Vec<String> {
        let place: SocketAddr = place.parse().unwrap();
        let (theirs, others) = self.sent.drain(..).partition(|(to, _)| *to == place);
        self.sent = others;
        let theirs: VecDeque<(SocketAddr, Message)> = theirs;
        theirs.iter().map(|(_, message)| word(message)).collect()
    }

    /// Takes what was sent to a place, as the values of a header.
    pub(crate) fn at_with(&mut self, place: &str, name: Name) -> Vec<String> {
        let place: SocketAddr = place.parse().unwrap();
        let (theirs, others) = self.sent.drain(..).partition(|(to, _)| *to == place);
        self.sent = others;
        let theirs: VecDeque<(SocketAddr, Message)> = theirs;
        theirs.iter().flat_map(|(_, message)| message.values(name).map(str::to_owned)).collect()
    }

    /// Takes the first request with a method that was sent to a place.
    pub(crate) fn request_at(&mut self, place: &str, method: &str) -> Message {
        let to: SocketAddr = place.parse().unwrap();
        let at = self.sent.iter().position(|(at, message)| *at == to && message.method_text() == method);
        let at = at.unwrap_or_else(|| panic!("no {method} at {place}"));
        self.sent.remove(at).unwrap().1
    }

    /// The INVITE reaches the proxy; those that leave it.
    pub(crate) fn call(&mut self) -> Vec<Message> {
        self.receive(CALLER, request("INVITE", "1"));
        let (places, _, minor) = self.places.clone();
        minor.into_iter().chain(places).map(|place| self.request_at(place, "INVITE")).collect()
    }

    /// A place answers a request.
    pub(crate) fn answer(&mut self, place: &str, request: &Message, status: u16) {
        self.receive(place, answer(request, status, place));
    }

    /// Lets every timer run out and looks whether anything stayed behind.
    pub(crate) fn ends_empty(mut self) {
        self.pass(Duration::from_secs(600));
        assert_eq!(self.proxy.counts(), (0, 0, 0));
        assert_eq!(self.proxy.poll_timeout(), None);
        assert_eq!(self.told.iter().filter(|told| **told == "closed").count(), 1, "{:?}", self.told);
    }
}

pub(crate) fn word(message: &Message) -> String {
    message.status().map_or_else(|| message.method_text().to_owned(), |status| status.to_string())
}

pub(crate) fn answer(request: &Message, status: u16, place: &str) -> Bytes {
    let tag = place.replace([':', '.'], "");
    Compose::response(request, status, None, Some(&tag)).copy(request, Name::RecordRoute).empty()
}

pub(crate) fn request(method: &str, number: &str) -> Bytes {
    let cseq = if method == "ACK" || method == "CANCEL" { "INVITE" } else { method };
    // An ACK to a failure and a CANCEL have the branch of their INVITE.
    let via = format!("SIP/2.0/UDP {CALLER};branch=z9hG4bK-{cseq}-{number}");
    Compose::request(method, "sip:bob@example.com")
        .header("Via", &via)
        .header("Max-Forwards", "70")
        .header("From", "<sip:alice@example.com>;tag=1")
        .header("To", "<sip:bob@example.com>")
        .header("Call-ID", number)
        .header("CSeq", &format!("1 {method}"))
        .empty()
}
