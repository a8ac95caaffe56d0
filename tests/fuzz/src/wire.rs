//! Messages of a small world: few methods, branches and places, so that what does not belong together often seems to.

use std::net::SocketAddr;

use bytes::Bytes;
use cusax_sip::{Compose, ConnectionId, Flow, ListenerId, Message, Transport};

use super::input::Input;

pub(super) const METHODS: [&str; 10] =
    ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "MESSAGE", "invite"];
pub(super) const STATUSES: [u16; 16] = [100, 180, 183, 199, 200, 202, 299, 302, 401, 404, 407, 430, 486, 487, 503, 603];
const HOSTS: [&str; 3] = ["198.51.100.1:5060", "198.51.100.2:5062", "[2001:db8::1]:5060"];

/// A path: UDP, or a stream with its connection.
pub(super) fn flow(input: &mut Input<'_>) -> Flow {
    let at = input.byte();
    let remote: SocketAddr = HOSTS[usize::from(at) % HOSTS.len()].parse().expect("an address");
    let (transport, connection) = match at / 64 {
        0 | 1 => (Transport::Udp, None),
        2 => (Transport::Tcp, Some(ConnectionId(u64::from(at) % 3))),
        _ => (Transport::Tls, Some(ConnectionId(3 + u64::from(at) % 2))),
    };
    Flow { listener: ListenerId(u16::from(at >> 5 & 1)), transport, remote, connection, domain: None }
}

/// A request, well-formed where the bytes do not want otherwise.
pub(super) fn request(input: &mut Input<'_>, method: &str) -> Bytes {
    let [branch, dialog, more] = [input.byte(), input.byte(), input.byte()];
    let cookie = if branch & 0x80 == 0 { "z9hG4bK" } else { "" };
    let via = format!("SIP/2.0/UDP {};branch={cookie}{}", HOSTS[usize::from(branch >> 3) % HOSTS.len()], branch % 8);
    let via = if more & 1 == 0 { via } else { format!("{via};rport, SIP/2.0/TCP a.example;branch=z9hG4bKold") };
    let to = if dialog & 8 == 0 { "<sip:bob@example.com>" } else { "<sip:bob@example.com>;tag=there" };
    let compose = Compose::request(method, "sip:bob@example.com")
        .header("Via", &via)
        .header("Max-Forwards", ["70", "1", "0", "255"][usize::from(more >> 1 & 3)])
        .header("From", &format!("<sip:alice@example.com>;tag={}", dialog & 1))
        .header("To", to)
        .header("Call-ID", ["one", "two"][usize::from(dialog >> 1 & 1)])
        .header("CSeq", &format!("{} {method}", 1 + (dialog >> 4 & 3)));
    let compose = if more & 8 == 0 { compose } else { compose.header("Max-Breadth", &(more >> 4).to_string()) };
    let compose = if more & 16 == 0 { compose } else { compose.header("Require", "100rel, x") };
    compose.empty()
}

/// An answer to a request, which goes astray where the bytes want it.
pub(super) fn response(input: &mut Input<'_>, request: &Message) -> Bytes {
    let status = STATUSES[input.below(STATUSES.len())];
    let tag = ["a", "b"][input.below(2)];
    let bytes = Compose::response(request, status, None, Some(tag)).empty();
    let spoilt = input.byte();
    if spoilt < 224 {
        return bytes;
    }
    let mut bytes = bytes.to_vec();
    let at = usize::from(input.number()) % bytes.len();
    bytes[at] = input.byte();
    bytes.into()
}

/// What is sent must be a message that whoever gets it can read.
pub(super) fn readable(bytes: &Bytes) -> Message {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    Message::parse(bytes.clone()).unwrap_or_else(|error| panic!("{error} in what was sent:\n{}", text()))
}
