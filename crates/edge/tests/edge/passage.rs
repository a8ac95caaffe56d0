//! What goes through as it is: to phones, back from them, and along with a CANCEL.

use cusax_sip::Name;

use crate::draft::Draft;
use crate::world::{ACCESS_SIDE, ALICE, BOB, CORE, World, answer, udp};

fn from_core(mut draft: Draft, branch: &str) -> Draft {
    draft.via = format!("SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core{branch}");
    draft
}

#[test]
fn any_method_and_any_address_reaches_a_phone_by_its_path() {
    let mut world = World::new();
    let path = world.path_of(udp(BOB));
    for (method, uri) in [
        ("INVITE", "tel:+14045550101"),
        ("OPTIONS", "sip:bob@198.51.100.2:5060;ob"),
        ("NOTIFY", "sip:bob@example.com;gr=urn:uuid:f81d4fae"),
        ("MESSAGE", "sip:+1404@192.0.2.77;user=phone"),
        ("SUBSCRIBE", "sip:bob@192.0.2.20;unknown"),
        ("REFER", "sip:bob@10.0.0.2"),
        ("PUBLISH", "sip:%62ob@a1b2.invalid;transport=ws"),
        ("NEW", "sip:[2001:db8::9]:5070"),
    ] {
        let draft = Draft::new(method, uri).call_id(method).routes([path.as_str()].into_iter());
        world.receive(CORE, from_core(draft, method).bytes());
        let there = world.one_to(BOB);
        assert_eq!((there.message.method_text(), there.message.request_uri_text()), (method, uri));
        world.sent_to(CORE);
        world.receive(BOB, answer(&there.message, 489, "bob1", &[("Allow-Events", "presence")]));
        world.sent_to(BOB);
        let back = world.sent_to(CORE).remove(0);
        assert_eq!((back.message.status(), back.lines(Name::AllowEvents)), (Some(489), vec!["presence"]));
    }
}

#[test]
fn a_notify_may_overtake_the_answer_to_its_subscribe() {
    let mut world = World::new();
    let subscribe = Draft::new("SUBSCRIBE", "sip:bob@example.com").header("o: presence").header("m: <sip:alice@h>");
    let subscribe = world.at_core(subscribe);
    let routes = subscribe.lines(Name::RecordRoute);
    assert_eq!(routes.len(), 2);
    let notify = Draft::new("NOTIFY", "sip:alice@198.51.100.1")
        .from("<sip:bob@example.com>;tag=notifier")
        .to("<sip:alice@example.com>;tag=alice1")
        .routes(routes.into_iter());
    world.receive(CORE, from_core(notify, "n").bytes());
    let there = world.one_to(ALICE);
    world.receive(ALICE, answer(&there.message, 200, "alice1", &[]));
    assert_eq!(world.one_to(CORE).message.status(), Some(200));
}

/// A CANCEL goes from hop to hop: what it says of hops, options and ways does not matter (RFC 3261 §9.1, §20.29).
#[test]
fn a_cancel_ends_its_call_whatever_else_it_says() {
    let mut world = World::new();
    let invite = Draft::invite("sip:bob@example.com").header(&format!("Route: <sip:{ACCESS_SIDE};lr>"));
    let invite = world.send(ALICE, "alice", invite);
    let call = world.one_to(CORE);
    world.core_answers(&call, 180, &[]);
    world.sent_to(ALICE);
    let reason = "SIP;cause=200;text=\"x, y\"";
    let mut cancel = invite.header("Max-Forwards: 0").header("Proxy-Require: x").header(&format!("Reason: {reason}"));
    cancel.method = "CANCEL";
    world.receive(ALICE, cancel.bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
    let there = world.one_to(CORE);
    assert_eq!(there.message.top_via().unwrap().branch(), call.message.top_via().unwrap().branch());
    assert_eq!((there.lines(Name::Reason), there.lines(Name::Via).len()), (vec![reason], 1));
}

#[test]
fn a_scheme_that_nobody_knows_is_the_cores_to_know_unless_it_may_be_dialled() {
    for uri in ["soap.beep://192.0.2.103:3002", "urn:service:food", "nobodyKnowsThisScheme:totallyopaquecontent"] {
        let mut world = World::new();
        world.send(ALICE, "alice", Draft::new("OPTIONS", uri));
        assert_eq!(world.one_to(CORE).message.request_uri_text(), uri);
    }
    for uri in ["fax:+19005550123", "modem:1900;type=v32b"] {
        let mut world = World::new();
        assert_eq!(world.status_of(ALICE, Draft::new("OPTIONS", uri).bytes()), 416);
    }
}
