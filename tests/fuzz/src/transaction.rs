//! The transaction layer under a user who does what the bytes say: tables stay bounded, a client transaction ends once, and in the
//! end none is left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_sip::transaction::{ClientId, Layer, Output, ServerId};
use cusax_sip::{Compose, Flow, Message, Method};

use super::input::Input;
use super::{pace, wire};

const LIMIT: usize = 12;
/// All timers of RFC 3261 §17 are over.
const LONG: Duration = Duration::from_secs(600);

struct User {
    layer: Layer,
    now: Instant,
    servers: Vec<(ServerId, Message)>,
    clients: Vec<(ClientId, Flow, Message)>,
    /// How often each client transaction has ended, by its owner's tag.
    ends: BTreeMap<u64, u32>,
    next: u64,
}

/// Does what the bytes say.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let (layer, now) = (Layer::new([1, 2], LIMIT), pace::start());
    let (servers, clients, ends) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut user = User { layer, now, servers, clients, ends, next: 1 };
    while !input.is_empty() {
        user.act(&mut input);
        user.drain();
    }
    for (server, request) in std::mem::take(&mut user.servers) {
        user.layer.respond(server, 500, Compose::response(&request, 500, None, Some("end")).empty(), user.now);
    }
    for (client, ..) in std::mem::take(&mut user.clients) {
        user.layer.abandon(client);
    }
    user.drain();
    user.pass(LONG);
    assert_eq!((user.layer.counts(), user.layer.invites()), ((0, 0), (0, 0)), "transactions are left");
    assert_eq!(user.layer.poll_timeout(), None, "a timer is left");
}

impl User {
    fn act(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.byte() % 16 {
            0..=2 => {
                let method = wire::METHODS[input.below(wire::METHODS.len())];
                let (request, flow) = (wire::request(input, method), wire::flow(input));
                self.receive(request, flow);
            }
            3 | 4 => {
                let Some((server, request)) = input.one_of(&self.servers) else { return };
                let status = wire::STATUSES[input.below(wire::STATUSES.len())];
                let bytes = Compose::response(&request, status, None, Some("here")).empty();
                self.layer.respond(server, status, bytes, now);
            }
            5 => {
                let Some((server, request)) = input.one_of(&self.servers) else { return };
                let tag = self.layer.stateless_tag(&request);
                let bytes = Compose::response(&request, 403, None, Some(&tag)).empty();
                self.layer.respond_once(server, bytes);
            }
            6 => {
                let Some((server, _)) = input.one_of(&self.servers) else { return };
                self.layer.ignore(server);
            }
            7 | 8 => self.open(input),
            9 | 10 => {
                let Some((_, flow, request)) = input.one_of(&self.clients) else { return };
                let response = wire::response(input, &request);
                let flow = if input.byte() & 3 == 0 { wire::flow(input) } else { flow };
                self.receive(response, flow);
            }
            11 => {
                let Some((client, ..)) = input.one_of(&self.clients) else { return };
                self.layer.cancel(client, &[("Reason", "SIP;cause=200")], now);
            }
            12 => match input.one_of(&self.clients) {
                Some((_, flow, request)) if input.byte() & 1 == 0 => {
                    let cut = usize::from(input.number()) % (request.bytes().len() + 1);
                    self.layer.handle_bounced(&flow, &request.bytes()[..cut]);
                }
                _ => self.layer.handle_unreachable(&wire::flow(input)),
            },
            13 => {
                let time = Duration::from_millis(u64::from(input.number()));
                self.pass(time);
            }
            14 => {
                let (flow, bytes) = (wire::flow(input), input.piece());
                self.receive(Bytes::copy_from_slice(bytes), flow);
            }
            _ => {
                let Some((client, ..)) = input.one_of(&self.clients) else { return };
                self.layer.abandon(client);
            }
        }
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let method = [Method::Invite, Method::Options, Method::Bye, Method::Other][input.below(4)];
        let flow = wire::flow(input);
        let full = self.layer.counts().0 >= LIMIT;
        let opened = self.layer.open(method, flow, self.next, None);
        assert_eq!(opened.is_none(), full, "a table is full or it is not");
        let Some((client, branch)) = opened else { return };
        let request = Compose::request(method.as_str(), "sip:bob@example.com")
            .header("Via", &format!("SIP/2.0/UDP 192.0.2.1;branch={branch}"))
            .header("From", "<sip:alice@example.com>;tag=1")
            .header("To", "<sip:bob@example.com>")
            .header("Call-ID", "out")
            .header("CSeq", &format!("1 {}", method.as_str()))
            .empty();
        self.layer.start(client, request.clone(), self.now);
        self.clients.push((client, flow, wire::readable(&request)));
        self.ends.insert(self.next, 0);
        self.next += 1;
    }

    fn receive(&mut self, bytes: Bytes, flow: Flow) {
        if let Ok(message) = Message::parse(bytes) {
            self.layer.handle_message(message, flow, self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        let mut now = self.now;
        pace::pass(
            self,
            &mut now,
            time,
            |user| user.layer.poll_timeout(),
            |user, now| {
                user.now = now;
                user.layer.handle_timeout(now);
                user.drain();
            },
        );
        self.now = now;
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Transmit { transmit, .. } => drop(wire::readable(&transmit.bytes)),
                Output::Request { server, message, .. } => self.servers.push((server, (*message).clone())),
                Output::Response { owner, message, .. } => {
                    let many = message.method() == Method::Invite && message.status() < Some(300);
                    if message.status() >= Some(200) && !many {
                        self.end(owner);
                    }
                }
                Output::TimedOut { owner, .. } | Output::Unreachable { owner, .. } => self.end(owner),
                Output::Ack { .. }
                | Output::Absorbed { .. }
                | Output::Unacknowledged { .. }
                | Output::Dropped { .. } => {}
            }
        }
        let ((clients, servers), (invite_clients, invite_servers)) = (self.layer.counts(), self.layer.invites());
        // Each CANCEL has its INVITE.
        assert!(clients <= 2 * LIMIT && servers <= LIMIT, "{clients} clients, {servers} servers");
        assert!(invite_clients <= clients && invite_servers <= servers);
    }

    /// The owner of a CANCEL is that of its INVITE, and hears nothing of it.
    fn end(&mut self, owner: u64) {
        let Some(ends) = self.ends.get_mut(&owner) else { panic!("the end of something that never began: {owner}") };
        *ends += 1;
        assert_eq!(*ends, 1, "client transaction {owner} ended twice");
    }
}
