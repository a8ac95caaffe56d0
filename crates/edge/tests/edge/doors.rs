//! What comes to the doors and goes no further.

use cusax_event::sip::DropReason;
use cusax_sip::Name;

use crate::draft::Draft;
use crate::world::{ACCESS_SIDE, ALICE, BOB, CORE, STRANGER, Sent, World, udp};

fn swap(draft: &Draft, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(draft.bytes().to_vec()).unwrap();
    assert!(text.contains(from), "{from}");
    text.replace(from, to).into_bytes()
}

#[test]
fn malformed_requests_are_answered_with_400_and_go_nowhere() {
    let draft = Draft::invite("sip:bob@example.com").header("X-Last: 1");
    for (from, to) in [
        ("From: <sip:alice@example.com>;tag=alice1\r\n", ""),
        ("To: <sip:bob@example.com>\r\n", ""),
        ("Call-ID: call-1\r\n", ""),
        ("CSeq: 1 INVITE\r\n", ""),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE"),
        ("Max-Forwards: 70", "Max-Forwards: 300"),
        ("<sip:alice@example.com>;tag", "\"alice <sip:alice@example.com>;tag"),
        ("INVITE sip:bob@example.com SIP", "INVITE <sip:bob@example.com> SIP"),
        ("INVITE sip:bob@example.com SIP", "INVITE sip:bob@exa mple.com SIP"),
        ("INVITE sip:bob@example.com SIP", "INVITE sip:bob@[::1 SIP"),
        ("X-Last: 1", "Call-Info\u{1}: <xmpp:eve@x>;purpose=impp"),
        ("X-Last: 1", "X-Last: 1\rCall-Info: <xmpp:eve@x>;purpose=impp"),
        ("X-Last: 1", "X-Last: 1\nCall-Info: <xmpp:eve@x>;purpose=impp"),
        ("X-Last: 1", "X-Last:\rCall-Info: <xmpp:eve@x>;purpose=impp"),
        ("X-Last: 1", "X-Last: 1\r\n\nCall-Info: <xmpp:eve@x>;purpose=impp"),
        ("X-Last: 1", "X-Last: \0"),
        ("Content-Length: 5", "Content-Length: 5\r\nl: 4"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Content-Length: -5"),
    ] {
        let mut world = World::new();
        assert_eq!(world.status_of(ALICE, swap(&draft, from, to)), 400, "{to:?}");
        assert_eq!(world.sent.len(), 0, "{to:?}");
        world.ends_empty();
    }
}

#[test]
fn other_requests_that_are_refused_say_why() {
    let invite = || Draft::invite("sip:bob@example.com");
    for (bytes, status) in [
        (swap(&invite(), "INVITE sip:bob@example.com SIP/2.0", "INVITE sip:bob@example.com SIP/7.0"), 505),
        (invite().header("Max-Forwards: 0").bytes().to_vec(), 483),
        (invite().header("Proxy-Require: privacy, x").bytes().to_vec(), 420),
    ] {
        let mut world = World::new();
        world.receive(ALICE, bytes);
        let refused = world.one_to(ALICE);
        assert_eq!(refused.message.status(), Some(status), "{}", refused.text());
        assert!(!refused.message.to_tag().is_empty());
        if status == 420 {
            assert_eq!(refused.lines(Name::Unsupported), ["privacy", "x"]);
        }
        assert_eq!(world.sent_to(CORE).len(), 0);
        world.ends_empty();
    }
}

#[test]
fn headers_methods_and_options_that_nobody_knows_pass() {
    let mut world = World::new();
    let draft = Draft::new("NEWMETHOD", "sip:bob@example.com")
        .header("NewFangledHeader:   newfangled value\r\n continued newfangled value")
        .header("Require: something")
        .header("Date: Fri, 01 Jan 2010 16:00:00 EST");
    let draft = draft.to("<unknown:x;y@z?w>").header("Reply-To: <isbn:2983792873>");
    let sent = world.at_core(draft);
    assert_eq!(sent.message.method_text(), "NEWMETHOD");
    assert_eq!(sent.lines(Name::RecordRoute).len(), 2, "who knows whether it makes a dialog");
    for line in [
        "To: <unknown:x;y@z?w>\r\n",
        "Reply-To: <isbn:2983792873>\r\n",
        "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n",
        "Require: something\r\n",
        "Date: Fri, 01 Jan 2010 16:00:00 EST\r\n",
    ] {
        assert!(sent.text().contains(line), "{}", sent.text());
    }
}

#[test]
fn options_to_us_is_answered_here_and_to_others_challenged() {
    let mut world = World::new();
    assert_eq!(world.status_of(STRANGER, Draft::new("OPTIONS", &format!("sip:{ACCESS_SIDE}")).bytes()), 200);
    assert_eq!(
        world.status_of(STRANGER, Draft::new("OPTIONS", "sip:bob@example.com").call_id("2").next().bytes()),
        407
    );
    assert_eq!(world.sent_to(CORE).len(), 0);
    world.ends_empty();
}

#[test]
fn a_core_listener_takes_what_comes_from_the_core_and_nothing_else() {
    for from in ["192.0.2.20:5081", "192.0.2.21:5080", STRANGER] {
        let mut world = World::new();
        let flow = cusax_sip::Flow { listener: udp(CORE).listener, ..udp(from) };
        world.receive_on(flow, Draft::invite("sip:bob@example.com").bytes());
        assert_eq!(world.sent.len(), 0, "{from}");
        assert_eq!(world.dropped()[0].reason, DropReason::Acl, "{from}");
    }
}

#[test]
fn a_peer_listener_takes_peers_only() {
    let draft = Draft::invite("sip:bob@example.com").from("<sip:x@biloxi.example>;tag=1");
    for (from, taken) in [("192.0.2.130:5099", true), ("192.0.2.143:5099", true), ("192.0.2.144:5099", false)] {
        let mut world = World::new();
        world.receive(from, draft.bytes());
        assert_eq!(world.sent_to(CORE).len(), usize::from(taken), "{from}");
    }
}

#[test]
fn garbage_is_dropped_and_counted_and_keepalives_are_not() {
    let bare = swap(&Draft::invite("sip:bob@example.com"), "\r\n", "\n");
    let mut world = World::new();
    for quiet in [&b""[..], b"\r\n\r\n", b"\0\0\0\0"] {
        world.receive(STRANGER, quiet);
    }
    assert!(world.dropped().is_empty());
    let garbage = [
        bare,
        b"\x16\x03\x01\x02\x00".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK\r\n".to_vec(),
        b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n".to_vec(),
        vec![0xff; 1400],
    ];
    for (count, bytes) in (1..).zip(garbage) {
        world.receive(STRANGER, bytes);
        assert_eq!(world.dropped().len(), count);
        assert_eq!(world.dropped()[count - 1].reason, DropReason::Malformed);
    }
    assert_eq!(world.sent.len(), 0);
    world.ends_empty();
}

#[test]
fn a_response_to_nothing_or_with_a_hidden_header_is_dropped() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com"));
    world.sent_to(ALICE);
    let good = String::from_utf8(crate::world::answer(&call.message, 200, "core", &[]).to_vec()).unwrap();
    let branch = call.message.top_via().unwrap().branch().to_owned();
    let (last, other) = (branch.chars().last().unwrap(), if branch.ends_with('0') { '1' } else { '0' });
    let forged = format!("{}{other}", branch.trim_end_matches(last));
    for (bad, reason) in [
        (good.replace(&branch, &forged), DropReason::Unmatched),
        (good.replace("CSeq: 2 INVITE", "CSeq: 2 BYE"), DropReason::Unmatched),
        (good.replace("\r\nContent-Length", "\r\nX\u{1}: y\r\nContent-Length"), DropReason::Malformed),
        (good.replace("Content-Length: 0", "Content-Length: 9"), DropReason::Malformed),
        (good.replace("Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-a2\r\n", ""), DropReason::Malformed),
    ] {
        assert_ne!(bad, good);
        let before = world.dropped().len();
        world.receive(CORE, bad.clone());
        assert_eq!(world.sent_to(ALICE).len(), 0, "{bad}");
        assert_eq!(world.dropped()[before..].iter().map(|drop| drop.reason).collect::<Vec<_>>(), [reason], "{bad}");
    }
    world.receive(CORE, good);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
}

#[test]
fn a_request_that_is_sent_again_is_answered_again_and_worked_on_once() {
    let mut world = World::new();
    let draft = Draft::new("OPTIONS", &format!("sip:{ACCESS_SIDE}"));
    for _ in 0..3 {
        assert_eq!(world.status_of(STRANGER, draft.bytes()), 200);
    }
    let call = world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    world.receive(ALICE, call.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "INVITE");
}

#[test]
fn who_has_proved_nothing_leaves_nothing_behind_and_is_answered_once() {
    for draft in [
        Draft::invite("sip:bob@example.com"),
        Draft::invite("sip:bob@example.com").to("<sip:bob@example.com>;tag=x"),
        Draft::new("REGISTER", "sip:example.com"),
        Draft::invite("http://example.com"),
        Draft::invite("sip:bob@example.com").header("Proxy-Require: x"),
        Draft::new("CANCEL", "sip:bob@example.com"),
    ] {
        let mut world = World::new();
        world.receive(STRANGER, draft.bytes());
        let refused = world.one_to(STRANGER);
        assert!(refused.message.status() >= Some(400));
        assert_eq!(world.edge.counts(), [0; 4], "{}", draft.method);
        // Its ACK is known for what it is, and goes nowhere.
        let dropped = world.dropped().len();
        world.receive(STRANGER, crate::world::ack_to(&draft, &refused));
        assert_eq!(world.dropped().len() - dropped, usize::from(draft.to.contains("tag=")));
        world.pass(std::time::Duration::from_secs(40));
        assert!(world.sent.is_empty(), "{}", draft.method);
    }
}

#[test]
fn who_was_not_asked_does_not_answer_and_does_not_cancel() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com"));
    world.sent_to(ALICE);
    // bob sees the branches of the whole path.
    let forged = crate::world::answer(&call.message, 200, "bob", &[]);
    world.receive(BOB, forged);
    assert!(world.sent_to(ALICE).is_empty());
    assert_eq!(world.dropped().last().map(|dropped| dropped.reason), Some(DropReason::Unmatched));
    let mut cancel = Draft::new("CANCEL", "sip:bob@example.com");
    cancel.cseq = 2;
    cancel.via = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-a2".to_owned();
    world.receive(BOB, cancel.bytes());
    world.core_answers(&call, 180, &[]);
    assert!(world.sent_to(CORE).is_empty(), "no CANCEL");
    world.receive(ALICE, cancel.header("Reason: SIP;cause=200;text=\"elsewhere\"").bytes());
    let cancelled = world.one_to(CORE);
    assert_eq!(cancelled.message.method_text(), "CANCEL");
    assert_eq!(cancelled.lines(Name::Reason), ["SIP;cause=200;text=\"elsewhere\""]);
}

#[test]
fn a_loop_ends_at_its_first_round_and_a_spiral_goes_on() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com"));
    world.core_answers(&call, 100, &[]);
    // The core sends it to a place that leads back to it.
    let looping = |world: &mut World, sent: &Sent, uri: &str, round: usize| {
        let text =
            sent.text().replace(&format!("INVITE {} ", sent.message.request_uri_text()), &format!("INVITE {uri} "));
        let via = format!("Via: SIP/2.0/UDP {CORE};branch=z9hG4bK-loop{round}\r\nVia: SIP/2.0/UDP");
        world.receive(CORE, text.replacen("Via: SIP/2.0/UDP", &via, 1));
    };
    looping(&mut world, &call, &format!("sip:x@{CORE}"), 1);
    let round = world.one_to(CORE);
    looping(&mut world, &round, &format!("sip:x@{CORE}"), 2);
    let answers: Vec<_> = world.sent_to(CORE).iter().filter_map(|sent| sent.message.status()).collect();
    assert!(answers.contains(&482), "{answers:?}");
}

#[test]
fn what_a_datagram_brings_along_is_no_message_on_a_stream() {
    let mut settings = crate::world::config();
    settings.listeners[1].transport = cusax_sip::Transport::Tcp;
    settings.core[0].transport = cusax_sip::Transport::Tcp;
    let mut world = World::with(settings);
    let inner = "INVITE sip:+19005551234@example.com SIP/2.0\r\nP-Asserted-Identity: <sip:boss@example.com>\r\n\r\n";
    let draft = Draft::new("OPTIONS", "sip:bob@example.com").from("<sip:x@biloxi.example>;tag=1");
    let options = String::from_utf8(draft.bytes().to_vec()).unwrap().replace("Content-Length: 0\r\n\r\n", "\r\n");
    world.receive("192.0.2.130:5099", format!("{options}{inner}"));
    let sent = world.sent_to(CORE);
    assert_eq!(sent.len(), 1);
    for sent in &sent {
        let bytes = sent.message.bytes();
        assert_eq!(cusax_sip::framing::frame(bytes), cusax_sip::framing::Frame::Message(bytes.len()));
    }
    // It goes on as one message with a body.
    assert!(sent.iter().all(|sent| sent.message.body() == inner.as_bytes()));
}

#[test]
fn a_name_in_latin_1_does_not_lose_the_call() {
    let mut world = World::new();
    let draft = Draft::invite("sip:bob@example.com").from("\"Jos? <x>\" <sip:alice@example.com>;tag=1");
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| if *byte == b'?' { 0xe9 } else { *byte }).collect::<Vec<_>>();
    world.receive(ALICE, latin(&draft.bytes()));
    let challenged = world.one_to(ALICE);
    let from = b"From: \"Jos\xe9 <x>\" <sip:alice@example.com>;tag=1\r\n";
    let holds = |bytes: &[u8]| bytes.windows(from.len()).any(|window| window == from);
    assert!(challenged.message.status() == Some(407) && holds(challenged.message.bytes()));
    let credentials = world.credentials(&challenged, "alice", &draft);
    world.receive(ALICE, latin(&draft.next().header(&credentials).bytes()));
    assert!(holds(world.one_to(CORE).message.bytes()));
}

#[test]
fn transactions_are_counted_by_role_and_kind() {
    let mut world = World::new();
    world.at_core(Draft::invite("sip:bob@example.com"));
    let [servers, clients] = world.edge.transactions();
    assert_eq!((servers, clients), ([1, 0], [1, 0]));
    world.ends_empty();
}

/// RFC 3261 §16.3 step 3: all but OPTIONS to ourselves, which goes no further.
#[test]
fn a_request_without_another_hop_is_483_whatever_its_method() {
    for method in ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH", "REFER", "BYE", "NEW"]
    {
        let mut world = World::new();
        let draft = Draft::new(method, "sip:bob@example.com").header("Max-Forwards: 0");
        assert_eq!(world.status_of(STRANGER, draft.bytes()), 483, "{method}");
    }
    let options = Draft::new("OPTIONS", &format!("sip:{ACCESS_SIDE}")).header("Max-Forwards: 0");
    assert_eq!(World::new().status_of(STRANGER, options.bytes()), 200);
}

#[test]
fn breadth_that_is_no_number_is_the_usual_one() {
    for (value, sent) in [("5", Some("5")), ("0", None), ("x", Some("60")), ("99999999999", Some("60"))] {
        let mut world = World::new();
        world.send(ALICE, "alice", Draft::invite("sip:bob@example.com").header(&format!("Max-Breadth: {value}")));
        let calls = world.sent_to(CORE);
        assert_eq!(calls.first().and_then(|call| call.message.first(Name::MaxBreadth)), sent, "{value}");
        let refused = world.sent_to(ALICE).iter().any(|sent| sent.message.status() == Some(440));
        assert_eq!(refused, sent.is_none(), "{value}");
    }
}

/// Kamailio takes `invite` for INVITE: a number would be dialled that is no call here.
#[test]
fn a_known_method_in_another_case_is_none_of_a_phone() {
    for method in ["invite", "Invite", "ack", "CANCEl", "bye"] {
        let mut world = World::new();
        let draft = Draft::new(method, "sip:+19005551234@example.com");
        assert_eq!(world.status_of(ALICE, draft.bytes()), 400, "{method}");
        assert!(world.sent_to(CORE).is_empty());
        world.ends_empty();
    }
    for method in ["OTHER", "other", "INVITED"] {
        assert_eq!(World::new().status_of(ALICE, Draft::new(method, "sip:bob@example.com").bytes()), 407, "{method}");
    }
}
