//! What phones and core servers say.

use bytes::Bytes;
use cusax_sip::digest::{Challenge, Credentials, Qop};
use cusax_sip::{Compose, Flow};

use super::super::input::Input;
use super::super::wire::METHODS;
use super::World;
use super::cast::{self, USERS};

const TARGETS: [&str; 12] = [
    "sip:example.com",
    "sip:bob@example.com",
    "sip:alice@example.com",
    "sip:+19005550123@example.com;user=phone",
    "tel:+14045550123",
    "tel:+4930123456",
    "sip:911@example.com",
    "urn:service:sos",
    "sip:standup@conference.example.com",
    "sip:+14045550900@example.com",
    "sip:carol@biloxi.example",
    "sips:bob@example.com",
];
/// Header lines that matter to an edge.
const LINES: [(&str, &str); 20] = [
    ("Call-Info", "<xmpp:eve@evil.example>;purpose=impp"),
    ("Call-Info", "<http://x/i.png>;purpose=icon, <xmpp:eve@evil.example>;PURPOSE=\"impp\""),
    ("P-Asserted-Identity", "<sip:ceo@example.com>"),
    ("P-Preferred-Identity", "<sip:alice@example.com>"),
    ("Privacy", "id;critical"),
    ("Session-ID", "ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000"),
    ("Require", "100rel"),
    ("Supported", "100rel, timer, outbound, path"),
    ("Proxy-Require", "sec-agree"),
    ("Expires", "0"),
    ("Reason", "SIP;cause=200"),
    ("Route", "<sip:192.0.2.1:5060;lr>"),
    ("Route", "<sip:elsewhere.example;lr>"),
    ("Route", "<sip:192.0.2.20:5080>"),
    ("Record-Route", "<sip:192.0.2.66;lr>"),
    ("Max-Breadth", "1"),
    ("Contact", "<sip:alice@198.51.100.1:5060>"),
    ("Contact", "*"),
    ("Warning", "399 x \"y\""),
    ("RAck", "1 1 INVITE"),
];

/// A phone's request, and the flow it comes on.
pub(super) fn of_a_phone(world: &World, input: &mut Input<'_>) -> (Bytes, Flow) {
    let [kind, target, who, dialog, extra] = [(); 5].map(|()| input.byte());
    let method = METHODS[usize::from(kind) % METHODS.len()];
    let target = TARGETS[usize::from(target) % TARGETS.len()];
    let flow = cast::phone(who);
    let user = USERS[usize::from(who >> 4 & 1)];
    let from = match who >> 5 {
        0 => "<sip:anonymous@anonymous.invalid>".to_owned(),
        1 => "<sip:carol@biloxi.example>".to_owned(),
        _ => format!("<sip:{user}@example.com>"),
    };
    let to = if dialog & 1 == 0 { "" } else { ";tag=there" };
    let whom = if method == "REGISTER" { format!("sip:{user}@example.com") } else { target.to_owned() };
    let mut compose = Compose::request(method, target)
        .header("Via", &format!("SIP/2.0/UDP {};rport;branch=z9hG4bK{}", flow.remote, dialog >> 4))
        .header("Max-Forwards", if dialog & 2 == 0 { "70" } else { "1" })
        .header("From", &format!("{from};tag={}", who & 1))
        .header("To", &format!("<{whom}>{to}"))
        .header("Call-ID", ["one", "two"][usize::from(dialog >> 2 & 1)])
        .header("CSeq", &format!("{} {method}", dialog >> 3))
        .header("Contact", &format!("<sip:{user}@{}>", flow.remote));
    for _ in 0..extra & 3 {
        if let Some(route) = input.one_of(&world.routes) {
            compose = compose.header("Route", &route);
        }
    }
    for _ in 0..extra >> 2 & 3 {
        let (name, value) = LINES[input.below(LINES.len())];
        compose = compose.header(name, value);
    }
    let challenge = world.challenge.as_deref().and_then(Challenge::parse).filter(|_| extra & 16 == 0);
    if let Some(challenge) = challenge {
        let secret = cast::secret(challenge.algorithm, user);
        let qop = Qop { count: 1 + u32::from(input.byte()), cnonce: "c".into() };
        let answer = Credentials::answer(&challenge, user, &secret, method, target, qop).to_string();
        let name = if method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
        compose = compose.header(name, &answer);
    }
    let bytes = if extra & 32 == 0 { compose.empty() } else { compose.body("application/sdp", b"v=0\r\n") };
    (if extra & 192 == 192 { spoilt(&bytes, input) } else { bytes }, flow)
}

/// A core server's request, most of them to a phone.
pub(super) fn of_a_core(world: &World, input: &mut Input<'_>) -> Bytes {
    let [kind, target, dialog] = [(); 3].map(|()| input.byte());
    let method = METHODS[usize::from(kind) % METHODS.len()];
    let targets = ["sip:bob@198.51.100.2:5062", "sip:alice@198.51.100.1:5060", "sip:room@conference.example.com"];
    let to = if dialog & 1 == 0 { "" } else { ";tag=there" };
    let mut compose = Compose::request(method, targets[usize::from(target) % targets.len()])
        .header("Via", &format!("SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bKc{}", dialog >> 4))
        .header("Max-Forwards", "68")
        .header("From", "<sip:alice@example.com>;tag=c")
        .header("To", &format!("<sip:bob@example.com>{to}"))
        .header("Call-ID", ["one", "three"][usize::from(dialog >> 2 & 1)])
        .header("CSeq", &format!("7 {method}"))
        .header("P-Asserted-Identity", "<sip:alice@example.com>");
    for _ in 0..1 + (target >> 6) {
        if let Some(route) = input.one_of(&world.routes) {
            compose = compose.header("Route", &route);
        }
    }
    compose.empty()
}

/// The same with some of it written over, cut out or put in.
fn spoilt(bytes: &Bytes, input: &mut Input<'_>) -> Bytes {
    let mut spoilt = bytes.to_vec();
    let at = usize::from(input.number()) % spoilt.len();
    let end = (at + input.below(12)).min(spoilt.len());
    let length = input.below(24);
    let piece: Vec<u8> = (0..length).map(|_| input.byte()).collect();
    spoilt.splice(at..end, piece);
    spoilt.into()
}
