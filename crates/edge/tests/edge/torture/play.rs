//! A row of a table, and how its message is played: over UDP, and over a stream through the framer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cusax_edge::config::{Config, CoreTarget, Listener, Peer, Zone};
use cusax_event::sip::DropReason;
use cusax_sip::location::Place;
use cusax_sip::{ConnectionId, Flow, ListenerId, Message, Name, Transport};

use super::chunks::{End, Reader};
use super::compare;
use crate::draft::Draft;
use crate::world::{ALICE, CORE, Sent, World, config, tcp, udp};

/// Where every name of the corpora leads.
pub(super) const HOP: &str = "203.0.113.50:5060";

const NAMES: [&str; 9] = [
    "chair-dnrc.example.com",
    "company.com",
    "example.com",
    "example.edu",
    "example.net",
    "example.org",
    "host.example.net",
    "registrar.example.com",
    "services.example.com",
];

/// Where a message comes from, so that the rule under test is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The core, for a domain that is none of ours: the edge is a proxy and nothing else.
    Core,
    /// A phone that nobody challenges; all goes to the core.
    Phone,
    /// A phone that is challenged.
    Challenged,
    /// The next hop, in answer to nothing: a response as the corpus has it.
    Nobody,
    /// The next hop, in answer to a request of this method that came from the core: our Via is put above the others.
    Answer(&'static str),
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on, and every byte but our own edits is as it came.
    Forwarded,
    /// It goes on without the lines of these names.
    Without(&'static [&'static str]),
    /// It goes on with these values of Call-Info.
    CallInfo(&'static [&'static str]),
    /// It is answered here.
    Answered(u16),
    /// It is answered here, and the answer has this line.
    AnsweredWith(u16, &'static str),
    /// It is dropped with this reason.
    Dropped(DropReason),
    /// It has done its work here and goes no further.
    Consumed,
}

/// What becomes of the same bytes on a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// The same as over UDP.
    Same,
    /// As many messages, with these verdicts, and nothing after them.
    Each(&'static [Verdict]),
    /// These messages, and then bytes that wait for more to come.
    Waits(&'static [Verdict]),
    /// These messages, and then it is closed, for nobody knows where the next one begins.
    Closed(&'static [Verdict]),
}

pub(super) struct Row {
    pub(super) file: &'static str,
    section: &'static str,
    from: From,
    udp: Verdict,
    stream: Stream,
    to: &'static str,
    measured: bool,
    /// Its next hop is a strict router.
    strict: bool,
}

pub(super) const fn row(file: &'static str, section: &'static str, from: From, udp: Verdict) -> Row {
    let to = if matches!(from, From::Core) { HOP } else { CORE };
    Row { file, section, from, udp, stream: Stream::Same, to, measured: false, strict: false }
}

/// What came of one message.
struct Outcome {
    answers: Vec<Sent>,
    requests: Vec<Sent>,
    responses: Vec<Sent>,
    dropped: Vec<DropReason>,
}

impl Row {
    pub(super) const fn stream(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }

    /// Where it is forwarded to, if its target is an address.
    pub(super) const fn to(mut self, to: &'static str) -> Self {
        self.to = to;
        self
    }

    /// Puts Content-Length right first: another rule than that of the length is played.
    pub(super) const fn measured(mut self) -> Self {
        self.measured = true;
        self
    }

    /// Its next hop is a strict router, which wants its own address in the Request-URI (RFC 3261 §16.6 step 6).
    pub(super) const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Plays the message both ways; returns what came out otherwise.
    pub(super) fn play(&self, bytes: &[u8]) -> Vec<String> {
        let mended;
        let bytes = if self.measured {
            mended = compare::with_true_length(bytes);
            &mended
        } else {
            bytes
        };
        let mut wrong = Vec::new();
        let mut tell = |how: &str, result: Result<(), String>| {
            if let Err(what) = result {
                wrong.push(format!("{} ({}, {:?}, {how}): {what}", self.file, self.section, self.from));
            }
        };
        tell("UDP", self.play_datagram(bytes));
        tell("stream", self.play_stream(bytes));
        wrong
    }

    fn world(&self) -> World {
        let mut world = World::with(plain(self.from == From::Challenged));
        let place = Place { transport: Transport::Udp, address: HOP.parse().unwrap() };
        world.dns.extend(NAMES.map(|name| (name.to_owned(), Ok(vec![place.clone()]))));
        world
    }

    fn play_datagram(&self, bytes: &[u8]) -> Result<(), String> {
        let mut world = self.world();
        let (flow, bytes) = match self.from {
            From::Core => (udp(CORE), bytes.to_vec()),
            From::Phone | From::Challenged => (udp(ALICE), bytes.to_vec()),
            From::Nobody => (hop(), bytes.to_vec()),
            From::Answer(method) => (hop(), answered(&mut world, method, bytes)),
        };
        let outcome = receive(&mut world, flow, Bytes::from(bytes.clone()));
        self.check(self.udp, &outcome, &bytes, flow)?;
        if self.udp == Verdict::Consumed {
            // What ends here still counts: the request is not repeated any more.
            world.pass(Duration::from_secs(5));
            if !world.sent.is_empty() {
                return Err("the transaction took no note of it".to_owned());
            }
        }
        world.ends_empty();
        Ok(())
    }

    fn play_stream(&self, bytes: &[u8]) -> Result<(), String> {
        let flow = match self.from {
            From::Core => Flow { listener: CORE_TCP, ..tcp("192.0.2.20:40000", 7) },
            From::Phone | From::Challenged => tcp(ALICE, 7),
            From::Nobody => tcp("203.0.113.50:40000", 7),
            // The request went by UDP, and so must its answer come.
            From::Answer(_) => return Ok(()),
        };
        let (verdicts, end): (Vec<Verdict>, End) = match self.stream {
            Stream::Same => (vec![self.udp], End::Clean),
            Stream::Each(verdicts) => (verdicts.to_vec(), End::Clean),
            Stream::Waits(verdicts) => (verdicts.to_vec(), End::Waiting),
            Stream::Closed(verdicts) => (verdicts.to_vec(), End::Closed),
        };
        let mut reader = Reader::default();
        reader.feed(bytes);
        if (reader.messages.len(), reader.end()) != (verdicts.len(), end) {
            return Err(format!(
                "{} messages, {:?}; expected {verdicts:?}, {end:?}",
                reader.messages.len(),
                reader.end()
            ));
        }
        let mut world = self.world();
        world.edge.handle_opened(ConnectionId(7), Vec::new());
        for (message, verdict) in reader.messages.iter().zip(verdicts) {
            let outcome = receive(&mut world, flow, Bytes::from(message.clone()));
            self.check(verdict, &outcome, message, flow)?;
        }
        world.ends_empty();
        Ok(())
    }

    fn check(&self, verdict: Verdict, outcome: &Outcome, before: &[u8], flow: Flow) -> Result<(), String> {
        let requests: Vec<_> = outcome.requests.iter().map(|sent| sent.message.first_line()).collect();
        let statuses: Vec<_> = outcome.answers.iter().filter_map(|sent| sent.message.status()).collect();
        let dropped = &outcome.dropped;
        let wrong = format!("forwarded {requests:?}, answered {statuses:?}, dropped {dropped:?}; expected {verdict:?}");
        let forwarded = if self.is_response() { [0, 0, 1] } else { [1, 0, 0] };
        let (counts, expected_statuses, expected_dropped): (_, &[u16], &[DropReason]) = match &verdict {
            Verdict::Forwarded | Verdict::Without(_) | Verdict::CallInfo(_) => (forwarded, &[], &[]),
            Verdict::Answered(status) | Verdict::AnsweredWith(status, _) => {
                ([0, 1, 0], std::slice::from_ref(status), &[])
            }
            Verdict::Dropped(reason) => ([0, 0, 0], &[], std::slice::from_ref(reason)),
            Verdict::Consumed => ([0, 0, 0], &[], &[]),
        };
        let found = [&outcome.requests, &outcome.answers, &outcome.responses].map(Vec::len);
        if found != counts || statuses != expected_statuses || dropped != expected_dropped {
            return Err(wrong);
        }
        outcome
            .requests
            .iter()
            .chain(&outcome.responses)
            .try_for_each(|sent| self.check_forwarded(verdict, sent, before))?;
        outcome.answers.iter().try_for_each(|sent| check_answer(verdict, sent, flow))
    }

    fn check_forwarded(&self, verdict: Verdict, sent: &Sent, before: &[u8]) -> Result<(), String> {
        let to: SocketAddr = self.to.parse().unwrap();
        if sent.flow.remote != to {
            return Err(format!("went to {}, expected {to}", sent.flow.remote));
        }
        let (gone, call_info): (&[&str], _) = match verdict {
            Verdict::Without(names) => (names, None),
            Verdict::CallInfo(values) => (&["call-info"], Some(values)),
            Verdict::Forwarded
            | Verdict::Answered(_)
            | Verdict::AnsweredWith(..)
            | Verdict::Dropped(_)
            | Verdict::Consumed => (&[], None),
        };
        let straight = self.strict.then(|| strictly(before));
        compare::same_but_for_ours(straight.as_deref().unwrap_or(before), sent.message.bytes(), gone)?;
        let left = sent.message.value_spans(Name::CallInfo).map(|span| &sent.message.bytes()[span]);
        let left: Vec<_> = left.map(String::from_utf8_lossy).collect();
        if call_info.is_some_and(|values| left != values) {
            return Err(format!("Call-Info is {left:?}"));
        }
        Ok(())
    }

    const fn is_response(&self) -> bool {
        matches!(self.from, From::Nobody | From::Answer(_))
    }
}

/// An answer goes back by the way that the request came.
fn check_answer(verdict: Verdict, sent: &Sent, flow: Flow) -> Result<(), String> {
    if (sent.flow.listener, sent.flow.remote.ip()) != (flow.listener, flow.remote.ip()) {
        return Err(format!("answered to {}", sent.flow.remote));
    }
    if let Verdict::AnsweredWith(_, line) = verdict
        && !sent.text().contains(&format!("\r\n{line}\r\n"))
    {
        return Err(format!("no such line: {}", sent.text()));
    }
    Ok(())
}

const CORE_TCP: ListenerId = ListenerId(4);

/// An edge that none of the corpora's domains belong to, with a core that also comes by TCP and a way to IPv6.
fn plain(challenge: bool) -> Config {
    let mut config = config();
    let listener = |transport, sent_by: &str, zone| Listener {
        transport,
        address: sent_by.parse().unwrap(),
        sent_by: sent_by.to_owned(),
        zone,
    };
    config.listeners.push(listener(Transport::Tcp, "192.0.2.1:5070", Zone::Core));
    config.listeners.push(listener(Transport::Udp, "[2001:db8::e]:5060", Zone::Peer));
    let core =
        CoreTarget { name: "sip:core.edge.test".into(), address: CORE.parse().unwrap(), transport: Transport::Udp };
    config.core = vec![core];
    // Who is challenged is one of ours.
    let domain = if challenge { "example.com" } else { "edge.test" }.to_owned();
    let sources = vec![("203.0.113.50".parse().unwrap(), 32)];
    let peers = vec![Peer { sources, identities: Vec::new(), trusted: false }];
    Config { domain, challenge, peers, ..config }
}

fn hop() -> Flow {
    Flow { listener: ListenerId(3), ..udp(HOP) }
}

fn receive(world: &mut World, flow: Flow, bytes: Bytes) -> Outcome {
    let before = world.dropped().len();
    world.receive_on(flow, bytes);
    let (responses, requests): (Vec<_>, Vec<_>) = world.sent.drain(..).partition(|sent| !sent.message.is_request());
    let finals = responses.into_iter().filter(|sent| sent.message.status() >= Some(200));
    // What goes to the core by UDP answers a request of the core's own in these plays, or is one that was relayed.
    let relays = flow.remote.ip() == hop().remote.ip();
    let (responses, answers) = finals.partition(|_| relays);
    let dropped = world.dropped().split_off(before).into_iter().map(|dropped| dropped.reason).collect();
    Outcome { answers, requests, responses, dropped }
}

/// A response of the corpus as an answer to a request that went through us.
fn answered(world: &mut World, method: &'static str, response: &[u8]) -> Vec<u8> {
    let mut draft = Draft::new(method, "sip:user@example.edu");
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-asked".to_owned();
    world.receive(CORE, draft.bytes());
    let asked: Message = world.one_to(HOP).message;
    world.sent.clear();
    let status_line = response.windows(2).position(|window| window == b"\r\n").unwrap() + 2;
    let via = format!("Via: {}\r\n", asked.values(Name::Via).next().unwrap());
    [&response[..status_line], via.as_bytes(), &response[status_line..]].concat()
}

/// The message as a strict router gets it: its one Route entry for Request-URI, and that as the last line.
fn strictly(message: &[u8]) -> Vec<u8> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, rest) = message.split_at(end);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    let route = lines.iter().position(|line| line.starts_with("Route: ")).unwrap();
    let route = lines.remove(route).trim_start_matches("Route: ").trim_matches(['<', '>']);
    let uri = lines[0].split(' ').nth(1).unwrap();
    let (start, last) = (lines[0].replace(uri, route), format!("Route: <{uri}>"));
    let lines: Vec<&str> = [&start[..]].into_iter().chain(lines.iter().skip(1).copied()).chain([&last[..]]).collect();
    [lines.join("\r\n").as_bytes(), rest].concat()
}
