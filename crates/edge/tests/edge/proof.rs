//! What a token proves, and what it does not; who speaks for whom.

use cusax_event::sip::DropReason;
use cusax_sip::Name;

use crate::dialog::{call, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, STRANGER, Sent, World, config, udp};

const PEER: &str = "192.0.2.130:5099";
const TRUSTED_PEER: &str = "192.0.2.162:5099";

/// A stranger's emergency call, answered; the route that he has for it.
fn emergency(world: &mut World) -> Vec<String> {
    world.receive(STRANGER, Draft::invite("sip:112@example.com").from("<sip:x@evil.example>;tag=x").bytes());
    let call = world.one_to(CORE);
    world.sent_to(STRANGER);
    world.core_answers(&call, 200, &[("Contact", "<sip:psap@192.0.2.20:5080>")]);
    callers_routes(&world.one_to(STRANGER))
}

fn status(world: &mut World, to: &str) -> Option<u16> {
    world.sent_to(to).iter().filter_map(|sent| sent.message.status()).find(|status| *status != 100)
}

#[test]
fn the_route_of_an_emergency_call_opens_nothing_else() {
    for (method, uri, tag, call_id) in [
        ("REGISTER", "sip:example.com", "", "call-1"),
        ("REGISTER", "sip:example.com", ";tag=core", "call-1"),
        ("INVITE", "sip:+19005551234@example.com", "", "call-1"),
        ("INVITE", "sip:+19005551234@example.com", ";tag=core", "another"),
        ("MESSAGE", "sip:bob@example.com", ";tag=core", "call-1"),
        ("SUBSCRIBE", "sip:bob@example.com", ";tag=core", "call-1"),
        ("REFER", "sip:bob@example.com", ";tag=core", "call-1"),
    ] {
        let mut world = World::new();
        let routes = emergency(&mut world);
        let draft = Draft::new(method, uri).to(&format!("<sip:alice@example.com>{tag}")).call_id(call_id);
        world.receive(STRANGER, draft.routes(routes.iter().map(String::as_str)).next().bytes());
        let found = status(&mut world, STRANGER);
        assert!(matches!(found, Some(401 | 403 | 407)), "{method} {uri} {tag} {call_id}: {found:?}");
        assert!(world.sent_to(CORE).is_empty(), "{method} {uri} {tag} {call_id}");
    }
}

#[test]
fn an_emergency_call_goes_on_without_an_account() {
    let mut world = World::new();
    let routes = emergency(&mut world);
    for method in ["UPDATE", "INFO", "INVITE", "BYE"] {
        let draft = Draft::new(method, "sip:psap@192.0.2.20:5080")
            .from("<sip:x@evil.example>;tag=x")
            .to("<sip:112@example.com>;tag=core")
            .routes(routes.iter().map(String::as_str));
        world.receive(STRANGER, draft.next().bytes());
        assert_eq!(world.one_to(CORE).message.method_text(), method);
        world.sent_to(STRANGER);
    }
}

#[test]
fn an_emergency_call_is_not_refused_for_what_else_it_says() {
    for line in [
        "Proxy-Require: everything",
        "Route: <nonsense>",
        "Route: <sip:pforged@192.0.2.1:5060;lr>",
        "Route: <sip:evil.example;lr>",
        "Call-Info: <xmpp:alice@example.com>;purpose=impp",
    ] {
        let mut settings = config();
        settings.caller.forged = cusax_edge::config::Forged::Reject;
        let mut world = World::with(settings);
        world.receive(STRANGER, Draft::invite("sip:112@example.com").header(line).bytes());
        let call = world.one_to(CORE);
        assert_eq!((call.lines(Name::Route).len(), call.lines(Name::CallInfo).len()), (0, 0), "{line}");
    }
}

#[test]
fn an_emergency_call_reaches_the_core_as_a_number_of_ours() {
    for uri in [
        "sip:112@evil.example",
        "sip:112;rn=+19005551234@example.com",
        "sip:112@example.com;user=phone;x=y",
        "tel:112;phone-context=+1",
    ] {
        let mut world = World::new();
        world.receive(STRANGER, Draft::invite(uri).to("<sip:112@example.com>").bytes());
        assert_eq!(world.one_to(CORE).message.request_uri_text(), "sip:112@example.com", "{uri}");
    }
}

#[test]
fn the_route_of_one_call_is_no_proof_of_another() {
    for tag in [";tag=core", ""] {
        let mut world = World::new();
        let (_, answered) = call(&mut world);
        let mut routes = callers_routes(&answered);
        routes.push("<sip:192.0.2.20:5080;lr>".to_owned());
        let draft = within("INVITE", "sip:+19005551234@192.0.2.20:5080", &routes)
            .from("<sip:bob@example.com>;tag=new")
            .to(&format!("<sip:x@example.com>{tag}"))
            .call_id("another")
            .next();
        world.receive(ALICE, draft.bytes());
        assert_eq!(status(&mut world, ALICE), Some(403), "{tag}");
        assert!(world.sent_to(CORE).is_empty(), "{tag}");
    }
}

#[test]
fn a_path_beside_it_makes_no_route_of_a_dialog() {
    let mut world = World::new();
    let path = world.path_of(udp(BOB));
    // bob's own Path names the account and the flow: still no call of his.
    let draft = Draft::invite("sip:x@example.com")
        .from("<sip:alice@example.com>;tag=1")
        .to("<sip:x@example.com>;tag=2")
        .routes([path.as_str()].into_iter());
    world.receive(BOB, draft.bytes());
    assert_eq!(status(&mut world, BOB), Some(481));
}

#[test]
fn an_ack_of_no_call_goes_nowhere() {
    let mut world = World::new();
    for tag in ["", ";tag=x"] {
        let ack = Draft::new("ACK", "sip:standup@conference.example.com");
        world.receive(STRANGER, ack.to(&format!("<sip:standup@conference.example.com>{tag}")).bytes());
    }
    assert!(world.sent.is_empty() && world.focus.is_empty());
    assert!(world.dropped().iter().all(|dropped| dropped.reason == DropReason::Flow));
}

#[test]
fn a_stranger_registers_nobody() {
    for method in ["REGISTER", "PUBLISH"] {
        for from in ["<sip:x@evil.example>;tag=1", "<sip:alice@evil.example>;tag=1"] {
            let mut world = World::new();
            let draft = Draft::new(method, "sip:alice@example.com").from(from).to("<sip:alice@example.com>");
            world.receive(STRANGER, draft.header("Contact: <sip:x@203.0.113.9>").bytes());
            assert_eq!(status(&mut world, STRANGER), Some(403), "{method}");
            assert!(world.sent_to(CORE).is_empty(), "{method}");
        }
    }
}

#[test]
fn an_address_that_could_pass_for_ours_is_challenged() {
    for from in [
        "<sip:alice@example.com.>;tag=1",
        "<sip:alice@192.0.2.1>;tag=1",
        "<tel:+14045550101>;tag=1",
        "<sip:alice@192.0.2.1:9>;tag=1",
    ] {
        let mut world = World::new();
        world.receive(STRANGER, Draft::invite("sip:bob@example.com").from(from).bytes());
        assert_eq!(status(&mut world, STRANGER), Some(407), "{from}");
    }
}

#[test]
fn a_strangers_call_goes_on_until_its_end() {
    let mut world = World::new();
    let from = "<sip:carol@elsewhere.example>;tag=1";
    world.receive(STRANGER, Draft::invite("sip:bob@example.com").from(from).bytes());
    let call = world.one_to(CORE);
    world.sent_to(STRANGER);
    world.core_answers(&call, 200, &[("Contact", "<sip:bob@192.0.2.20:5080>")]);
    let routes = callers_routes(&world.one_to(STRANGER));
    for method in ["INVITE", "UPDATE", "BYE"] {
        world.receive(STRANGER, within(method, "sip:bob@192.0.2.20:5080", &routes).from(from).bytes());
        assert_eq!(world.one_to(CORE).message.method_text(), method);
        world.sent_to(STRANGER);
    }
}

#[test]
fn a_peer_speaks_for_nobody_here_unless_it_is_trusted() {
    for (peer, method, from, expected) in [
        (PEER, "INVITE", "<sip:alice@example.com>;tag=1", Some(403)),
        (PEER, "MESSAGE", "<sip:alice@example.com>;tag=1", Some(403)),
        (PEER, "INVITE", "<sip:x@biloxi.example>;tag=1", None),
        (PEER, "INVITE", "<sip:anonymous@anonymous.invalid>;tag=1", None),
        (PEER, "REGISTER", "<sip:x@biloxi.example>;tag=1", Some(403)),
        (TRUSTED_PEER, "INVITE", "<sip:alice@example.com>;tag=1", None),
        (TRUSTED_PEER, "REGISTER", "<sip:alice@example.com>;tag=1", Some(403)),
    ] {
        let mut world = World::new();
        let mut draft = Draft::new(method, "sip:bob@example.com").from(from);
        draft.via = format!("SIP/2.0/UDP {peer};branch=z9hG4bK-peer");
        world.receive(peer, draft.bytes());
        assert_eq!(status(&mut world, peer), expected, "{peer} {method} {from}");
        assert_eq!(world.sent_to(CORE).len(), usize::from(expected.is_none()), "{peer} {method} {from}");
    }
}

/// The premium number is blocked, however it is spelled.
#[test]
fn a_number_is_what_the_core_may_take_it_for() {
    for uri in [
        "sip:19005551234@example.com;phone-context=x",
        "sip:+19005551234@192.0.2.20",
        "sip:+19005551234@elsewhere.example",
        "sip:+1%39005551234@elsewhere.example",
    ] {
        let mut world = World::new();
        world.send(ALICE, "alice", Draft::invite(uri).to("<sip:x@example.com>"));
        assert_eq!(status(&mut world, ALICE), Some(403), "{uri}");
    }
    for uri in [
        "sip:190055512341111111111111111111111111111111@example.com",
        "sip:+19005551234p1@example.com",
        "sip:+1900555123%23@example.com",
    ] {
        let mut settings = config();
        let unknown = cusax_event::sip::NumberClass::Unknown;
        settings.numbers.policy.insert(unknown, cusax_edge::config::Action::Block);
        let mut world = World::with(settings);
        world.send(ALICE, "alice", Draft::invite(uri).to("<sip:x@example.com>"));
        assert_eq!(status(&mut world, ALICE), Some(403), "{uri}");
    }
    // Two hosts for two readers.
    let mut world = World::new();
    world.receive(ALICE, Draft::invite("sip:+19005551234@example.com;x=@b").to("<sip:x@example.com>").bytes());
    assert_eq!(status(&mut world, ALICE), Some(400));
}

#[test]
fn an_outbound_proxy_may_be_written_by_our_domain() {
    let mut world = World::new();
    let call: Sent = world.at_core(Draft::invite("sip:bob@example.com").header("Route: <sip:example.com;lr>"));
    assert_eq!(call.lines(Name::Route).len(), 0);
}

#[test]
fn in_a_dialog_the_core_is_believed_about_its_own_names() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    let mut routes = callers_routes(&answered);
    routes.push("<sip:core.internal.example;lr>".to_owned());
    world.receive(ALICE, within("BYE", "sip:bob@192.0.2.20:5080", &routes).bytes());
    assert_eq!(world.one_to(CORE).lines(Name::Route), ["<sip:core.internal.example;lr>"]);
}

/// The core would ask for proof, but a conference's calls never reach it.
#[test]
fn a_conference_wants_proof_also_where_the_core_is_who_asks() {
    let open = || {
        let mut settings = config();
        settings.challenge = false;
        settings
    };
    for uri in ["sip:standup@conference.example.com", "sip:+14045550900@example.com"] {
        let mut world = World::with(open());
        let draft = Draft::invite(uri).from("<sip:x@y>;tag=1");
        world.receive(STRANGER, draft.bytes());
        assert!(world.focus.is_empty(), "{uri}");
        assert!(matches!(status(&mut world, STRANGER), Some(403 | 404)), "{uri}");
        world.send(ALICE, "alice", Draft::invite(uri));
        assert_eq!(world.focus.len(), 1, "{uri}");
    }
    let mut world = World::with(open());
    world.receive(ALICE, Draft::invite("sip:bob@example.com").bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "INVITE", "all else is the core's to ask about");
}

#[test]
fn without_a_core_it_is_said_so() {
    let mut settings = config();
    settings.core.clear();
    let mut world = World::with(settings);
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    assert_eq!(status(&mut world, ALICE), Some(503));
}

/// What a call from the core with bob's route gets.
fn led_by(world: &mut World, path: &str) -> Option<u16> {
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path].into_iter());
    draft.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-core");
    world.receive(CORE, draft.bytes());
    let answered = status(world, CORE);
    assert_eq!(world.sent_to(BOB).len(), usize::from(answered.is_none()));
    answered
}

#[test]
fn a_path_outlives_a_restart_a_change_of_keys_and_a_new_socket() {
    let path = World::new().path_of(udp(BOB));
    assert_eq!(led_by(&mut World::new(), &path), None);
    let mut settings = config();
    settings.keys.token.insert(0, [9; 32]);
    assert_eq!(led_by(&mut World::with(settings), &path), None);
    let mut settings = config();
    settings.keys.token = vec![[9; 32]];
    assert_eq!(led_by(&mut World::with(settings), &path), Some(403));
    // The sockets change places in the file; only the core's stays where the test has it.
    let mut settings = config();
    settings.listeners.swap(0, 3);
    let mut world = World::with(settings);
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
    draft.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-core");
    world.receive(CORE, draft.bytes());
    assert_eq!(world.one_to(BOB).flow.listener.0, 3);
    // And one of them is gone.
    let mut settings = config();
    settings.listeners[0].address.set_port(5066);
    assert_eq!(led_by(&mut World::with(settings), &path), Some(430));
}

#[test]
fn a_path_with_any_byte_changed_is_refused_and_tells_nobody_where_the_phone_is() {
    let path = World::new().path_of(udp(BOB));
    let (before, rest) = path.split_once(':').unwrap();
    let (token, after) = rest.split_once('@').unwrap();
    for at in 0..token.len() {
        let mut bytes = token.to_owned().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let forged = format!("{before}:{}@{after}", String::from_utf8(bytes).unwrap());
        assert_eq!(led_by(&mut World::new(), &forged), Some(403), "byte {at}");
    }
    let decoded = base64_of(&token[1..]);
    assert!(!decoded.windows(4).any(|window| window == [198, 51, 100, 2]));
}

fn base64_of(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let bits: Vec<bool> =
        text.bytes().flat_map(|byte| (0..6).rev().map(move |bit| value(byte) >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}
