//! What a scan makes of messages, above all of those that hide a header from one parser and show it to another.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use bytes::Bytes;
use cusax_sip::validate::request_defect;
use cusax_sip::{Message, Method, Name};

const HEAD: &str = "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
    Call-ID: c\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n";

fn parse(text: &str) -> Message {
    Message::parse(Bytes::from(text.to_owned())).unwrap()
}

fn with(line: &str) -> Message {
    parse(&format!("MESSAGE sip:b@x SIP/2.0\r\n{HEAD}{line}\r\n\r\n"))
}

#[test]
fn hidden_headers_are_refused() {
    for line in [
        "Call-Info\u{1}: <xmpp:eve@x>;purpose=impp",
        "Call-Info\0: <xmpp:eve@x>;purpose=impp",
        "Call Info: <xmpp:eve@x>;purpose=impp",
        "Call-Info(x): <xmpp:eve@x>;purpose=impp",
        "\u{ff}Call-Info: <xmpp:eve@x>;purpose=impp",
        ": no name",
        "no colon",
        "Subject: a\rP-Asserted-Identity: <sip:boss@x>",
        "Subject:\rP-Asserted-Identity: <sip:boss@x>",
        "Subject: a\nP-Asserted-Identity: <sip:boss@x>",
        "Subject: a\r\r\nP-Asserted-Identity: <sip:boss@x>",
        "Subject: a\n\nP-Asserted-Identity: <sip:boss@x>",
        "Subject: a\r\n\nP-Asserted-Identity: <sip:boss@x>",
        "Subject: a\0b",
        "Subject: a\0",
    ] {
        let defect = with(line).defect();
        assert_eq!(defect.map(|defect| defect.status), Some(400), "{line:?}");
    }
    for start in ["MESSAGE sip:b@x SIP/2.0\n", "MESSAGE sip:b@x SIP/2.0\r\r\n", "MESSAGE sip:b\0@x SIP/2.0\r\n"] {
        let defect = parse(&format!("{start}{HEAD}\r\n")).defect();
        assert_eq!(defect.map(|defect| defect.status), Some(400), "{start:?}");
    }
}

#[test]
fn odd_but_legal_lines_are_read_under_their_name() {
    for line in [
        "Call-Info: <xmpp:eve@x>;purpose=impp",
        "CALL-INFO:<xmpp:eve@x>;purpose=impp",
        "call-info \t : \t <xmpp:eve@x>;purpose=impp \t",
        "Call-Info:\r\n <xmpp:eve@x>;purpose=impp",
        "Call-Info: <xmpp:eve@x>\r\n\t;purpose=impp",
    ] {
        let message = with(line);
        assert_eq!(message.defect(), None, "{line:?}");
        assert!(message.first(Name::CallInfo).unwrap().starts_with("<xmpp:eve@x>"), "{line:?}");
    }
}

#[test]
fn compact_names_are_the_long_ones() {
    let message = parse(
        "MESSAGE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nF: <sip:a@x>;tag=1\r\nt: <sip:b@x>\r\n\
         i: c\r\nCSeq: 1 MESSAGE\r\nk: path\r\nm: <sip:a@a>\r\nl: 2\r\n\r\nhi",
    );
    assert_eq!(request_defect(&message), None);
    assert_eq!((message.from_tag(), message.call_id(), message.body()), ("1", "c", &b"hi"[..]));
    assert!(message.has_option(Name::Supported, "path"));
    assert_eq!(message.address(Name::Contact).unwrap().uri_text, "sip:a@a");
}

#[test]
fn what_is_no_message_is_an_error_and_what_could_be_answered_is_a_defect() {
    let long = format!("OPTIONS sip:x SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(129));
    for bad in ["", "\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "OPTIONS sip:x SIP/2.0\r\nX: y\r\n", &long] {
        assert!(Message::parse(Bytes::from(bad.to_owned())).is_err(), "{bad:?}");
    }
    for (line, status) in [
        ("MESSAGE sip:b@x SIP/7.0", 505),
        ("MESSAGE sip:b@x;lr ;x=y SIP/2.0", 400),
        ("MESSAGE <sip:b@x> SIP/2.0", 400),
        ("MESSAGE  sip:b@x SIP/2.0", 400),
    ] {
        let defect = parse(&format!("{line}\r\n{HEAD}\r\n")).defect();
        assert_eq!(defect.map(|defect| defect.status), Some(status), "{line}");
    }
}

#[test]
fn every_mandatory_header_is_there_once_and_well_formed() {
    let whole = format!("MESSAGE sip:b@x SIP/2.0\r\n{HEAD}\r\n");
    assert_eq!(request_defect(&parse(&whole)), None);
    for line in HEAD.split_inclusive("\r\n").filter(|line| !line.starts_with("Via") && !line.starts_with("Max")) {
        let (without, twice) = (whole.replace(line, ""), whole.replace(line, &line.repeat(2)));
        assert_eq!(request_defect(&parse(&without)).map(|defect| defect.status), Some(400), "without {line}");
        assert_eq!(request_defect(&parse(&twice)).map(|defect| defect.status), Some(400), "twice {line}");
    }
    for (from, to) in [
        ("1 MESSAGE", "1 INVITE"),
        ("1 MESSAGE", "1 message"),
        ("1 MESSAGE", "MESSAGE"),
        ("1 MESSAGE", "+1 MESSAGE"),
        ("1 MESSAGE", "2147483648 MESSAGE"),
        ("<sip:a@x>", "\"a <sip:a@x>"),
        ("<sip:b@x>", "<sip:b@x"),
        ("Forwards: 70", "Forwards: 256"),
        ("Forwards: 70", "Forwards: +7"),
        ("Forwards: 70", "Forwards: x"),
    ] {
        let message = parse(&whole.replace(from, to));
        assert_eq!(request_defect(&message).map(|defect| defect.status), Some(400), "{to}");
    }
}

#[test]
fn the_body_is_as_long_as_its_header_says() {
    for (lines, body, expected) in [
        ("", "abc", Ok("abc")),
        ("l: 0\r\n", "abc", Ok("")),
        ("Content-Length: 2\r\n", "abc", Ok("ab")),
        ("Content-Length: 2\r\nl: 2\r\n", "abc", Ok("ab")),
        ("Content-Length: 2\r\nl: 3\r\n", "abc", Err(400)),
        ("Content-Length: 4\r\n", "abc", Err(400)),
        ("Content-Length: -1\r\n", "abc", Err(400)),
        ("Content-Length: +1\r\n", "abc", Err(400)),
        ("Content-Length: 99999999999999999999\r\n", "abc", Err(400)),
    ] {
        let message = parse(&format!("MESSAGE sip:b@x SIP/2.0\r\n{HEAD}{lines}\r\n{body}"));
        let found = message.defect().map_or(Ok(message.body()), |defect| Err(defect.status));
        assert_eq!(found, expected.map(str::as_bytes), "{lines:?}");
    }
}

#[test]
fn methods_are_case_sensitive_and_unknown_ones_keep_their_text() {
    let unknown = parse("NeWmEthod! sip:b@x SIP/2.0\r\n\r\n");
    assert_eq!((unknown.method(), unknown.method_text()), (Method::Other, "NeWmEthod!"));
    assert_eq!(parse("invite sip:b@x SIP/2.0\r\n\r\n").method(), Method::Other);
}
