//! Who calls, as others learn it: Call-Info, P-Asserted-Identity, Privacy, and what user agents may not say themselves.

use cusax_edge::config::{Forged, Reach};
use cusax_event::Event;
use cusax_event::sip::{CallInfoAction, CallInfoReason};
use cusax_sip::{Message, Name};

use crate::dialog::{call, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, STRANGER, Sent, World, answer, config, udp};

const OURS: &str = "<xmpp:alice@example.com>;purpose=impp";
const PEER: &str = "192.0.2.130:5099";
const TRUSTED_PEER: &str = "192.0.2.162:5099";

fn call_infos(world: &World) -> Vec<(CallInfoAction, CallInfoReason)> {
    let told = |event: &Event| if let Event::CallInfo(told) = event { Some((told.action, told.reason)) } else { None };
    world.events.iter().filter_map(told).collect()
}

fn is_first_call_info(sent: &Sent) -> bool {
    sent.message
        .lines(Name::CallInfo)
        .next()
        .is_some_and(|field| &sent.message.bytes()[field.line()] == format!("Call-Info: {OURS}\r\n").as_bytes())
}

#[test]
fn a_call_leaves_with_the_callers_jid_first_and_without_his_credentials() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com").header("Call-Info: <http://x/a.png>;purpose=icon"));
    assert!(is_first_call_info(&call), "{}", call.text());
    assert_eq!(call.lines(Name::CallInfo), [OURS, "<http://x/a.png>;purpose=icon"]);
    assert_eq!(call.lines(Name::ProxyAuthorization).len(), 0);
    assert_eq!(call.lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"]);
    assert_eq!(call.message.max_forwards(), Some(69));
    assert_eq!(call_infos(&world), [(CallInfoAction::Inserted, CallInfoReason::Trusted)]);
}

#[test]
fn credentials_for_another_realm_pass() {
    let other = "Digest username=\"a\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:b\", response=\"r\"";
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com").header(&format!("Proxy-Authorization: {other}")));
    assert_eq!(call.lines(Name::ProxyAuthorization), [other]);
}

#[test]
fn a_forged_value_goes_and_its_neighbours_stay() {
    let cases: [(&str, &[&str]); 9] = [
        ("Call-Info: <http://x/a.png>;purpose=icon, <xmpp:eve@x>;purpose=impp", &["<http://x/a.png>;purpose=icon"]),
        ("Call-Info: <xmpp:eve@x>;purpose=impp,<http://x/a.png>;purpose=icon", &["<http://x/a.png>;purpose=icon"]),
        ("Call-Info: <xmpp:eve@x> ;Purpose=\"IMPP\"", &[]),
        ("call-info : <xmpp:eve@x>;x=\"a,b\";purpose=impp", &[]),
        ("Call-Info: <xmpp:eve@x>\r\n ;purpose=\r\n\timpp", &[]),
        ("Call-Info: <xmpp:eve@x>;purpose=impp\r\nCall-Info: <im:eve@x>;purpose=impp", &[]),
        ("Call-Info: xmpp:eve@x;purpose=impp", &[]),
        ("Call-Info: \"Eve>\" <xmpp:eve@x>;purpose=impp", &[]),
        (
            "Call-Info: <x:EmergencyCallData>;purpose=EmergencyCallData.ServiceInfo",
            &["<x:EmergencyCallData>;purpose=EmergencyCallData.ServiceInfo"],
        ),
    ];
    for (line, kept) in cases {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com").header(line));
        let values = call.lines(Name::CallInfo);
        assert_eq!((values[0], &values[1..]), (OURS, kept), "{line}");
        assert!(!call.text().contains("eve@x"), "{line}");
    }
}

#[test]
fn a_forged_value_that_is_not_utf8_goes_as_well() {
    let mut world = World::new();
    let draft = world.send_raw_call(b"Call-Info: <xmpp:eve@x>;purpose=impp;x=\xff, <http://x/\xfe>;purpose=icon\r\n");
    assert_eq!(draft.lines(Name::CallInfo)[0], OURS);
    assert!(!draft.text().contains("eve@x"));
    let kept = b"Call-Info: <http://x/\xfe>;purpose=icon\r\n";
    assert!(draft.message.bytes().windows(kept.len()).any(|window| window == kept), "{}", draft.text());
}

#[test]
fn a_forged_value_is_refused_where_the_operator_says_so() {
    let mut settings = config();
    settings.caller.forged = Forged::Reject;
    let mut world = World::with(settings);
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com").header("Call-Info: <xmpp:eve@x>;purpose=impp"));
    assert_eq!(world.one_to(ALICE).message.status(), Some(403));
    assert_eq!(world.sent_to(CORE).len(), 0);
}

#[test]
fn nothing_is_said_of_a_caller_who_wants_to_stay_unknown() {
    for (privacy, hidden) in [
        ("Privacy: id", true),
        ("Privacy: user", true),
        ("privacy: none;ID", true),
        ("Privacy: header; session", true),
        ("Privacy: critical", true),
        ("Privacy: none", false),
        ("Privacy: history", false),
    ] {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com").header(privacy));
        assert_eq!(call.lines(Name::CallInfo).is_empty(), hidden, "{privacy}");
        assert_eq!(call.lines(Name::PAssertedIdentity).len(), 1, "the core is trusted: {privacy}");
        assert_eq!(call.lines(Name::Privacy).len(), 1, "{privacy}");
    }
}

#[test]
fn an_anonymous_caller_is_let_through_once_he_is_verified() {
    let mut world = World::new();
    let draft = Draft::invite("sip:bob@example.com").from("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1");
    let call = world.at_core(draft);
    assert_eq!(call.lines(Name::CallInfo).len(), 0);
    assert_eq!(call.lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"]);
    assert_eq!(call_infos(&world), [(CallInfoAction::Skipped, CallInfoReason::Anonymous)]);
}

#[test]
fn from_must_be_the_accounts() {
    for (from, status) in [
        ("<sip:alice@example.com>;tag=1", None),
        ("<sip:alice@EXAMPLE.com:5060>;tag=1", None),
        ("<sip:%61lice@example.com>;tag=1", None),
        ("<sip:+14045550101@example.com>;tag=1", None),
        ("<sip:bob@example.com>;tag=1", Some(403)),
        ("<sip:Alice@example.com>;tag=1", Some(403)),
        ("<sip:alice;x@example.com>;tag=1", Some(403)),
        ("<sip:example.com>;tag=1", Some(403)),
        ("<sip:alice@example.com.evil.example>;tag=1", Some(407)),
    ] {
        let mut world = World::new();
        let draft = Draft::invite("sip:+14045550199@example.com").from(from);
        let bytes = draft.bytes();
        world.receive(ALICE, bytes);
        let first = world.one_to(ALICE).message.status();
        let found = if first == Some(407) {
            world.send(ALICE, "alice", draft.call_id("again"));
            world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).find(|status| *status != 100)
        } else {
            // A stranger's From is not challenged: he has no account here, and numbers are not for him.
            assert_eq!(first, Some(404), "{from}");
            Some(407)
        };
        assert_eq!(found, status, "{from}");
    }
}

#[test]
fn a_stranger_reaches_users_and_no_numbers() {
    let from = "<sip:carol@elsewhere.example>;tag=1";
    for (uri, open, status) in [
        ("sip:bob@example.com", true, None),
        ("sip:bob@example.com", false, Some(403)),
        ("sip:+14045550199@example.com", true, Some(404)),
        ("sip:+19005551234@example.com", true, Some(404)),
        ("sip:11111111111111111111111111111111111111111@example.com", true, Some(404)),
        ("sip:nobody@example.com", true, Some(404)),
        ("tel:+14045550199", true, Some(403)),
        ("sip:carol@elsewhere.example", true, Some(403)),
    ] {
        let mut settings = config();
        settings.federation = open;
        let mut world = World::with(settings);
        let draft = Draft::invite(uri).from(from).header("Call-Info: <xmpp:alice@example.com>;purpose=impp");
        world.receive(STRANGER, draft.bytes());
        let answered = world.sent_to(STRANGER).iter().filter_map(|s| s.message.status()).find(|code| *code != 100);
        assert_eq!(answered, status, "{uri} {open}");
        let calls = world.sent_to(CORE);
        assert_eq!(calls.len(), usize::from(status.is_none()), "{uri}");
        for call in calls {
            assert_eq!(call.lines(Name::CallInfo).len(), 0);
            assert_eq!(call.lines(Name::PAssertedIdentity).len(), 0);
        }
    }
}

const CLAIMS: [&str; 8] = [
    "P-Asserted-Identity: <sip:boss@example.com>, <tel:+14045550100>",
    "Remote-Party-ID: <sip:boss@example.com>;screen=yes",
    "P-Access-Network-Info: forged",
    "P-Charging-Vector: forged",
    "P-Charging-Function-Addresses: forged",
    "Alert-Info: <urn:alert:source:internal>",
    "Path: <sip:evil;lr>",
    "Service-Route: <sip:evil;lr>",
];

#[test]
fn what_only_trusted_elements_may_say_is_taken_away() {
    for claim in CLAIMS {
        let (name, value) = claim.split_once(": ").unwrap();
        for line in [claim.to_owned(), format!("{} : {value}", name.to_uppercase()), format!("{name}:\r\n {value}")] {
            let mut world = World::new();
            let call = world.at_core(Draft::invite("sip:bob@example.com").header(&line).header("X-Ours: stays"));
            assert!(!call.text().contains(value), "{line}: {}", call.text());
            assert!(call.text().contains("X-Ours: stays\r\n"));
        }
        for (peer, stays) in [(PEER, false), (TRUSTED_PEER, true)] {
            let mut world = World::new();
            let draft = Draft::invite("sip:bob@example.com").from("<sip:x@biloxi.example>;tag=1").header(claim);
            world.receive(peer, draft.bytes());
            assert_eq!(world.one_to(CORE).text().contains(value), stays, "{peer} {claim}");
        }
    }
}

#[test]
fn the_ack_of_a_call_says_no_more_than_its_invite() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    let mut ack = within("ACK", "sip:bob@192.0.2.20:5080", &callers_routes(&answered));
    for claim in CLAIMS {
        ack = ack.header(claim);
    }
    let stolen = "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"n\", \
        uri=\"sip:b\", response=\"00\"";
    ack = ack.header(stolen).header("Call-Info: <xmpp:eve@x>;purpose=impp, <http://x>;purpose=icon");
    world.receive(ALICE, ack.bytes());
    let forwarded = world.one_to(CORE);
    assert_eq!(forwarded.lines(Name::PAssertedIdentity).len(), 0, "{}", forwarded.text());
    assert_eq!(forwarded.lines(Name::ProxyAuthorization).len(), 0);
    assert_eq!(forwarded.lines(Name::CallInfo), ["<http://x>;purpose=icon"]);
}

#[test]
fn the_same_rules_hold_for_update_and_message_and_no_other_method() {
    for (method, expected) in [("MESSAGE", 1), ("UPDATE", 1), ("SUBSCRIBE", 0), ("OPTIONS", 0)] {
        let mut world = World::new();
        let request =
            world.at_core(Draft::new(method, "sip:bob@example.com").header("Call-Info: <xmpp:eve@x>;purpose=impp"));
        assert_eq!(request.lines(Name::CallInfo).len(), expected, "{method}");
        assert!(!request.text().contains("eve@x"), "{method}");
    }
}

#[test]
fn a_call_from_the_core_is_named_by_whom_the_core_asserts() {
    for (lines, expected) in [
        (&["P-Asserted-Identity: \"A\" <sip:alice@example.com>"][..], Some(OURS)),
        (&["P-Asserted-Identity: <tel:+14045550101>"], Some(OURS)),
        (&["P-Asserted-Identity: <sip:alice@example.com>", "Privacy: id"], None),
        (&["P-Asserted-Identity: <sip:nobody@example.com>"], None),
        (&["P-Asserted-Identity: <sip:alice@elsewhere.example>"], None),
        (&[], None),
        (&["Call-Info: <xmpp:dave@example.com>;purpose=impp"], Some("<xmpp:dave@example.com>;purpose=impp")),
    ] {
        let mut world = World::new();
        let path = world.path_of(udp(BOB));
        let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
        draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
        for line in lines {
            draft = draft.header(line);
        }
        world.receive(CORE, draft.bytes());
        let call = world.one_to(BOB);
        assert_eq!(call.lines(Name::CallInfo).first().copied(), expected, "{lines:?}");
        let private = lines.contains(&"Privacy: id");
        assert_eq!(
            call.lines(Name::PAssertedIdentity).is_empty(),
            private || !lines.iter().any(|l| l.starts_with("P-A"))
        );
        assert_eq!(call.lines(Name::Route).len(), 0);
    }
}

/// A call from the core to bob, answered by his phone with `line`; what the core hears.
fn callees_answer(reach: Reach, from: &str, line: (&str, &str)) -> (Message, Message) {
    let mut settings = config();
    settings.caller.callee = reach;
    let mut world = World::with(settings);
    let path = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").from(from).routes([path.as_str()].into_iter());
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    world.receive(CORE, draft.bytes());
    let call = world.one_to(BOB);
    world.sent_to(CORE);
    world.receive(BOB, answer(&call.message, 180, "bob", &[line]));
    let ringing = world.one_to(CORE).message;
    world.receive(BOB, answer(&call.message, 200, "bob", &[line, ("Contact", "<sip:bob@198.51.100.2>")]));
    (ringing, world.one_to(CORE).message)
}

#[test]
fn the_callee_is_named_in_answers_to_those_who_may_know() {
    let his = "<xmpp:bob@example.com>;purpose=impp";
    let (own, foreign) = ("<sip:alice@example.com>;tag=1", "<sip:x@elsewhere.example>;tag=1");
    for (reach, from, line, expected) in [
        (Reach::OwnDomain, own, ("X", "y"), Some(his)),
        (Reach::OwnDomain, foreign, ("X", "y"), None),
        (Reach::All, foreign, ("X", "y"), Some(his)),
        (Reach::Off, own, ("X", "y"), None),
        (Reach::OwnDomain, own, ("Privacy", "id"), None),
        (Reach::OwnDomain, own, ("Call-Info", "<xmpp:eve@x>;purpose=impp"), Some(his)),
    ] {
        let (ringing, answered) = callees_answer(reach, from, line);
        for response in [ringing, answered] {
            let values: Vec<_> = response.values(Name::CallInfo).collect();
            assert_eq!(values, expected.into_iter().collect::<Vec<_>>(), "{reach:?} {from} {line:?}");
        }
    }
}

#[test]
fn a_phone_asserts_nobody_in_its_answers() {
    let (ringing, answered) =
        callees_answer(Reach::Off, "<sip:alice@example.com>;tag=1", ("P-Asserted-Identity", "<sip:boss@example.com>"));
    assert_eq!(ringing.first(Name::PAssertedIdentity), None);
    assert_eq!(answered.first(Name::PAssertedIdentity), None);
}

#[test]
fn the_core_asserts_a_callee_to_a_phone_unless_he_wants_to_stay_unknown() {
    for (privacy, expected) in [("none", 1), ("id", 0)] {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com"));
        let lines = [("P-Asserted-Identity", "<sip:bob@example.com>"), ("Privacy", privacy)];
        world.sent_to(ALICE);
        world.core_answers(&call, 200, &lines);
        assert_eq!(world.one_to(ALICE).lines(Name::PAssertedIdentity).len(), expected, "{privacy}");
    }
}

#[test]
fn jids_leave_the_house_only_where_the_operator_lets_them() {
    for (reach, to, expected) in [
        (Reach::OwnDomain, "<sip:bob@example.com>", 1),
        (Reach::OwnDomain, "<sip:carol@elsewhere.example>", 0),
        (Reach::All, "<sip:carol@elsewhere.example>", 1),
    ] {
        let mut settings = config();
        settings.caller.egress = reach;
        let mut world = World::with(settings);
        let call = world.at_core(Draft::invite("sip:bob@example.com").to(to));
        assert_eq!(call.lines(Name::CallInfo).len(), expected, "{reach:?} {to}");
    }
}
