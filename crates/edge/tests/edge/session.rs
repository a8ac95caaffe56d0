//! Session-ID (RFC 7989): what endpoints say stays, what they do not say is derived, the same everywhere.

use cusax_sip::Name;
use cusax_sip::session_id::SessionId;

use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, Sent, World, answer, udp};

const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
const NIL: &str = "00000000000000000000000000000000";

fn session(sent: &Sent) -> SessionId {
    let values = sent.lines(Name::SessionId);
    assert_eq!(values.len(), 1, "{}", sent.text());
    SessionId::parse(values[0]).unwrap()
}

#[test]
fn what_an_endpoint_says_stays() {
    let line = format!("Session-ID: {A};remote={NIL}");
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com").header(&line));
    assert_eq!(call.lines(Name::SessionId), [&line["Session-ID: ".len()..]]);
}

#[test]
fn a_caller_who_says_none_is_given_the_same_in_every_request_on_any_edge() {
    let mut seen = Vec::new();
    for call_id in ["one", "one", "two"] {
        let mut world = World::new();
        let draft = Draft::invite("sip:bob@example.com").call_id(call_id);
        let call = world.at_core(draft.clone());
        let routes: Vec<String> = call.lines(Name::RecordRoute).into_iter().rev().map(str::to_owned).collect();
        let bye = draft.to("<sip:bob@example.com>;tag=core").next();
        let mut bye = bye.routes(routes.iter().map(String::as_str));
        bye.method = "BYE";
        world.receive(ALICE, bye.bytes());
        let bye = world.one_to(CORE);
        assert_eq!(session(&call), session(&bye));
        assert!(session(&call).local.is_some() && session(&call).remote.is_none());
        seen.push(session(&call).local);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

#[test]
fn the_nil_uuid_is_as_good_as_none() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com").header(&format!("Session-ID: {NIL};remote={NIL}")));
    let said: Vec<_> = call.lines(Name::SessionId).into_iter().filter_map(SessionId::parse).collect();
    assert_eq!(said.len(), 1, "{}", call.text());
    assert!(said[0].local.is_some());
}

#[test]
fn a_callee_who_says_none_is_given_one_that_answers_the_callers() {
    let mut world = World::new();
    let path = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060")
        .header(&format!("Session-ID: {A};remote={NIL}"))
        .routes([path.as_str()].into_iter());
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    world.receive(CORE, draft.bytes());
    let call = world.one_to(BOB);
    world.sent_to(CORE);
    world.receive(BOB, answer(&call.message, 180, "bob1", &[]));
    let ringing = session(&world.one_to(CORE));
    world.receive(BOB, answer(&call.message, 200, "bob1", &[("Contact", "<sip:bob@198.51.100.2>")]));
    assert_eq!(session(&world.one_to(CORE)), ringing);
    assert_eq!(ringing.remote, A.parse().ok());

    let mut bye = Draft::new("BYE", "sip:alice@192.0.2.20:5080")
        .from("<sip:bob@example.com>;tag=bob1")
        .to("<sip:alice@example.com>;tag=alice1")
        .routes(call.lines(Name::RecordRoute).into_iter());
    bye.via = "SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bK-bob".to_owned();
    world.receive(BOB, bye.bytes());
    assert_eq!(session(&world.one_to(CORE)).local, ringing.local);
}

#[test]
fn what_is_no_session_id_is_replaced() {
    for (value, stays) in [
        (A.to_owned(), true),
        (format!("{A};remote={NIL};x=y"), true),
        ("zzz".to_owned(), false),
        (format!("{A}{A}"), false),
        (format!("{A};remote=zz"), false),
    ] {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com").header(&format!("Session-ID: {value}")));
        assert_eq!(call.lines(Name::SessionId) == [value.as_str()], stays, "{value}");
        assert!(session(&call).local.is_some());
    }
}

#[test]
fn an_answer_of_ours_names_who_asked() {
    for (line, named) in [(format!("Session-ID: {A};remote={NIL}"), true), ("X: y".to_owned(), false)] {
        let mut world = World::new();
        world.receive(ALICE, Draft::invite("sip:bob@example.com").header(&line).bytes());
        let challenged = world.one_to(ALICE);
        let said = challenged.message.first(Name::SessionId).and_then(SessionId::parse);
        assert_eq!(said.is_some(), named, "{}", challenged.text());
        assert!(said.is_none_or(|said| said.local.is_some() && said.remote == A.parse().ok()));
    }
}
