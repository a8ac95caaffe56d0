//! Laws of scanning, editing and framing, for messages that are well made, mutated, and garbage.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

use std::sync::Arc;

use bytes::Bytes;
use cusax_sip::framing::{Frame, frame};
use cusax_sip::validate::{answerable, request_defect};
use cusax_sip::{Address, Compose, Edit, Message, Name, Uri, Via};
use proptest::prelude::*;

const LINES: [&str; 14] = [
    "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP b.example;branch=z9hG4bK2",
    "v: SIP/2.0/TLS c.example ;branch=z9hG4bK3",
    "From: \"A \\\"l\\\" <ice>\" <sip:alice@example.com;x=1>;tag=1",
    "To : <sip:bob@example.com>",
    "Call-ID: a@b",
    "CSeq: 1 MESSAGE",
    "Max-Forwards: 70",
    "Call-Info: <http://x/a,b>;purpose=icon,\r\n <xmpp:eve@x>;purpose=impp , <c:d>;p=\"x,y\"",
    "call-info:<xmpp:eve@x>;purpose=impp",
    "Route: <sip:a;lr>,<sip:b;lr>",
    "Record-Route: <sip:a;lr>",
    "X-Odd:   kept \r\n\tas it is  ",
    "Subject: na\u{ef}ve",
    "P-Asserted-Identity: <sip:boss@example.com>",
];

/// A request with some of these lines in any order, and a body of any bytes.
fn well_made() -> impl Strategy<Value = Bytes> {
    let lines = prop::sample::subsequence(LINES.to_vec(), 0..=LINES.len()).prop_shuffle();
    (lines, prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(lines, body, request)| {
        let start = if request { "MESSAGE sip:bob@example.com SIP/2.0" } else { "SIP/2.0 200 All right" };
        let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("{start}\r\n{head}Content-Length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat().into()
    })
}

/// A message with a few bytes changed, cut out or put in.
fn mutated() -> impl Strategy<Value = Bytes> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            &b"\r\n"[..],
            b"\n",
            b"\r",
            b"\0",
            b"\"",
            b"<",
            b">",
            b":",
            b",",
            b";",
            b"\\",
            b"%",
            b"\xff"
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let change = (any::<prop::sample::Index>(), 0_usize..4, prop::collection::vec(piece, 0..3));
    (well_made(), prop::collection::vec(change, 1..6)).prop_map(|(message, changes)| {
        let mut bytes = message.to_vec();
        for (at, cut, put) in changes {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put.concat());
        }
        bytes.into()
    })
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![mutated(), well_made(), prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)]
}

/// Asks everything of a message that may be asked.
fn look_at(message: &Message) {
    let _ = (request_defect(message), answerable(message), message.first_line(), message.reason(), message.body());
    let _ = (message.method(), message.method_text(), message.request_uri(), message.status(), message.cseq());
    let _ = (message.from_tag(), message.to_tag(), message.call_id(), message.max_forwards(), message.top_via());
    for name in [Name::Via, Name::From, Name::To, Name::CallInfo, Name::Route, Name::Subject, Name::Other] {
        for value in message.values(name) {
            let _ = (Via::parse(value), Uri::parse(value), cusax_sip::digest::Credentials::parse(value).is_some());
            let address = Address::parse(value);
            let _ = address.map(|address| (address.display_name().len(), address.params.iter().count()));
            let _ = address.and_then(|address| address.uri()).map(|uri| (uri.user_unescaped().len(), uri.address()));
            let _ = cusax_sip::session_id::SessionId::parse(value);
            let _ = cusax_sip::digest::Challenge::parse(value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_scan_fall(bytes in any_bytes()) {
        let _ = frame(&bytes);
        if let Ok(mut message) = Message::parse(bytes) {
            look_at(&message);
            message.stamp("198.51.100.1:5060".parse().unwrap());
            let _ = Compose::response(&message, 400, None, Some("tag")).empty();
        }
    }

    #[test]
    fn an_untouched_message_leaves_as_it_came(bytes in any_bytes()) {
        if let Ok(message) = Message::parse(bytes.clone()) {
            let kept = message.bytes().clone();
            prop_assert!(bytes.windows(kept.len()).any(|window| window == kept));
            prop_assert_eq!(Edit::new(Arc::new(message)).finish(), kept);
        }
    }

    #[test]
    fn a_well_made_message_is_read_whole(bytes in well_made()) {
        let message = Message::parse(bytes.clone()).unwrap();
        prop_assert_eq!(message.defect(), None);
        prop_assert_eq!(message.bytes(), &bytes);
        prop_assert_eq!(frame(&bytes), Frame::Message(bytes.len()));
    }

    #[test]
    fn what_an_edit_says_is_there_and_nothing_else_changed(bytes in any_bytes()) {
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        // What has a defect is answered, never edited and sent on.
        if message.defect().is_some() {
            return Ok(());
        }
        let message = Arc::new(message);
        let mut edit = Edit::new(Arc::clone(&message));
        let impp = |value: &str| value.contains("impp");
        let gone = edit.remove_values(Name::CallInfo, |_, value| impp(value));
        edit.push_above(Name::CallInfo, "<xmpp:a@b>;purpose=impp");
        edit.push_above(Name::Via, "SIP/2.0/UDP us;branch=z9hG4bKus");
        edit.push_above(Name::RecordRoute, "<sip:us;lr>");
        edit.remove_all(Name::PAssertedIdentity);
        edit.pop(Name::Route, 1);
        edit.append("X-Last", "1");
        let after = Message::parse(edit.finish()).unwrap();
        prop_assert_eq!(after.defect(), None);
        let values = |message: &Message, name| -> Vec<Vec<u8>> {
            message.value_spans(name).map(|span| message.bytes()[span].to_vec()).collect()
        };
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        let (before_info, after_info) = (values(&message, Name::CallInfo), values(&after, Name::CallInfo));
        prop_assert_eq!(&after_info[0], b"<xmpp:a@b>;purpose=impp");
        let kept: Vec<_> = before_info.iter().filter(|value| !impp(&text(value))).cloned().collect();
        prop_assert_eq!(&after_info[1..], &kept[..]);
        prop_assert_eq!(before_info.len() - kept.len(), gone);
        prop_assert_eq!(&values(&after, Name::Via)[1..], &values(&message, Name::Via)[..]);
        prop_assert_eq!(&values(&after, Name::RecordRoute)[1..], &values(&message, Name::RecordRoute)[..]);
        let routes = values(&message, Name::Route);
        prop_assert_eq!(values(&after, Name::Route), routes.get(1..).unwrap_or_default().to_vec());
        prop_assert!(values(&after, Name::PAssertedIdentity).is_empty());
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq, Name::Subject, Name::MaxForwards, Name::ContentLength] {
            prop_assert_eq!(values(&after, name), values(&message, name));
        }
        prop_assert_eq!(after.body(), message.body());
        prop_assert_eq!(after.first_line(), message.first_line());
    }

    #[test]
    fn what_is_edited_away_is_gone_for_the_strictest_reader(bytes in mutated()) {
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        if message.defect().is_some() {
            return Ok(());
        }
        let mut edit = Edit::new(Arc::new(message));
        edit.remove_all(Name::PAssertedIdentity);
        let after = edit.finish();
        let head = after.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        // A reader that takes any CR or LF for the end of a line, and drops what no name may have.
        for line in after[..head].split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty()) {
            if matches!(line[0], b' ' | b'\t') {
                continue;
            }
            let name = line.split(|byte| *byte == b':').next().unwrap();
            let name: Vec<u8> = name.iter().copied().filter(|byte| byte.is_ascii_graphic()).collect();
            prop_assert!(!name.eq_ignore_ascii_case(b"P-Asserted-Identity"), "{:?}", after);
        }
    }

    #[test]
    fn a_stream_is_framed_alike_however_it_is_cut(
        messages in prop::collection::vec(well_made(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = messages.concat();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut buffer, mut fed, mut found) = (Vec::new(), 0, Vec::new());
        for end in ends {
            buffer.extend_from_slice(&stream[fed..end]);
            fed = end;
            loop {
                match frame(&buffer) {
                    Frame::Message(length) => found.push(Bytes::from(buffer.drain(..length).collect::<Vec<_>>())),
                    Frame::Incomplete => break,
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        prop_assert_eq!(found, messages);
    }

    #[test]
    fn a_frame_is_exactly_what_a_scan_takes(bytes in mutated()) {
        if let Frame::Message(length) = frame(&bytes)
            && let Ok(message) = Message::parse(bytes.slice(..length))
            && message.defect().is_none()
        {
            // Else the next element would find another message behind this one.
            let leading = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            prop_assert_eq!(message.bytes().len(), length - leading);
        }
    }

    #[test]
    fn a_parameter_or_quoted_text_comes_back(text in "\\PC{0,20}") {
        let quoted = cusax_sip::value::quote(&text);
        prop_assert_eq!(cusax_sip::value::unquote(&quoted), text.as_str());
        let escaped = cusax_sip::uri::escape_user(&text);
        prop_assert_eq!(cusax_sip::uri::unescape(&escaped), text.as_str());
    }
}

fn cases() -> u32 {
    if std::env::var_os("CUSAX_LONG").is_some() { 200_000 } else { 1_000 }
}
