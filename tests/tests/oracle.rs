//! rsip as an oracle: what it accepts, we read alike; where we differ, it is on the list.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use bytes::Bytes;
use cusax_sip::{Message, Name, Via};
use proptest::prelude::*;
use rsip::message::HeadersExt;
use rsip::prelude::{ToTypedHeader, UntypedHeader};

/// What both parsers say of a message.
#[derive(Debug, PartialEq)]
struct Reading {
    start: String,
    from: (String, Option<String>),
    to: (String, Option<String>),
    call_id: String,
    cseq: (u32, String),
    via: (String, String, Option<u16>, String),
    body: Vec<u8>,
}

fn ours(bytes: &[u8]) -> Option<Reading> {
    let message = Message::parse(Bytes::copy_from_slice(bytes)).ok().filter(|message| message.defect().is_none())?;
    let address = |name| {
        let address = message.address(name)?;
        Some((address.uri_text.to_owned(), address.params.find("tag").map(str::to_owned)))
    };
    let via = message.values(Name::Via).next().and_then(Via::parse)?;
    let (number, method) = message.cseq()?;
    Some(Reading {
        start: message.status().map_or_else(
            || format!("{} {}", message.method_text(), message.request_uri_text()),
            |status| status.to_string(),
        ),
        from: address(Name::From)?,
        to: address(Name::To)?,
        call_id: message.call_id().to_owned(),
        cseq: (number, method.to_owned()),
        via: (via.transport.to_owned(), via.host.to_owned(), via.port, via.branch().to_owned()),
        body: message.body().to_vec(),
    })
}

fn theirs(bytes: &[u8]) -> Option<Reading> {
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let from = message.from_header().ok()?.typed().ok()?;
    let to = message.to_header().ok()?.typed().ok()?;
    let via = message.via_header().ok()?.typed().ok()?;
    let cseq = message.cseq_header().ok()?.typed().ok()?;
    let port = via.uri.port().map(|port| *port.value());
    Some(Reading {
        start: match &message {
            rsip::SipMessage::Request(request) => format!("{} {}", request.method, request.uri),
            // Not the reason phrase: rsip has its own for each status, without spaces.
            rsip::SipMessage::Response(response) => response.status_code.code().to_string(),
        },
        from: (from.uri.to_string(), from.tag().map(|tag| tag.value().to_owned())),
        to: (to.uri.to_string(), to.tag().map(|tag| tag.value().to_owned())),
        call_id: message.call_id_header().ok()?.value().to_owned(),
        cseq: (cseq.seq, cseq.method.to_string()),
        via: (
            via.transport.to_string(),
            via.uri.host().to_string(),
            port,
            via.branch().map(|branch| branch.value().to_owned()).unwrap_or_default(),
        ),
        body: message.body().clone(),
    })
}

/// A message of the class that rsip is made for: long names, no folding, IPv4 or names, one Via a line, ASCII.
fn plain() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["example.com", "192.0.2.7", "a-b.example.org"]);
    let uri =
        (prop::sample::select(vec!["sip", "sips"]), "[a-z][a-z0-9.]{0,8}", host.clone(), prop::option::of(1024_u16..))
            .prop_map(|(scheme, user, host, port)| {
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                format!("{scheme}:{user}@{host}{port}")
            });
    let via =
        (prop::sample::select(vec!["UDP", "TCP", "TLS"]), host, prop::option::of(1024_u16..), "[a-zA-Z0-9]{1,12}")
            .prop_map(|(transport, host, port, branch)| {
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                format!("Via: SIP/2.0/{transport} {host}{port};branch=z9hG4bK{branch}")
            });
    let method = prop::sample::select(vec!["INVITE", "OPTIONS", "BYE", "REGISTER", "MESSAGE", "SUBSCRIBE"]);
    let display = prop::sample::select(vec!["", "Alice ", "\"Alice B.\" "]);
    let status = prop::sample::select(vec![None, Some("180 Ringing"), Some("200 OK"), Some("404 Not Found")]);
    let ids = ("[a-z0-9]{1,10}", "[a-zA-Z0-9@.-]{1,20}", 1_u32..1 << 31, "[a-z0-9]{0,10}");
    (status, method, (uri.clone(), uri.clone(), uri), prop::collection::vec(via, 1..4), display, ids, "[ -~]{0,40}")
        .prop_map(|(status, method, (target, from, to), vias, display, (tag, call_id, number, to_tag), body)| {
            let start =
                status.map_or_else(|| format!("{method} {target} SIP/2.0"), |status| format!("SIP/2.0 {status}"));
            let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
            format!(
                "{start}\r\n{}\r\nFrom: {display}<{from}>;tag={tag}\r\nTo: <{to}>{to_tag}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {number} {method}\r\nMax-Forwards: 70\r\nContent-Length: {}\r\n\r\n{body}",
                vias.join("\r\n"),
                body.len()
            )
        })
}

fn cases() -> u32 {
    if std::env::var_os("CUSAX_LONG").is_some() { 200_000 } else { 2_000 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_rsip_is_made_for_both_read_alike(text in plain()) {
        let reading = ours(text.as_bytes());
        prop_assert!(reading.is_some(), "{}", text);
        prop_assert_eq!(reading, theirs(text.as_bytes()), "{}", text);
    }
}

/// How the two come apart.
#[derive(Debug, PartialEq)]
enum Verdict {
    Alike,
    /// We read it, rsip does not.
    OursAlone,
    /// rsip takes what is no such message.
    TheirsAlone,
    /// Both do, and rsip reads something else.
    Apart,
}

fn verdict(text: &[u8]) -> Verdict {
    match (ours(text), theirs(text)) {
        (Some(ours), Some(theirs)) if ours == theirs => Verdict::Alike,
        (Some(_), Some(_)) => Verdict::Apart,
        (Some(_), None) => Verdict::OursAlone,
        (None, Some(_)) => Verdict::TheirsAlone,
        (None, None) => panic!("neither reads {:?}", String::from_utf8_lossy(text)),
    }
}

const PLAIN: &str = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n\
    From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
    Content-Length: 2\r\n\r\nhi";

#[test]
fn the_list_of_disagreements_is_complete() {
    use Verdict::{Alike, Apart, OursAlone, TheirsAlone};
    assert_eq!(verdict(PLAIN.as_bytes()), Alike);
    // Each is a reason why rsip reads no packet of the wire path; an entry that changes is news about rsip or about us.
    for (from, to, expected) in [
        ("Via: SIP/2.0/UDP 192.0.2.7:5060", "Via: SIP/2.0/UDP [2001:db8::7]:5060", OursAlone),
        ("sip:bob@example.com SIP", "sip:bob@[2001:db8::7] SIP", OursAlone),
        ("sip:bob@example.com SIP", "tel:+442079460123 SIP", OursAlone),
        ("sip:bob@example.com SIP", "urn:service:sos SIP", OursAlone),
        ("INVITE", "NEWMETHOD", OursAlone),
        ("From: ", "f: ", OursAlone),
        ("Call-ID: ", "i: ", OursAlone),
        ("Via: ", "v: ", OursAlone),
        ("To: ", "To : ", OursAlone),
        ("To: <sip:bob@example.com>", "To:\r\n <sip:bob@example.com>", OursAlone),
        ("<sip:alice@example.com>", "<tel:+14045550101>", OursAlone),
        ("INVITE sip:bob", "invite sip:bob", Apart),
        ("hi", "hi and what follows in the datagram", Apart),
        ("Content-Length: 2", "Content-Length: 2\r\nContent-Length: 3", TheirsAlone),
        ("z9hG4bK1", "z9hG4bK1, SIP/2.0/TCP 192.0.2.8;branch=z9hG4bK2", Alike),
    ] {
        assert!(PLAIN.contains(from), "{from}");
        assert_eq!(verdict(PLAIN.replace(from, to).as_bytes()), expected, "{to}");
    }
}

#[test]
fn a_body_that_is_no_text_is_a_disagreement() {
    let binary = [PLAIN.as_bytes().strip_suffix(b"hi").unwrap(), &b"\xff\xfe"[..]].concat();
    assert_eq!(ours(&binary).unwrap().body, b"\xff\xfe");
    let printed: Vec<u8> = rsip::SipMessage::try_from(binary.as_slice()).unwrap().into();
    assert!(!printed.ends_with(b"\xff\xfe"), "rsip prints binary bodies now");
}
