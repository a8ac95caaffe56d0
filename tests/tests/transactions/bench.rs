//! A transaction layer, a clock, and what came out when.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_net::clock;
use cusax_sip::transaction::{ClientId, Layer, Output, ServerId};
use cusax_sip::{Compose, Flow, ListenerId, Message, Method, Transport};

/// Retransmissions of a request or of a failure that doubles its pace up to T2, in milliseconds.
pub(crate) const UP_TO_T2: [u64; 10] = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
/// The same without an upper bound: timer A.
pub(crate) const DOUBLING: [u64; 6] = [500, 1_500, 3_500, 7_500, 15_500, 31_500];

pub(crate) fn flow(transport: Transport) -> Flow {
    let remote: SocketAddr = "198.51.100.1:5060".parse().unwrap();
    Flow { listener: ListenerId(0), transport, remote, connection: None, domain: None }
}

/// A layer, and what came out of it with the time since the beginning.
pub(crate) struct Bench {
    pub(crate) layer: Layer,
    pub(crate) flow: Flow,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) log: Vec<(Duration, Output)>,
}

impl Bench {
    pub(crate) fn new(transport: Transport) -> Self {
        let now = clock::now();
        Self { layer: Layer::new([1, 2], 8), flow: flow(transport), start: now, now, log: Vec::new() }
    }

    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            self.log.push((self.now - self.start, output));
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(due) = self.layer.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.layer.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn receive(&mut self, bytes: impl Into<Bytes>) {
        self.layer.handle_message(Message::parse(bytes.into()).unwrap(), self.flow, self.now);
        self.settle();
    }

    /// Opens a client transaction and starts it.
    pub(crate) fn send(&mut self, method: Method) -> (ClientId, Bytes) {
        let (client, branch) = self.layer.open(method, self.flow, 7, None).unwrap();
        let request = request(method.as_str(), &branch);
        self.layer.start(client, request.clone(), self.now);
        self.settle();
        (client, request)
    }

    /// What comes back for a request that was sent.
    pub(crate) fn answered(&mut self, request: &Bytes, status: u16) {
        let request = Message::parse(request.clone()).unwrap();
        self.receive(Compose::response(&request, status, None, Some("there")).empty());
    }

    pub(crate) fn respond(&mut self, server: ServerId, request: &Bytes, status: u16) {
        let request = Message::parse(request.clone()).unwrap();
        let bytes = Compose::response(&request, status, None, Some("here")).empty();
        self.layer.respond(server, status, bytes, self.now);
        self.settle();
    }

    /// The server transaction that a request begins.
    pub(crate) fn asked(&mut self, request: &Bytes) -> ServerId {
        self.receive(request.clone());
        match self.log.pop() {
            Some((_, Output::Request { server, .. })) => server,
            other => panic!("{other:?}"),
        }
    }

    /// Milliseconds of each transmission whose first line begins so, taken out of the log.
    pub(crate) fn sent(&mut self, start: &str) -> Vec<u64> {
        let is = |output: &Output| matches!(output, Output::Transmit { transmit, .. } if transmit.bytes.starts_with(start.as_bytes()));
        let (found, rest): (Vec<_>, Vec<_>) = self.log.drain(..).partition(|(_, output)| is(output));
        self.log = rest;
        found.iter().map(|(at, _)| u64::try_from(at.as_millis()).unwrap()).collect()
    }

    /// What is left in the log, by name.
    pub(crate) fn told(&mut self) -> Vec<(u64, &'static str)> {
        let name = |output: &Output| match output {
            Output::Transmit { .. } => "transmit",
            Output::Request { .. } => "request",
            Output::Ack { .. } => "ack",
            Output::Response { .. } => "response",
            Output::Absorbed { .. } => "absorbed",
            Output::TimedOut { .. } => "timed out",
            Output::Unreachable { .. } => "unreachable",
            Output::Unacknowledged { .. } => "unacknowledged",
            Output::Dropped { .. } => "dropped",
        };
        self.log.drain(..).map(|(at, output)| (u64::try_from(at.as_millis()).unwrap(), name(&output))).collect()
    }

    pub(crate) fn names(&mut self) -> Vec<&'static str> {
        self.told().into_iter().map(|(_, name)| name).collect()
    }

    /// When the last transaction goes.
    pub(crate) fn empties_after(&mut self, expected: Duration) {
        let begun = self.now;
        let mut last = self.now;
        while self.layer.counts() != (0, 0) {
            last = self.layer.poll_timeout().unwrap().max(self.now);
            self.now = last;
            self.layer.handle_timeout(self.now);
            self.settle();
        }
        assert_eq!(last - begun, expected);
        self.pass(Duration::from_secs(600));
        assert_eq!(self.layer.poll_timeout(), None);
    }
}

pub(crate) fn request(method: &str, branch: &str) -> Bytes {
    let via = format!("SIP/2.0/UDP 198.51.100.1:5060;branch={branch}");
    Compose::request(method, "sip:bob@example.com")
        .header("Via", &via)
        .header("Max-Forwards", "70")
        .header("From", "<sip:a@x>;tag=1")
        .header("To", "<sip:b@x>")
        .header("Call-ID", "c")
        .header("CSeq", &format!("1 {}", if method == "ACK" { "ACK" } else { method }))
        .empty()
}

pub(crate) const UDP: Transport = Transport::Udp;
pub(crate) const TCP: Transport = Transport::Tcp;
