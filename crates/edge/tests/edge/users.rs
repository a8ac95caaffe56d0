//! Users who are known by the certificates of their connections.

use cusax_event::Event;
use cusax_event::sip::{Algorithm, AuthResult};
use cusax_sip::{Flow, Name};

use crate::draft::Draft;
use crate::registration::{on_connection, register};
use crate::world::{ALICE, CORE, World, tcp};

/// A connection whose certificate names these users, by an authority that is believed.
fn certified(world: &mut World, users: &[&str]) -> Flow {
    let flow = tcp(ALICE, 7);
    world.edge.handle_opened(flow.connection.unwrap(), Vec::new());
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    world.edge.handle_certified(flow.connection.unwrap(), &users);
    flow
}

#[test]
fn certificate_of_an_account_verifies_all_that_is_sent_on_its_connection() {
    let mut world = World::new();
    let flow = certified(&mut world, &["sip:alice@Example.com"]);
    let mut draft = register();
    draft.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-r".to_owned();
    world.receive_on(flow, draft.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "REGISTER");
    for (name, user) in [("a", "alice"), ("b", "+14045550101")] {
        assert_eq!(on_connection(&mut world, flow, user, name), None, "{user}");
        let asserted = world.one_to(CORE);
        assert_eq!(asserted.lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"]);
    }
    let told = |result| (result, Algorithm::Certificate);
    assert_eq!(proofs(&world), [told(AuthResult::Ok)], "once, for the connection");
    assert_eq!(on_connection(&mut world, flow, "bob", "c"), Some(403), "of somebody else");
    assert_eq!(on_connection(&mut world, flow, "nobody", "d"), Some(403));
    assert_eq!(proofs(&world).last(), Some(&told(AuthResult::Mismatch)));
    let mut anonymous = Draft::invite("sip:bob@example.com").from("<sip:anonymous@anonymous.invalid>;tag=1");
    anonymous.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-e".to_owned();
    world.receive_on(flow, anonymous.bytes());
    let call = world.one_to(CORE);
    assert_eq!(call.lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"], "for the core; she is known");
    assert!(call.lines(Name::CallInfo).is_empty());
    assert_eq!(world.one_status(ALICE), Some(100));
    world.edge.handle_closed(flow.connection.unwrap());
    world.edge.handle_opened(flow.connection.unwrap(), Vec::new());
    assert_eq!(on_connection(&mut world, flow, "alice", "f"), Some(407));
}

#[test]
fn certificate_of_nobody_of_ours_is_as_good_as_none() {
    for users in [
        &[][..],
        &["sip:alice@example.net"],
        &["sip:carol@example.com"],
        &["sip:example.com"],
        &["sip:@example.com"],
        &["sip:alice@example.com.example.net"],
    ] {
        let mut world = World::new();
        let flow = certified(&mut world, users);
        assert_eq!(on_connection(&mut world, flow, "alice", "a"), Some(407), "{users:?}");
        let mut draft = register();
        draft.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-r".to_owned();
        world.receive_on(flow, draft.bytes());
        let challenged = world.one_to(ALICE);
        let credentials = world.credentials(&challenged, "alice", &draft);
        world.receive_on(flow, draft.next().header(&credentials).bytes());
        assert_eq!(world.one_to(CORE).message.method_text(), "REGISTER", "{users:?}");
    }
}

#[test]
fn certificate_of_several_accounts_is_of_the_one_that_speaks() {
    let mut world = World::new();
    let flow = certified(&mut world, &["sip:bob@example.com", "sips:alice@example.com"]);
    assert_eq!(on_connection(&mut world, flow, "alice", "a"), None);
    assert_eq!(world.one_to(CORE).lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"]);
    assert_eq!(on_connection(&mut world, flow, "bob", "b"), None);
    assert_eq!(world.one_to(CORE).lines(Name::PAssertedIdentity), ["<sip:bob@example.com>"]);
}

#[test]
fn certificate_does_not_speak_for_what_comes_through_its_user() {
    let mut world = World::new();
    let flow = certified(&mut world, &["sip:alice@example.com"]);
    let mut draft = Draft::new("OPTIONS", "sip:bob@example.com");
    draft.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-a, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-b".to_owned();
    world.receive_on(flow, draft.bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(407), "behind a proxy there are others");
    draft = Draft::new("OPTIONS", "sip:bob@example.com").from("<sip:carol@biloxi.example>;tag=1");
    draft.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-c".to_owned();
    world.receive_on(flow, draft.bytes());
    let foreign = world.one_to(CORE);
    assert!(foreign.lines(Name::PAssertedIdentity).is_empty(), "another domain's user is nobody's here");
}

fn proofs(world: &World) -> Vec<(AuthResult, Algorithm)> {
    let proof =
        |event: &Event| if let Event::SipAuth(auth) = event { Some((auth.result, auth.algorithm)) } else { None };
    world.events.iter().filter_map(proof).collect()
}
