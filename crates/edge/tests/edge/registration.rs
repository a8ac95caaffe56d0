//! REGISTER, challenges, and what answers them.

use std::time::Duration;

use cusax_event::Event;
use cusax_event::sip::AuthResult;
use cusax_sip::digest::{Algorithm, Challenge};
use cusax_sip::{Flow, Name};

use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, CORE_SIDE, Sent, World, tcp, udp};

pub(crate) fn register() -> Draft {
    Draft::new("REGISTER", "sip:example.com")
        .to("<sip:alice@example.com>")
        .header("Contact: <sip:alice@198.51.100.1:5060>")
}

fn challenges(sent: &Sent) -> Vec<Challenge> {
    let name = if sent.message.status() == Some(401) { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
    sent.message.values(name).filter_map(Challenge::parse).collect()
}

fn results(world: &World) -> Vec<AuthResult> {
    let result = |event: &Event| if let Event::SipAuth(auth) = event { Some(auth.result) } else { None };
    world.events.iter().filter_map(result).collect()
}

#[test]
fn register_is_challenged_with_401_strongest_algorithm_first() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenged = world.one_to(ALICE);
    assert_eq!(challenged.message.status(), Some(401));
    let algorithms: Vec<_> = challenges(&challenged).into_iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    assert_eq!(world.sent_to(CORE).len(), 0);
    world.ends_empty();
}

#[test]
fn every_other_request_is_challenged_with_407() {
    for method in ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH", "REFER", "INFO", "UPDATE", "NEWMETHOD"] {
        let mut world = World::new();
        let status = world.status_of(ALICE, Draft::new(method, "sip:bob@example.com").bytes());
        assert_eq!(status, 407, "{method}");
    }
}

#[test]
fn a_registration_reaches_the_core_with_a_path_that_leads_back() {
    let mut world = World::new();
    let registration = world.at_core(register());
    let path = registration.lines(Name::Path);
    assert_eq!(path.len(), 1, "{}", registration.text());
    assert!(path[0].starts_with("<sip:") && path[0].ends_with(&format!("@{CORE_SIDE};lr>")), "{}", path[0]);
    assert_eq!(registration.lines(Name::Authorization).len(), 0, "credentials are consumed");
    assert_eq!(registration.lines(Name::RecordRoute).len(), 0);
    world.core_answers(&registration, 200, &[("Contact", "<sip:alice@198.51.100.1:5060>;expires=60")]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));

    let call = Draft::new("OPTIONS", "sip:alice@198.51.100.1:5060").routes(path.into_iter());
    world.receive(CORE, call.bytes());
    assert_eq!(world.one_to(ALICE).message.method_text(), "OPTIONS");
    assert_eq!(results(&world), [AuthResult::Challenged, AuthResult::Ok]);
}

#[test]
fn both_algorithms_are_taken() {
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let mut world = World::new();
        world.receive(ALICE, register().bytes());
        let challenged = world.one_to(ALICE);
        let challenge = challenges(&challenged).into_iter().find(|challenge| challenge.algorithm == algorithm).unwrap();
        let credentials = world.answer(&challenge, "alice", "secret of alice", &register());
        world.receive(ALICE, register().next().header(&credentials).bytes());
        assert_eq!(world.one_to(CORE).message.method_text(), "REGISTER", "{algorithm}");
    }
}

#[test]
fn wrong_answers_are_challenged_again_and_told_apart() {
    let other = Draft::new("REGISTER", "sip:bob@example.org");
    let cases: [(&str, &str, &str, Draft, AuthResult); 4] = [
        ("wrong password", "alice", "guess", register(), AuthResult::BadCredentials),
        ("unknown user", "mallory", "guess", register(), AuthResult::UnknownUser),
        ("another request's URI", "alice", "secret of alice", other, AuthResult::BadCredentials),
        ("another realm's name", "alice@example.org", "secret of alice", register(), AuthResult::UnknownUser),
    ];
    for (what, user, password, signed, expected) in cases {
        let mut world = World::new();
        world.receive(ALICE, register().bytes());
        let challenge = challenges(&world.one_to(ALICE)).remove(0);
        let credentials = world.answer(&challenge, user, password, &signed);
        world.receive(ALICE, register().next().header(&credentials).bytes());
        let refused = world.one_to(ALICE);
        assert_eq!(refused.message.status(), Some(401), "{what}");
        assert!(challenges(&refused).iter().all(|challenge| !challenge.stale), "{what}");
        assert_eq!(results(&world), [AuthResult::Challenged, expected], "{what}");
        assert_eq!(world.sent_to(CORE).len(), 0, "{what}");
    }
}

#[test]
fn an_algorithm_that_was_not_offered_is_refused() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenge = Challenge { algorithm: Algorithm::Sha512_256, ..challenges(&world.one_to(ALICE)).remove(0) };
    let credentials = world.answer(&challenge, "alice", "secret of alice", &register());
    assert_eq!(world.status_of(ALICE, register().next().header(&credentials).bytes()), 401);
    assert_eq!(results(&world), [AuthResult::Challenged, AuthResult::BadCredentials]);
}

#[test]
fn an_account_without_a_key_for_the_algorithm_proves_nothing() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenge = challenges(&world.one_to(ALICE)).remove(0);
    let key = cusax_sip::digest::Qop { count: 1, cnonce: "c".into() };
    let forged = cusax_sip::digest::Credentials::answer(&challenge, "alice", "", "REGISTER", "sip:example.com", key);
    let bytes = register().next().header(&format!("Authorization: {forged}")).bytes();
    world.edge.handle_message(bytes, udp(ALICE), world.now);
    let query = std::iter::from_fn(|| world.edge.poll_output())
        .find_map(|output| match output {
            cusax_edge::Output::Accounts { query, .. } => Some(query),
            cusax_edge::Output::Transmit(_)
            | cusax_edge::Output::Focus { .. }
            | cusax_edge::Output::Locate { .. }
            | cusax_edge::Output::Headline(_)
            | cusax_edge::Output::Event(_) => None,
        })
        .unwrap();
    let user = "alice".to_owned();
    let keyless = cusax_edge::Account { id: 1, user, jid: None, numbers: Vec::new(), ha1: String::new() };
    world.edge.handle_accounts(query, Some(keyless), None, world.now);
    world.settle();
    assert_eq!(world.one_to(ALICE).message.status(), Some(401));
}

#[test]
fn a_nonce_count_is_good_once() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenged = world.one_to(ALICE);
    let credentials = world.credentials(&challenged, "alice", &register());
    let registration = register().next().header(&credentials);
    world.receive(ALICE, registration.bytes());
    assert_eq!(world.sent_to(CORE).len(), 1);
    world.receive(ALICE, registration.next().bytes());
    let refused = world.one_to(ALICE);
    assert_eq!(refused.message.status(), Some(401));
    assert!(challenges(&refused).iter().all(|challenge| challenge.stale), "{}", refused.text());
    assert_eq!(results(&world).last(), Some(&AuthResult::Replay));
    assert_eq!(world.sent_to(CORE).len(), 0);
}

#[test]
fn an_old_nonce_is_called_stale_so_that_the_phone_asks_nobody_for_a_password() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenged = world.one_to(ALICE);
    world.pass(Duration::from_secs(301));
    let credentials = world.credentials(&challenged, "alice", &register());
    world.receive(ALICE, register().next().header(&credentials).bytes());
    let refused = world.one_to(ALICE);
    assert_eq!(refused.message.status(), Some(401));
    assert!(challenges(&refused).iter().all(|challenge| challenge.stale), "{}", refused.text());
}

#[test]
fn a_nonce_is_of_no_use_from_another_address() {
    let mut world = World::new();
    world.receive(ALICE, register().bytes());
    let challenged = world.one_to(ALICE);
    let credentials = world.credentials(&challenged, "alice", &register());
    assert_eq!(world.status_of(BOB, register().next().header(&credentials).bytes()), 401);
}

#[test]
fn nobody_registers_for_another() {
    for (from, to) in [
        ("<sip:alice@example.com>;tag=1", "<sip:bob@example.com>"),
        ("<sip:bob@example.com>;tag=1", "<sip:bob@example.com>"),
        ("<sip:bob@example.com>;tag=1", "<sip:alice@example.com>"),
    ] {
        let mut world = World::new();
        world.send(ALICE, "alice", register().from(from).to(to));
        assert_eq!(world.one_to(ALICE).message.status(), Some(403), "{from} {to}");
        assert_eq!(world.sent_to(CORE).len(), 0);
        assert_eq!(results(&world).last(), Some(&AuthResult::Mismatch));
    }
}

/// Sends a request on a connection; the status that comes back, or none where it went to the core.
pub(crate) fn on_connection(world: &mut World, flow: Flow, user: &str, name: &str) -> Option<u16> {
    let mut draft = Draft::new("OPTIONS", "sip:bob@example.com").from(&format!("<sip:{user}@example.com>;tag=1"));
    draft.via = format!("SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-{name}");
    world.receive_on(flow, draft.bytes());
    let to = flow.remote.to_string();
    world.sent_to(&to).first().and_then(|sent| sent.message.status())
}

#[test]
fn who_proved_himself_on_a_connection_is_known_on_it_until_it_ends() {
    let mut world = World::new();
    let flow = tcp(ALICE, 7);
    world.edge.handle_opened(flow.connection.unwrap(), Vec::new());
    assert_eq!(on_connection(&mut world, flow, "alice", "a"), Some(407));
    let mut draft = register();
    draft.via = "SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK-r".to_owned();
    world.receive_on(flow, draft.bytes());
    let challenged = world.one_to(ALICE);
    let credentials = world.credentials(&challenged, "alice", &draft);
    world.receive_on(flow, draft.next().header(&credentials).bytes());
    world.sent_to(CORE);
    assert_eq!(on_connection(&mut world, flow, "alice", "b"), None);
    let asserted = world.one_to(CORE);
    assert_eq!(asserted.lines(Name::PAssertedIdentity), ["<sip:alice@example.com>"]);
    assert_eq!(on_connection(&mut world, flow, "bob", "c"), Some(407), "another may prove himself as well");
    let elsewhere = tcp(ALICE, 8);
    world.edge.handle_opened(elsewhere.connection.unwrap(), Vec::new());
    assert_eq!(on_connection(&mut world, elsewhere, "alice", "d"), Some(407));
    world.edge.handle_closed(flow.connection.unwrap());
    world.edge.handle_opened(flow.connection.unwrap(), Vec::new());
    assert_eq!(on_connection(&mut world, flow, "alice", "e"), Some(407));
}

/// RFC 7616 §3.3: only the nonce is too old, or of another address, or of keys that are gone.
#[test]
fn who_knows_the_password_is_told_that_only_his_nonce_is_no_good() {
    for (password, stale) in [("secret of alice", true), ("guess", false)] {
        let mut world = World::new();
        world.receive(ALICE, register().bytes());
        let good = challenges(&world.one_to(ALICE)).remove(0);
        let foreign = Challenge { nonce: "of another life".to_owned(), ..good.clone() };
        for (challenge, from) in [(good, BOB), (foreign, ALICE)] {
            let credentials = world.answer(&challenge, "alice", password, &register());
            world.receive(from, register().next().header(&credentials).bytes());
            let refused = world.one_to(from);
            assert_eq!(refused.message.status(), Some(401));
            assert!(
                challenges(&refused).iter().all(|challenge| challenge.stale == stale),
                "{password}: {}",
                refused.text()
            );
        }
    }
}

#[test]
fn a_registration_of_nothing_passes() {
    let mut world = World::new();
    let there = world.at_core(register().header("Contact: *").header("Expires: 0"));
    assert!(there.text().contains("\r\nContact: *\r\nExpires: 0\r\n"), "{}", there.text());
    assert_eq!((there.lines(Name::Path).len(), there.lines(Name::RecordRoute).len()), (1, 0));
}
