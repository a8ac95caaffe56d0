//! Core targets that die, drain and come back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cusax_edge::config::{Config, CoreTarget};
use cusax_event::Event;
use cusax_event::sip::UpstreamState;
use cusax_sip::Transport;

use crate::draft::Draft;
use crate::world::{ALICE, CORE, World, config};

const SECOND: &str = "192.0.2.21:5080";

fn two() -> Config {
    let mut settings = config();
    settings.core.push(CoreTarget {
        name: Arc::from("sip:192.0.2.21:5080"),
        address: SECOND.parse().unwrap(),
        transport: Transport::Udp,
    });
    settings
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn states(world: &World) -> Vec<(&str, UpstreamState)> {
    let mut states = Vec::new();
    for event in &world.events {
        if let Event::SipUpstreamChanged(changed) = event {
            states.push((&*changed.upstream, changed.state));
        }
    }
    states
}

/// Where alice's next call goes first.
fn first(world: &mut World, call_id: &str) -> &'static str {
    let mut draft = Draft::invite("sip:bob@example.com").call_id(call_id);
    draft.via = format!("SIP/2.0/UDP {ALICE};branch=z9hG4bK-{}", call_id.replace(' ', "-"));
    world.send(ALICE, "alice", draft);
    let place = if world.sent_to(CORE).is_empty() { SECOND } else { CORE };
    world.sent_to(SECOND);
    world.sent_to(ALICE);
    place
}

#[test]
fn each_target_is_asked_every_five_seconds_by_a_request_that_a_server_takes() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(9_900));
    let asked: Vec<_> = world.probes.iter().map(|probe| probe.flow.remote).collect();
    assert_eq!(asked, [CORE, SECOND, CORE, SECOND].map(address));
    let probe = &world.probes[0].message;
    assert_eq!(probe.method_text(), "OPTIONS");
    assert!(cusax_sip::validate::request_defect(probe).is_none());
    assert!(states(&world).is_empty(), "as they were");
}

#[test]
fn a_dead_target_is_known_within_nine_seconds_and_one_that_comes_back_within_seven() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(1));
    world.alive.remove(&address(CORE));
    world.pass(Duration::from_secs(9));
    assert_eq!(states(&world), [("sip:192.0.2.20:5080", UpstreamState::Down)]);
    assert_eq!(first(&mut world, "while down"), SECOND);
    world.alive.insert(address(CORE), 200);
    world.pass(Duration::from_secs(7));
    assert_eq!(states(&world).last(), Some(&("sip:192.0.2.20:5080", UpstreamState::Up)));
    assert_eq!(first(&mut world, "up again"), CORE);
}

#[test]
fn a_call_that_meets_a_dead_target_is_tried_at_the_next_within_five_seconds() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(1));
    world.alive.clear();
    world.alive.insert(address(SECOND), 200);
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    world.pass(Duration::from_secs(5));
    let tried = world.sent_to(SECOND);
    assert_eq!(tried[0].message.method_text(), "INVITE");
    world.receive(SECOND, crate::world::answer(&tried[0].message, 200, "second", &[]));
    let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
    assert_eq!(statuses, [100, 200]);
}

#[test]
fn a_registration_that_meets_a_dead_target_is_taken_by_the_next() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(1));
    world.alive.remove(&address(CORE));
    let draft = Draft::new("REGISTER", "sip:example.com").to("<sip:alice@example.com>");
    world.send(ALICE, "alice", draft);
    world.pass(Duration::from_secs(5));
    let tried = world.sent_to(SECOND);
    assert_eq!(tried[0].message.method_text(), "REGISTER");
    assert_eq!(tried[0].lines(cusax_sip::Name::Path).len(), 1);
}

#[test]
fn one_that_answers_503_takes_no_new_calls_and_keeps_its_own() {
    let mut world = World::with(two());
    let (_, answered) = crate::dialog::call(&mut world);
    world.alive.insert(address(CORE), 503);
    world.pass(Duration::from_secs(6));
    assert_eq!(states(&world), [("sip:192.0.2.20:5080", UpstreamState::Draining)]);
    assert_eq!(first(&mut world, "while draining"), SECOND);
    let routes = crate::dialog::callers_routes(&answered);
    world.receive(ALICE, crate::dialog::within("BYE", "sip:bob@192.0.2.20:5080", &routes).bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
}

#[test]
fn where_none_is_up_the_first_is_tried_all_the_same() {
    let mut world = World::with(two());
    world.alive.clear();
    world.pass(Duration::from_secs(20));
    assert_eq!(states(&world).len(), 2);
    assert_eq!(first(&mut world, "hoping"), CORE);
}

#[test]
fn any_answer_shows_that_somebody_is_there() {
    for status in [404, 405, 483, 500] {
        let mut world = World::with(two());
        world.alive.insert(address(CORE), status);
        world.pass(Duration::from_secs(20));
        assert!(states(&world).is_empty(), "{status}");
    }
}

#[test]
fn targets_may_move_and_those_that_stay_keep_what_is_known_of_them() {
    let mut world = World::with(two());
    world.alive.remove(&address(CORE));
    world.pass(Duration::from_secs(9));
    assert_eq!(states(&world).len(), 1);
    let mut moved = two().core;
    moved[1].address = address("192.0.2.22:5080");
    world.alive.insert(moved[1].address, 200);
    world.edge.handle_core(moved, world.now);
    world.settle();
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    assert_eq!(world.sent_to("192.0.2.22:5080").len(), 1, "the first is still down");
}
