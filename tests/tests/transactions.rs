//! The four transaction machines by table: what is sent when, over UDP and over a stream (RFC 3261 §17, RFC 6026).

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_net::clock;
use cusax_sip::transaction::{ClientId, Layer, Output, ServerId, T4, T64};
use cusax_sip::{Compose, Flow, ListenerId, Message, Method, Transport};

/// Retransmissions of a request or of a failure that doubles its pace up to T2, in milliseconds.
const UP_TO_T2: [u64; 10] = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
/// The same without an upper bound: timer A.
const DOUBLING: [u64; 6] = [500, 1_500, 3_500, 7_500, 15_500, 31_500];

fn flow(transport: Transport) -> Flow {
    let remote: SocketAddr = "198.51.100.1:5060".parse().unwrap();
    Flow { listener: ListenerId(0), transport, remote, connection: None }
}

/// A layer, and what came out of it with the time since the beginning.
struct Bench {
    layer: Layer,
    flow: Flow,
    start: Instant,
    now: Instant,
    log: Vec<(Duration, Output)>,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        let now = clock::now();
        Self { layer: Layer::new([1, 2], 8), flow: flow(transport), start: now, now, log: Vec::new() }
    }

    fn settle(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            self.log.push((self.now - self.start, output));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(due) = self.layer.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.layer.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn receive(&mut self, bytes: impl Into<Bytes>) {
        self.layer.handle_message(Message::parse(bytes.into()).unwrap(), self.flow, self.now);
        self.settle();
    }

    /// Opens a client transaction and starts it.
    fn send(&mut self, method: Method) -> (ClientId, Bytes) {
        let (client, branch) = self.layer.open(method, self.flow, 7).unwrap();
        let request = request(method.as_str(), &branch);
        self.layer.start(client, request.clone(), self.now);
        self.settle();
        (client, request)
    }

    /// What comes back for a request that was sent.
    fn answered(&mut self, request: &Bytes, status: u16) {
        let request = Message::parse(request.clone()).unwrap();
        self.receive(Compose::response(&request, status, None, Some("there")).empty());
    }

    fn respond(&mut self, server: ServerId, request: &Bytes, status: u16) {
        let request = Message::parse(request.clone()).unwrap();
        let bytes = Compose::response(&request, status, None, Some("here")).empty();
        self.layer.respond(server, status, bytes, self.now);
        self.settle();
    }

    /// The server transaction that a request begins.
    fn asked(&mut self, request: &Bytes) -> ServerId {
        self.receive(request.clone());
        match self.log.pop() {
            Some((_, Output::Request { server, .. })) => server,
            other => panic!("{other:?}"),
        }
    }

    /// Milliseconds of each transmission whose first line begins so, taken out of the log.
    fn sent(&mut self, start: &str) -> Vec<u64> {
        let is = |output: &Output| matches!(output, Output::Transmit { transmit, .. } if transmit.bytes.starts_with(start.as_bytes()));
        let (found, rest): (Vec<_>, Vec<_>) = self.log.drain(..).partition(|(_, output)| is(output));
        self.log = rest;
        found.iter().map(|(at, _)| u64::try_from(at.as_millis()).unwrap()).collect()
    }

    /// What is left in the log, by name.
    fn told(&mut self) -> Vec<(u64, &'static str)> {
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

    fn names(&mut self) -> Vec<&'static str> {
        self.told().into_iter().map(|(_, name)| name).collect()
    }

    /// When the last transaction goes.
    fn empties_after(&mut self, expected: Duration) {
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

fn request(method: &str, branch: &str) -> Bytes {
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

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;

#[test]
fn an_unanswered_request_is_repeated_by_timer_a_or_e_and_ended_by_timer_b_or_f() {
    for (method, transport, repeats) in [
        (Method::Invite, UDP, &DOUBLING[..]),
        (Method::Invite, TCP, &[]),
        (Method::Options, UDP, &UP_TO_T2),
        (Method::Options, TCP, &[]),
    ] {
        let mut bench = Bench::new(transport);
        bench.send(method);
        bench.pass(Duration::from_secs(100));
        let times: Vec<_> = [0].iter().chain(repeats).copied().collect();
        assert_eq!(bench.sent(method.as_str()), times, "{method} {transport:?}");
        assert_eq!(bench.told(), [(32_000, "timed out")], "{method} {transport:?}");
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn a_provisional_response_ends_the_repeating_of_invite_and_slows_that_of_others() {
    for (method, transport, repeats, told) in [
        (Method::Invite, UDP, &[0, 500][..], &[(700, "response")][..]),
        (Method::Invite, TCP, &[0], &[(700, "response")]),
        (
            Method::Options,
            UDP,
            &[0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500],
            &[(700, "response"), (32_000, "timed out")],
        ),
        (Method::Options, TCP, &[0], &[(700, "response"), (32_000, "timed out")]),
    ] {
        let mut bench = Bench::new(transport);
        let (client, request) = bench.send(method);
        bench.pass(Duration::from_millis(700));
        bench.answered(&request, 100);
        bench.pass(Duration::from_secs(200));
        assert_eq!(bench.sent(method.as_str()), repeats, "{method} {transport:?}");
        assert_eq!(bench.told(), told, "{method} {transport:?}");
        // Nothing but timer C of a proxy ends an INVITE that rings.
        assert_eq!(bench.layer.counts().0, usize::from(method == Method::Invite));
        bench.layer.abandon(client);
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn a_failure_of_an_invite_is_acknowledged_each_time_until_timer_d() {
    for (transport, d) in [(UDP, T64), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (_, invite) = bench.send(Method::Invite);
        bench.answered(&invite, 180);
        bench.answered(&invite, 486);
        bench.answered(&invite, 486);
        bench.answered(&invite, 180);
        bench.answered(&invite, 200);
        assert_eq!(bench.sent("ACK sip:bob@example.com SIP/2.0\r\n").len(), 2);
        bench.sent("INVITE");
        assert_eq!(bench.names(), ["response", "response", "absorbed", "absorbed", "absorbed"]);
        bench.empties_after(d);
        bench.answered(&invite, 486);
        assert_eq!(bench.names(), ["dropped"]);
    }
}

#[test]
fn the_ack_to_a_failure_is_the_invites_own() {
    let mut bench = Bench::new(UDP);
    let (_, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 404);
    let Some((_, Output::Transmit { transmit, again: false })) = bench.log.get(1) else { panic!("{:?}", bench.log) };
    let (ack, invite) = (Message::parse(transmit.bytes.clone()).unwrap(), Message::parse(invite).unwrap());
    assert_eq!(ack.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!((ack.to_tag(), ack.from_tag(), ack.call_id()), ("there", "1", "c"));
    assert_eq!((ack.cseq(), ack.method_text()), (Some((1, "ACK")), "ACK"));
}

#[test]
fn every_2xx_to_invite_comes_up_until_timer_m() {
    for transport in [UDP, TCP] {
        let mut bench = Bench::new(transport);
        let (_, invite) = bench.send(Method::Invite);
        bench.answered(&invite, 200);
        bench.pass(Duration::from_secs(1));
        bench.answered(&invite, 200);
        bench.answered(&invite, 180);
        bench.answered(&invite, 486);
        assert_eq!(bench.sent("ACK").len(), 0, "the ACK to a 2xx is not this layer's");
        bench.sent("INVITE");
        assert_eq!(bench.names(), ["response", "response", "absorbed", "absorbed"]);
        bench.empties_after(T64 - Duration::from_secs(1));
        bench.answered(&invite, 200);
        assert_eq!(bench.names(), ["dropped"]);
    }
}

#[test]
fn the_final_response_to_another_request_comes_up_once_until_timer_k() {
    for (transport, k) in [(UDP, T4), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (_, options) = bench.send(Method::Options);
        bench.answered(&options, 200);
        bench.answered(&options, 200);
        bench.answered(&options, 100);
        bench.sent("OPTIONS");
        assert_eq!(bench.names(), ["response", "absorbed", "absorbed"]);
        bench.empties_after(k);
    }
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_has_the_invites_branch() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.layer.cancel(client, &[], bench.now);
    bench.settle();
    assert_eq!(bench.sent("CANCEL").len(), 0);
    bench.answered(&invite, 180);
    bench.layer.cancel(client, &[("Reason", "SIP;cause=200")], bench.now);
    bench.layer.cancel(client, &[], bench.now);
    bench.settle();
    let found = bench.log.iter().find_map(|(_, output)| match output {
        Output::Transmit { transmit, .. } if transmit.bytes.starts_with(b"CANCEL") => Some(transmit.bytes.clone()),
        _ => None,
    });
    let cancel = Message::parse(found.unwrap()).unwrap();
    let branch = Message::parse(invite.clone()).unwrap().top_via().unwrap().branch().to_owned();
    assert_eq!(cancel.top_via().unwrap().branch(), branch);
    assert_eq!((cancel.cseq(), cancel.to_tag()), (Some((1, "CANCEL")), ""));
    assert!(std::str::from_utf8(cancel.bytes()).unwrap().contains("Reason: SIP;cause=200\r\n"));
    assert_eq!(bench.sent("CANCEL").len(), 1, "once");
    bench.sent("INVITE");
    bench.names();
    bench.receive(Compose::response(&cancel, 200, None, Some("there")).empty());
    assert!(bench.names().is_empty(), "the answer to a CANCEL is nobody's business");
    bench.answered(&invite, 487);
    assert_eq!(bench.sent("ACK").len(), 1);
    assert_eq!(bench.names(), ["response"]);
    bench.empties_after(T64);
}

#[test]
fn a_cancel_that_nobody_answers_is_repeated_and_given_up_without_a_word() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 180);
    bench.sent("INVITE");
    bench.names();
    bench.layer.cancel(client, &[], bench.now);
    bench.pass(Duration::from_secs(60));
    let times: Vec<_> = [0].iter().chain(&UP_TO_T2).copied().collect();
    assert_eq!(bench.sent("CANCEL"), times);
    assert!(bench.names().is_empty());
    assert_eq!(bench.layer.counts(), (1, 0), "the INVITE still rings");
}

#[test]
fn a_transport_that_fails_ends_what_waits_on_it_and_a_cancel_says_nothing_of_its_invite() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 180);
    bench.layer.cancel(client, &[], bench.now);
    bench.send(Method::Options);
    bench.log.clear();
    let elsewhere = Flow { remote: "203.0.113.1:5060".parse().unwrap(), ..bench.flow };
    bench.layer.handle_unreachable(&elsewhere);
    bench.settle();
    assert!(bench.names().is_empty());
    bench.layer.handle_unreachable(&flow(UDP));
    bench.settle();
    assert_eq!(bench.names(), ["unreachable"]);
    bench.answered(&invite, 487);
    assert_eq!(bench.sent("ACK").len(), 1);
}

#[test]
fn branches_that_are_not_ours_are_dropped() {
    let mut bench = Bench::new(UDP);
    let (_, invite) = bench.send(Method::Invite);
    bench.log.clear();
    let text = String::from_utf8(invite.to_vec()).unwrap();
    let branch = Message::parse(invite).unwrap().top_via().unwrap().branch().to_owned();
    let mut forged =
        vec![String::new(), "z9hG4bK".to_owned(), "z9hG4bK-0-0-0".to_owned(), branch.replace("bK-0", "bK-1")];
    forged.push(branch.replace("z9hG4bK", "x9hG4bK").replace('-', "_"));
    forged.extend((8..branch.len()).map(|at| {
        let mut bytes = branch.clone().into_bytes();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    }));
    for forged in forged {
        let request = Message::parse(Bytes::from(text.replace(&branch, &forged))).unwrap();
        bench.receive(Compose::response(&request, 200, None, Some("there")).empty());
        assert_eq!(bench.names(), ["dropped"], "{forged}");
    }
    let other = Message::parse(Bytes::from(text.replace("1 INVITE", "1 BYE"))).unwrap();
    bench.receive(Compose::response(&other, 200, None, Some("there")).empty());
    assert_eq!(bench.names(), ["dropped"], "another method");
}

#[test]
fn a_failure_is_repeated_by_timer_g_until_timer_h() {
    for (transport, repeats) in [(UDP, &UP_TO_T2[..]), (TCP, &[])] {
        let mut bench = Bench::new(transport);
        let invite = request("INVITE", "z9hG4bK1");
        let server = bench.asked(&invite);
        bench.respond(server, &invite, 486);
        bench.pass(Duration::from_secs(100));
        let times: Vec<_> = [0].iter().chain(repeats).copied().collect();
        assert_eq!(bench.sent("SIP/2.0 486"), times, "{transport:?}");
        assert_eq!(bench.told(), [(32_000, "unacknowledged")]);
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn an_ack_ends_the_repeating_and_is_absorbed_until_timer_i() {
    for (transport, i) in [(UDP, T4), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (invite, ack) = (request("INVITE", "z9hG4bK1"), request("ACK", "z9hG4bK1"));
        let server = bench.asked(&invite);
        bench.receive(ack.clone());
        assert_eq!(bench.names(), ["absorbed"], "too early, and no reason to fall");
        bench.respond(server, &invite, 486);
        for _ in 0..3 {
            bench.receive(ack.clone());
        }
        bench.receive(invite.clone());
        assert_eq!(bench.sent("SIP/2.0 486"), [0], "not repeated once acknowledged");
        assert_eq!(bench.names(), ["absorbed"; 4]);
        bench.empties_after(i);
    }
}

#[test]
fn a_repeated_request_gets_the_last_response_again() {
    let mut bench = Bench::new(UDP);
    let invite = request("INVITE", "z9hG4bK1");
    let server = bench.asked(&invite);
    bench.receive(invite.clone());
    assert_eq!(bench.names(), ["absorbed"], "nothing to repeat yet");
    for status in [100, 180, 183, 486] {
        bench.respond(server, &invite, status);
        bench.receive(invite.clone());
        assert_eq!(bench.sent(&format!("SIP/2.0 {status}")).len(), 2);
        assert_eq!(bench.names(), ["absorbed"]);
    }
    bench.respond(server, &invite, 180);
    bench.respond(server, &invite, 200);
    assert!(bench.names().is_empty(), "nothing follows a final response");
}

#[test]
fn a_2xx_keeps_the_transaction_until_timer_l_and_its_acks_and_repetitions_pass() {
    for transport in [UDP, TCP] {
        let mut bench = Bench::new(transport);
        let (invite, ack) = (request("INVITE", "z9hG4bK1"), request("ACK", "z9hG4bK1"));
        let server = bench.asked(&invite);
        bench.respond(server, &invite, 200);
        bench.pass(Duration::from_secs(1));
        bench.receive(invite.clone());
        assert_eq!(bench.sent("SIP/2.0 200"), [0], "the user repeats a 2xx, not this layer");
        assert_eq!(bench.names(), ["absorbed"]);
        bench.respond(server, &invite, 200);
        bench.respond(server, &invite, 486);
        assert_eq!(bench.sent("SIP/2.0"), [1_000]);
        bench.receive(ack);
        assert_eq!(bench.names(), ["ack"]);
        bench.empties_after(T64 - Duration::from_secs(1));
    }
}

#[test]
fn another_request_is_answered_once_and_remembered_until_timer_j() {
    for (transport, j) in [(UDP, T64), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let options = request("OPTIONS", "z9hG4bK1");
        let server = bench.asked(&options);
        bench.respond(server, &options, 200);
        bench.respond(server, &options, 404);
        bench.receive(options);
        assert_eq!(bench.sent("SIP/2.0 200").len(), 2);
        assert_eq!(bench.names(), ["absorbed"]);
        bench.empties_after(j);
    }
}

#[test]
fn a_request_that_nobody_answers_is_forgotten_when_its_client_has_given_up() {
    let mut bench = Bench::new(UDP);
    bench.asked(&request("OPTIONS", "z9hG4bK1"));
    bench.empties_after(T64);
    assert!(bench.names().is_empty(), "and nobody is told (RFC 4320)");
}

#[test]
fn a_cancel_is_a_transaction_of_its_own_and_names_the_invite_that_it_is_about() {
    let mut bench = Bench::new(UDP);
    let server = bench.asked(&request("INVITE", "z9hG4bK1"));
    bench.layer.set_owner(server, 42);
    for (branch, expected) in [("z9hG4bK1", Some((server, 42))), ("z9hG4bK2", None)] {
        bench.receive(request("CANCEL", branch));
        let Some((_, Output::Request { cancels, .. })) = bench.log.pop() else { panic!("{branch}") };
        assert_eq!(cancels, expected, "{branch}");
    }
    bench.receive(request("CANCEL", "z9hG4bK1"));
    assert_eq!(bench.names(), ["absorbed"]);
}

#[test]
fn transactions_are_told_apart_by_branch_sender_and_method() {
    let mut bench = Bench::new(UDP);
    let text = String::from_utf8(request("INVITE", "z9hG4bK1").to_vec()).unwrap();
    for other in [
        text.clone(),
        text.replace("z9hG4bK1", "z9hG4bK2"),
        text.replace("Via: SIP/2.0/UDP 198.51.100.1:5060", "Via: SIP/2.0/UDP 198.51.100.1:5061"),
        text.replace("Via: SIP/2.0/UDP 198.51.100.1", "Via: SIP/2.0/UDP 198.51.100.9"),
        text.replace("INVITE", "MESSAGE"),
    ] {
        bench.receive(other.clone());
        assert_eq!(bench.names(), ["request"], "{other}");
        bench.receive(other);
        assert_eq!(bench.names(), ["absorbed"]);
    }
}

#[test]
fn requests_of_rfc_2543_are_matched_without_a_unique_branch() {
    let mut bench = Bench::new(UDP);
    let old = String::from_utf8(request("INVITE", "1").to_vec()).unwrap();
    for text in [old.clone(), old.replace(";branch=1", ""), old.replace("Call-ID: c", "Call-ID: d")] {
        bench.receive(text.clone());
        assert_eq!(bench.names(), ["request"], "{text}");
        bench.receive(text.clone());
        bench.receive(text.replace("INVITE", "ACK"));
        assert_eq!(bench.names(), ["absorbed"; 2], "{text}");
    }
}

#[test]
fn responses_go_back_where_the_request_came_from() {
    for (via, expected) in [
        ("198.51.100.1:5070", "198.51.100.1:5070"),
        ("198.51.100.1", "198.51.100.1:5060"),
        ("10.0.0.9:5070", "198.51.100.1:5070"),
        ("10.0.0.9:5070;rport", "198.51.100.1:40000"),
        ("10.0.0.9:5070;maddr=203.0.113.5", "198.51.100.1:5070"),
        ("10.0.0.9:5070;received=203.0.113.5", "198.51.100.1:5070"),
        ("phone.example:5070", "198.51.100.1:5070"),
    ] {
        let mut bench = Bench::new(UDP);
        bench.flow.remote = "198.51.100.1:40000".parse().unwrap();
        let text = String::from_utf8(request("OPTIONS", "z9hG4bK1").to_vec()).unwrap();
        let options = Bytes::from(text.replace("198.51.100.1:5060", via));
        let server = bench.asked(&options);
        bench.respond(server, &options, 200);
        let Some((_, Output::Transmit { transmit, .. })) = bench.log.pop() else { panic!("{via}") };
        assert_eq!(transmit.flow.remote, expected.parse().unwrap(), "{via}");
    }
}

#[test]
fn tables_are_bounded_and_say_so() {
    let mut bench = Bench::new(UDP);
    for number in 0..8 {
        bench.receive(request("OPTIONS", &format!("z9hG4bK{number}")));
        assert!(bench.layer.open(Method::Options, bench.flow, 0).is_some());
    }
    assert_eq!(bench.names(), ["request"; 8]);
    assert!(bench.layer.open(Method::Options, bench.flow, 0).is_none());
    bench.receive(request("OPTIONS", "z9hG4bK8"));
    assert_eq!(bench.names(), ["dropped"]);
}

#[test]
fn branches_and_tags_differ_within_a_run_and_between_runs() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut layer = Layer::new([seed, seed], 100);
        for _ in 0..20 {
            assert!(seen.insert(layer.open(Method::Options, flow(UDP), 0).unwrap().1));
            assert!(seen.insert(layer.stateless_branch()));
            assert!(seen.insert(layer.tag()));
        }
    }
}
