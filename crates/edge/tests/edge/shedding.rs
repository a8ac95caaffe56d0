//! Requests that are turned away because there are too many: by source, by account, by load; and calls for help, which are
//! not.

use std::num::NonZeroU32;
use std::time::Duration;

use cusax_edge::config::{Config, Limits};
use cusax_event::Event;
use cusax_event::sip::{DropReason, OverloadLevel, Shed, ShedCause, Urgency};
use cusax_sip::Name;

use crate::dialog::{call, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, World, config, tcp};

const TEN: Option<NonZeroU32> = NonZeroU32::new(10);

fn world(limits: Limits) -> World {
    World::with(Config { limits, ..config() })
}

fn by_source() -> World {
    world(Limits { per_source: TEN, ..Limits::default() })
}

/// A request of its own each time.
fn numbered(method: &'static str, uri: &str, number: usize) -> Draft {
    let mut draft = Draft::new(method, uri).call_id(&format!("call-{method}-{number}"));
    draft.via = format!("{}-{method}-{number}", draft.via);
    draft
}

fn shed(world: &World) -> Vec<Shed> {
    let shed = |event: &Event| if let Event::SipShed(shed) = event { Some(shed.clone()) } else { None };
    world.events.iter().filter_map(shed).collect()
}

fn levels(world: &World) -> Vec<OverloadLevel> {
    let level = |event: &Event| if let Event::SipOverload(changed) = event { Some(changed.level) } else { None };
    world.events.iter().filter_map(level).collect()
}

fn statuses(world: &mut World, from: &str) -> Vec<u16> {
    world.sent_to(from).iter().filter_map(|sent| sent.message.status()).collect()
}

#[test]
fn a_source_beyond_its_rate_gets_503_and_then_nothing() {
    let mut world = by_source();
    for number in 0..100 {
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", number).bytes());
    }
    let statuses = statuses(&mut world, ALICE);
    assert_eq!(statuses, [vec![407; 20], vec![503; 20]].concat());
    let told = shed(&world);
    assert_eq!((told.len(), told.iter().filter(|shed| shed.answered).count()), (80, 20));
    assert!(told.iter().all(|shed| shed.cause == ShedCause::SourceRate && shed.urgency == Urgency::Other));
    assert_eq!(world.edge.transactions()[0], [0; 2], "nothing is kept of them");
}

#[test]
fn who_is_turned_away_hears_when_to_come_back_and_not_all_at_once() {
    let mut world = by_source();
    for number in 0..40 {
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", number).bytes());
    }
    let mut sent = world.sent_to(ALICE);
    sent.retain(|sent| sent.message.status() == Some(503));
    let mut after: Vec<u32> =
        sent.iter().map(|sent| sent.message.first(Name::RetryAfter).unwrap().parse().unwrap()).collect();
    after.sort_unstable();
    after.dedup();
    assert!(after.iter().all(|seconds| (2..10).contains(seconds)) && after.len() > 3, "{after:?}");
    let tag = sent[0].message.to_tag().to_owned();
    assert!(!tag.is_empty());
}

#[test]
fn a_source_is_let_in_again_at_its_rate_and_others_never_notice() {
    let mut world = by_source();
    for number in 0..200 {
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", number).bytes());
    }
    world.sent_to(ALICE);
    world.receive(BOB, numbered("OPTIONS", "sip:alice@example.com", 1).bytes());
    assert_eq!(statuses(&mut world, BOB), [407]);
    world.pass(Duration::from_secs(1));
    for number in 200..300 {
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", number).bytes());
    }
    assert_eq!(statuses(&mut world, ALICE).iter().filter(|status| **status == 407).count(), 10);
}

#[test]
fn the_core_has_no_rate() {
    let mut world = by_source();
    for number in 0..100 {
        let mut draft = numbered("OPTIONS", "sip:192.0.2.1:5070", number);
        draft.via = draft.via.replace("198.51.100.1:5060", CORE);
        world.receive(CORE, draft.bytes());
    }
    assert_eq!(statuses(&mut world, CORE), [200; 100]);
}

#[test]
fn a_call_that_stands_and_a_call_for_help_are_above_the_rate_of_their_source() {
    let mut world = by_source();
    let (_, answered) = call(&mut world);
    for number in 0..200 {
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", number).bytes());
    }
    world.sent_to(ALICE);
    let bye = within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered));
    world.receive(ALICE, bye.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
    let mut help = Draft::invite("sip:911@example.com").call_id("help");
    help.via = format!("{}-help", help.via);
    world.receive(ALICE, help.bytes());
    assert_eq!(world.one_to(CORE).message.request_uri_text(), "sip:911@example.com");
    // A To tag alone is a claim.
    let mut claim = within("BYE", "sip:bob@192.0.2.20:5080", &[]);
    claim.via = format!("{}-claim", claim.via);
    world.receive(ALICE, claim.bytes());
    assert!(world.sent_to(CORE).is_empty());
}

#[test]
fn an_account_has_a_rate_wherever_it_comes_from() {
    let mut world = world(Limits { per_account: TEN, ..Limits::default() });
    let message = Draft::new("MESSAGE", "sip:bob@example.com");
    world.receive_on(tcp(ALICE, 1), message.bytes());
    world.edge.handle_opened(cusax_sip::ConnectionId(1), Vec::new());
    let challenged = world.one_to(ALICE);
    let credentials = world.credentials(&challenged, "alice", &message);
    world.receive_on(tcp(ALICE, 1), message.next().header(&credentials).bytes());
    world.sent_to(ALICE);
    for number in 0..100 {
        world.receive_on(tcp(ALICE, 1), numbered("MESSAGE", "sip:bob@example.com", number).bytes());
    }
    assert_eq!(world.sent_to(CORE).len(), 20, "the one before among them");
    assert_eq!(statuses(&mut world, ALICE), [503; 20]);
    assert!(shed(&world).iter().all(|shed| shed.cause == ShedCause::AccountRate));
}

#[test]
fn what_can_wait_is_turned_away_first() {
    let requests = || {
        let draft = |method, uri| numbered(method, uri, 1);
        [
            draft("OPTIONS", "sip:bob@example.com"),
            draft("REGISTER", "sip:example.com").to("<sip:alice@example.com>"),
            draft("INVITE", "sip:bob@example.com"),
        ]
    };
    for (backlog, expected) in [(0, [407, 401, 407]), (25, [503, 401, 407]), (50, [503, 503, 407]), (75, [503; 3])] {
        let mut world = World::new();
        world.edge.handle_backlog(backlog);
        for (request, expected) in requests().into_iter().zip(expected) {
            assert_eq!(world.status_of(ALICE, request.bytes()), expected, "{backlog} % {}", request.method);
        }
        assert!(shed(&world).iter().all(|shed| shed.cause == ShedCause::Overload));
    }
}

#[test]
fn overload_is_told_when_it_begins_and_when_it_is_over() {
    let mut world = World::new();
    for backlog in [80, 80, 10] {
        world.edge.handle_backlog(backlog);
        world.receive(ALICE, numbered("OPTIONS", "sip:bob@example.com", usize::from(backlog)).bytes());
    }
    world.pass(Duration::from_secs(30));
    assert_eq!(levels(&world), [OverloadLevel::Calls, OverloadLevel::None]);
}

#[test]
fn a_full_table_ends_calls_and_takes_calls_for_help_still() {
    let mut world = world(Limits { transactions: 16, emergency_calls: 3, ..Limits::default() });
    let (_, answered) = call(&mut world);
    let mut number = 0;
    // Calls that ring fill it.
    while shed(&world).is_empty() {
        number += 1;
        assert!(number < 100);
        let draft = Draft::invite("sip:bob@example.com").call_id(&format!("ringing {number}"));
        let mut draft = draft;
        draft.via = format!("{}-ringing-{number}", draft.via);
        world.receive(ALICE, draft.bytes());
        let Some(challenged) = world.sent_to(ALICE).pop().filter(|sent| sent.message.status() == Some(407)) else {
            break;
        };
        let credentials = world.credentials(&challenged, "alice", &draft);
        world.receive(ALICE, draft.next().header(&credentials).bytes());
    }
    world.sent_to(CORE);
    world.sent_to(ALICE);
    let bye = within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered));
    world.receive(ALICE, bye.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
    for help in 0..5 {
        let mut draft = Draft::invite("sip:911@example.com").call_id(&format!("help {help}"));
        draft.via = format!("{}-help-{help}", draft.via);
        world.receive(BOB, draft.bytes());
    }
    assert_eq!(world.sent_to(CORE).len(), 3);
    assert_eq!(statuses(&mut world, BOB), [100, 100, 100, 503, 503]);
    let last = shed(&world).pop().unwrap();
    assert_eq!((last.urgency, last.cause), (Urgency::Emergency, ShedCause::EmergencyLane));
    assert!(world.dropped().iter().all(|dropped| dropped.reason != DropReason::Overload));
    world.ends_empty();
}

#[test]
fn the_lane_for_help_is_free_again_when_the_calls_are_answered() {
    let mut world = world(Limits { emergency_calls: 1, ..Limits::default() });
    let help = |number: usize| {
        let mut draft = Draft::invite("sip:911@example.com").call_id(&format!("help {number}"));
        draft.via = format!("{}-help-{number}", draft.via);
        draft
    };
    world.receive(ALICE, help(1).bytes());
    let first = world.one_to(CORE);
    assert_eq!(world.status_of(BOB, help(2).bytes()), 503);
    world.core_answers(&first, 200, &[("Contact", "<sip:help@192.0.2.20:5080>")]);
    world.receive(BOB, help(3).bytes());
    assert_eq!(world.one_to(CORE).lines(Name::CallId), ["help 3"]);
}

#[test]
fn headers_beyond_the_limits_are_refused_except_in_a_call_for_help() {
    for limits in [Limits { headers: 12, ..Limits::default() }, Limits { header_bytes: 500, ..Limits::default() }] {
        let mut world = world(limits);
        let long =
            |uri: &str| (0..12).fold(Draft::invite(uri), |draft, line| draft.header(&format!("X-{line}: {line:030}")));
        assert_eq!(world.status_of(ALICE, Draft::invite("sip:bob@example.com").bytes()), 407);
        assert_eq!(world.status_of(BOB, long("sip:alice@example.com").bytes()), 400);
        world.receive(BOB, long("sip:911@example.com").call_id("help").bytes());
        assert_eq!(world.sent_to(CORE).len(), 1);
    }
}

#[test]
fn what_is_refused_at_once_counts_as_well_and_leaves_nothing_on_a_stream() {
    let mut world = by_source();
    world.edge.handle_opened(cusax_sip::ConnectionId(1), Vec::new());
    for number in 0..100 {
        let mut draft = numbered("INVITE", "sip:bob@example.com", number).header("Max-Forwards: 0");
        draft.via = draft.via.replace("UDP", "TCP");
        world.receive_on(tcp(ALICE, 1), draft.bytes());
    }
    assert_eq!(statuses(&mut world, ALICE), [vec![483; 20], vec![503; 20]].concat());
    assert_eq!(world.edge.transactions(), [[0; 2]; 2]);
    // Their ACKs end here, for a 2xx was never sent.
    let mut ack = numbered("ACK", "sip:bob@example.com", 1).to("<sip:bob@example.com>;tag=invented");
    ack.via = ack.via.replace("UDP", "TCP");
    world.receive_on(tcp(ALICE, 1), ack.bytes());
    assert!(world.sent.is_empty());
}

#[test]
fn a_to_tag_alone_is_no_call_when_there_is_too_much_to_do() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    world.edge.handle_backlog(30);
    let mut claim = within("INVITE", "sip:bob@192.0.2.20:5080", &[]);
    claim.via = format!("{}-claim", claim.via);
    assert_eq!(world.status_of(ALICE, claim.bytes()), 503);
    let mut info = within("INFO", "sip:bob@192.0.2.20:5080", &callers_routes(&answered));
    info.via = format!("{}-info", info.via);
    world.receive(ALICE, info.bytes());
    let told = shed(&world);
    assert_eq!(told.iter().map(|shed| shed.urgency).collect::<Vec<_>>(), [Urgency::Other]);
}

#[test]
fn one_source_does_not_take_the_lane_for_help_from_all_others() {
    let mut world = world(Limits { emergency_calls: 20, per_source: TEN, ..Limits::default() });
    for (from, name) in [(ALICE, "a"), (BOB, "b")] {
        for help in 0..60 {
            let mut draft = Draft::invite("sip:911@example.com").call_id(&format!("help {name} {help}"));
            draft.via = format!("{}-help-{name}-{help}", draft.via);
            world.receive(from, draft.bytes());
        }
        // Eight in the lane, and twenty as any other call's.
        assert_eq!(world.sent_to(CORE).len(), 28, "{from}");
        world.sent_to(from);
    }
}
