//! Next hops by name, and what is too large for a datagram.

use std::time::Duration;

use cusax_sip::location::{LocateError, Place};
use cusax_sip::{Name, Transport};

use crate::draft::Draft;
use crate::world::{ALICE, CORE, Sent, World, config};

const THERE: &str = "203.0.113.21:5060";
const ELSEWHERE: &str = "203.0.113.22:5070";

fn place(transport: Transport, address: &str) -> Place {
    Place { transport, address: address.parse().unwrap() }
}

/// A call of the core's to somebody at biloxi.
fn call(world: &mut World, more: &str) -> Draft {
    let mut draft = Draft::invite("sip:bob@biloxi.example").from("<sip:alice@example.com>;tag=1");
    draft.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-out{}", more.len());
    if !more.is_empty() {
        draft = draft.header(more);
    }
    world.receive(CORE, draft.bytes());
    draft
}

#[test]
fn a_name_is_asked_for_and_others_do_not_wait_for_it() {
    let mut world = World::new();
    call(&mut world, "");
    assert_eq!(world.one_status(CORE), Some(100), "DNS may take its time");
    let (query, target, spoken) = world.asked.pop().unwrap();
    assert_eq!((&*target.host, target.port, target.transport), ("biloxi.example", None, None));
    assert_eq!(spoken, [Transport::Udp, Transport::Tcp]);
    assert_eq!(world.at_core(Draft::invite("sip:bob@example.com")).message.method_text(), "INVITE");
    world.edge.handle_located(query, Ok(vec![place(Transport::Udp, THERE)]), world.now);
    world.settle();
    assert_eq!(world.one_to(THERE).message.request_uri_text(), "sip:bob@biloxi.example");
    world.edge.handle_located(query, Ok(vec![place(Transport::Udp, THERE)]), world.now);
    world.settle();
    assert!(world.sent_to(THERE).is_empty(), "once");
}

#[test]
fn what_dns_does_not_know_is_said_to_whoever_asks() {
    for (answer, status) in
        [(LocateError::NotFound, 502), (LocateError::Unanswered, 504), (LocateError::Transport, 502)]
    {
        let mut world = World::new();
        world.dns.insert("biloxi.example".to_owned(), Err(answer));
        call(&mut world, "");
        let statuses: Vec<_> = world.sent_to(CORE).iter().filter_map(|sent| sent.message.status()).collect();
        assert_eq!(statuses, [100, status], "{answer}");
    }
}

#[test]
fn places_are_tried_one_after_the_other() {
    let mut world = World::new();
    let places = vec![place(Transport::Udp, THERE), place(Transport::Udp, ELSEWHERE)];
    world.dns.insert("biloxi.example".to_owned(), Ok(places));
    call(&mut world, "");
    let first = world.one_to(THERE);
    world.receive_on(first.flow, crate::world::answer(&first.message, 503, "down", &[]));
    assert_eq!(world.one_to(ELSEWHERE).message.method_text(), "INVITE");
}

#[test]
fn a_call_that_is_given_up_meanwhile_goes_nowhere() {
    let mut world = World::new();
    let draft = call(&mut world, "");
    let mut cancel = draft;
    cancel.method = "CANCEL";
    world.receive(CORE, cancel.bytes());
    let statuses: Vec<_> = world.sent_to(CORE).iter().filter_map(|sent| sent.message.status()).collect();
    assert_eq!(statuses, [100, 200, 487]);
    let (query, ..) = world.asked.pop().unwrap();
    world.edge.handle_located(query, Ok(vec![place(Transport::Udp, THERE)]), world.now);
    world.settle();
    assert!(world.sent_to(THERE).is_empty());
}

#[test]
fn an_ack_to_a_name_is_located_as_well() {
    let mut world = World::new();
    world.dns.insert("biloxi.example".to_owned(), Ok(vec![place(Transport::Udp, THERE)]));
    let mut draft = Draft::new("ACK", "sip:bob@biloxi.example").to("<sip:bob@biloxi.example>;tag=b");
    draft.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-ack");
    world.receive(CORE, draft.bytes());
    assert_eq!(world.one_to(THERE).message.method_text(), "ACK");
}

fn transports(sent: &[Sent]) -> Vec<Transport> {
    sent.iter().map(|sent| sent.flow.transport).collect()
}

#[test]
fn what_is_too_large_for_udp_goes_by_tcp_and_by_udp_where_that_is_refused() {
    let mut settings = config();
    settings.listeners[2].zone = cusax_edge::config::Zone::Core;
    settings.listeners[2].address.set_port(5070);
    settings.listeners[2].sent_by = "192.0.2.1:5070".to_owned();
    let long = |length: usize| format!("X-Long: {}", "x".repeat(length));
    let mut world = World::with(settings);
    let mut draft = Draft::invite("sip:bob@example.com").header(&long(100));
    world.send(ALICE, "alice", draft.clone());
    assert_eq!(transports(&world.sent_to(CORE)), [Transport::Udp]);
    draft = Draft::invite("sip:bob@example.com").header(&long(900)).call_id("large");
    draft.via = format!("{}-large", draft.via);
    world.send(ALICE, "alice", draft);
    let sent = world.sent_to(CORE);
    assert_eq!(transports(&sent), [Transport::Tcp]);
    assert!(sent[0].lines(Name::Via)[0].starts_with("SIP/2.0/TCP 192.0.2.1:5070"), "{}", sent[0].text());
    assert!(sent[0].lines(Name::RecordRoute)[0].contains(";transport=tcp"));
    // Nobody listens there for TCP.
    world.edge.handle_unreachable(&sent[0].flow, world.now);
    world.settle();
    assert_eq!(transports(&world.sent_to(CORE)), [Transport::Udp]);
    world.pass(Duration::from_millis(1));
}

#[test]
fn a_secure_address_is_not_carried_over_what_is_not() {
    let mut world = World::new();
    world.send(ALICE, "alice", Draft::invite("sips:bob@example.com").to("<sip:bob@example.com>"));
    let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
    assert_eq!(statuses, [480]);
    assert!(world.sent_to(CORE).is_empty());
}
