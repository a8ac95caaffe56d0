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

/// Whatever the core calls itself in Record-Route, and whichever is first now.
#[test]
fn a_call_stays_with_the_core_that_it_was_made_by() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(1));
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    let first = world.one_to(CORE);
    world.receive(CORE, crate::world::answer(&first.message, 503, "busy", &[]));
    let second = world.one_to(SECOND);
    world.sent_to(CORE);
    let name = "<sip:k2.example.net;lr>";
    world.receive(SECOND, crate::world::answer(&second.message, 200, "core", &[("Contact", "<sip:bob@203.0.113.7>")]));
    let answered = world.sent_to(ALICE).pop().unwrap();
    let mut routes = crate::dialog::callers_routes(&answered);
    routes.push(name.to_owned());
    for method in ["ACK", "INFO", "BYE"] {
        world.receive(ALICE, crate::dialog::within(method, "sip:bob@203.0.113.7", &routes).bytes());
        let sent: Vec<_> = world.sent_to(SECOND).iter().map(|sent| sent.message.method_text().to_owned()).collect();
        assert!(sent.iter().any(|word| word == method) || method == "INFO", "{method}: {sent:?}");
        assert!(world.sent_to(CORE).is_empty(), "{method}");
        world.sent_to(ALICE);
    }
}

/// One that has left DNS keeps its dialogs as well.
#[test]
fn a_target_that_left_is_still_heard() {
    let mut world = World::with(two());
    let (_, answered) = crate::dialog::call(&mut world);
    let mut rest = two().core;
    rest.remove(0);
    world.edge.handle_core(rest, world.now);
    let routes = crate::dialog::callers_routes(&answered);
    world.receive(ALICE, crate::dialog::within("BYE", "sip:bob@203.0.113.7", &routes).bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
}

/// A core that is slow for a while and the only one loses nothing by being suspected.
#[test]
fn the_only_core_is_waited_for() {
    let mut world = World::new();
    world.pass(Duration::from_millis(1));
    world.alive.clear();
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    let invite = world.sent_to(CORE).remove(0);
    world.pass(Duration::from_secs(15));
    assert_eq!(states(&world), [("sip:192.0.2.20:5080", UpstreamState::Down)]);
    assert!(world.sent_to(ALICE).iter().all(|sent| sent.message.status() == Some(100)));
    world.core_answers(&invite, 200, &[]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
}

/// Asked instead of a first that was only slow: its ringing is cancelled, its answer is not lost.
#[test]
fn a_slow_core_that_was_given_up_is_cancelled_when_it_speaks() {
    let mut world = World::with(two());
    world.pass(Duration::from_millis(1));
    world.alive.remove(&address(CORE));
    world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    let slow = world.sent_to(CORE).remove(0);
    world.pass(Duration::from_secs(6));
    let second = world.sent_to(SECOND).remove(0);
    world.sent_to(CORE);
    world.core_answers(&slow, 180, &[]);
    assert_eq!(world.one_to(CORE).message.method_text(), "CANCEL");
    world.core_answers(&slow, 487, &[]);
    world.receive(SECOND, crate::world::answer(&second.message, 200, "second", &[]));
    let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
    assert!(statuses.contains(&200) && !statuses.contains(&487), "{statuses:?}");
}
