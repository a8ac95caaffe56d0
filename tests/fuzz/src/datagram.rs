//! One datagram: whatever it is, it is read without a fault, reads the same again, and leaves as it came.

use std::sync::Arc;

use bytes::Bytes;
use cusax_sip::session_id::SessionId;
use cusax_sip::validate::{answerable, request_defect};
use cusax_sip::{Address, Compose, Edit, Glance, Message, Name, Uri, Via, stun};

use super::wire::readable;

/// What an answer may be longer than its request: status line, tag, length, `received` and `rport`, and long names for short.
const ANSWER: usize = 400;

pub(super) const NAMES: [Name; 16] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Contact,
    Name::ContentLength,
    Name::MaxForwards,
    Name::Route,
    Name::RecordRoute,
    Name::Path,
    Name::Authorization,
    Name::CallInfo,
    Name::Privacy,
    Name::PAssertedIdentity,
    Name::Other,
];

/// Reads it.
pub fn target(data: &[u8]) {
    let source = "192.0.2.77:40077".parse().expect("an address");
    if stun::is_stun(data) {
        let answer = stun::answer(data, source);
        assert!(answer.is_none_or(|answer| stun::is_stun(&answer) && answer.len() <= data.len() + 64));
    }
    let _ = Glance::at(data);
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data)) else { return };
    look(&message);
    let again = Message::parse(message.bytes().clone()).expect("what was read is read again");
    assert!(same(&message, &again), "it reads otherwise the second time");
    let message = Arc::new(message);
    assert_eq!(Edit::new(Arc::clone(&message)).finish(), message.bytes(), "untouched, and not as it came");
    let mut stamped = again;
    stamped.stamp(source);
    let stamped = Arc::new(stamped);
    let sent = readable(&Edit::new(Arc::clone(&stamped)).finish());
    assert_eq!(sent.fields().len(), message.fields().len(), "a stamp is part of its Via");
    if let (Some(before), Some(via)) = (message.top_via(), sent.top_via()) {
        assert_eq!(before.branch(), via.branch(), "a stamp leaves the branch");
        let at = via.params.find("received").or(Some(via.host)).map(|at| at.trim_matches(['[', ']']).to_owned());
        assert!(!message.is_request() || at.is_some_and(|at| at == "192.0.2.77"), "an answer finds its way back");
    }
    if message.is_request() && answerable(&message) {
        let answer = Compose::response(&stamped, 400, None, Some("tag")).empty();
        let answer = readable(&answer);
        assert_eq!((answer.status(), answer.defect()), (Some(400), None));
        assert_eq!(answer.values(Name::Via).count(), sent.values(Name::Via).count(), "every hop is on the way back");
        assert!(answer.bytes().len() <= message.bytes().len() + ANSWER, "an answer is larger than is fair");
    }
}

/// Reads all that can be read.
fn look(message: &Message) {
    let bytes = message.bytes().len();
    let mut end = 0;
    for field in message.fields() {
        assert!(end <= field.line().start && field.line().start <= field.name_span().start, "lines in their order");
        assert!(field.name_span().end <= field.value().start && field.value().end <= field.line().end);
        end = field.line().end;
    }
    assert!(end <= message.headers_end() && message.headers_end() <= bytes);
    let _ = (message.method(), message.method_text(), message.first_line(), message.reason(), message.request_uri());
    let _ = (message.top_via(), message.from_tag(), message.to_tag(), message.call_id(), message.cseq());
    let _ = (message.max_forwards(), message.first_other("x"), message.body(), request_defect(message));
    for name in NAMES {
        for value in message.values(name) {
            let _ = (Via::parse(value), SessionId::parse(value));
            let address = Address::parse(value);
            let uri = address.and_then(|address| address.uri()).or_else(|| Uri::parse(value));
            if let Some(uri) = uri {
                let _ = (uri.user_unescaped(), uri.address(), uri.asks_for_tls(), uri.params.find_unquoted("x"));
            }
        }
        let _ = (message.address(name), message.has_option(name, "100rel"));
    }
}

fn same(one: &Message, other: &Message) -> bool {
    let spans = |message: &Message| -> Vec<_> {
        message.fields().iter().map(|field| (field.line(), field.value(), field.name)).collect()
    };
    one.bytes() == other.bytes()
        && one.defect() == other.defect()
        && one.body() == other.body()
        && one.first_line() == other.first_line()
        && spans(one) == spans(other)
}
