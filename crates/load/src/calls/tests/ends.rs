//! How calls and runs end otherwise than callers mean them to.

use std::time::Duration;

use cusax_sip::{Compose, Message};

use super::world::{CALLEE, CALLER, SERVER, World, plan, reply};
use crate::calls::{Phase, Plan, Role};

fn callees(calls: u64) -> Plan {
    Plan { role: Role::Callee, ..plan(calls) }
}

/// A request of somebody else's caller.
fn request(method: &str, call: &str, tag: &str) -> bytes::Bytes {
    let to =
        if tag.is_empty() { "<sip:bob@example.com>".to_owned() } else { format!("<sip:bob@example.com>;tag={tag}") };
    let branch = if matches!(method, "INVITE" | "CANCEL") { "z9hG4bKi".to_owned() } else { format!("z9hG4bK{method}") };
    Compose::request(method, "sip:bob@example.com")
        .header("Via", &format!("SIP/2.0/UDP {SERVER};branch={branch}{call}"))
        .header("From", "<sip:alice@example.com>;tag=a")
        .header("To", &to)
        .header("Call-ID", call)
        .header("CSeq", &format!("1 {method}"))
        .empty()
}

#[test]
fn the_other_side_may_hang_up_first() {
    let mut world = World::with_server(Plan { hold: Duration::from_secs(9), ..plan(1) }, |request| {
        if request.method_text() != "ACK" {
            return vec![reply(request, 200, &[])];
        }
        let bye = Compose::request("BYE", "sip:x@192.0.2.2")
            .header("Via", "SIP/2.0/UDP 192.0.2.3:5060;branch=z9hG4bKbye")
            .header("From", "<sip:bob@example.com>;tag=server")
            .header("To", &format!("<sip:alice@example.com>;tag={}", request.from_tag()))
            .header("Call-ID", request.call_id())
            .header("CSeq", "1 BYE");
        vec![(CALLER, bye.empty())]
    });
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "ACK", "200"]);
    assert_eq!((tally.failures["hung_up"], tally.abandoned), (1, 0));
}

#[test]
fn a_bye_that_is_not_answered_or_refused_is_a_failure() {
    let silent = World::with_server(plan(1), |request| match request.method_text() {
        "INVITE" => vec![reply(request, 200, &[])],
        _ => Vec::new(),
    })
    .run();
    assert_eq!((silent.failures["bye_no_answer"], silent.retransmissions.bye), (1, 10));
    let refusing = World::with_server(plan(1), |request| match request.method_text() {
        "INVITE" => vec![reply(request, 200, &[])],
        "BYE" => vec![reply(request, 481, &[])],
        _ => Vec::new(),
    })
    .run();
    assert_eq!(refusing.failures["bye_481"], 1);
}

#[test]
fn a_run_that_is_broken_off_hangs_up_and_gives_the_rest_two_seconds() {
    let mut world = World::with_server(Plan { hold: Duration::from_secs(60), ..plan(1_000) }, {
        let mut count = 0;
        move |request: &Message| {
            count += usize::from(request.method_text() == "INVITE");
            // Every other call is never answered.
            if count % 2 == 0 { Vec::new() } else { vec![reply(request, 200, &[])] }
        }
    });
    world.run_for(Duration::from_millis(95));
    let begun = world.calls.tally().calls;
    assert_eq!((begun, world.calls.live()), (10, 10));
    world.calls.stop(world.now);
    world.flush();
    assert_eq!(world.all("BYE").len(), 5);
    let tally = world.run();
    assert_eq!(world.now.duration_since(world.begin), Duration::from_millis(2_095));
    assert_eq!((tally.calls, tally.failed + tally.succeeded + tally.abandoned), (10, 10));
    assert!(tally.abandoned >= 5, "{tally:?}");
}

#[test]
fn a_callee_repeats_its_answer_until_the_ack() {
    let mut world = World::with_server(callees(1), |_| Vec::new());
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    let tally = world.run();
    assert_eq!(world.times("200")[..5], [0, 500, 1_500, 3_500, 7_500]);
    assert_eq!((tally.calls, tally.failures["no_ack"], tally.retransmissions.response), (1, 1, 10));
}

#[test]
fn what_comes_again_after_a_call_is_answered_without_a_memory_of_it() {
    let mut world = World::with_server(callees(9), |_| Vec::new());
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    assert_eq!(world.words(), ["180", "200", "200"]);
    let tag = world.all("200")[0].to_tag().to_owned();
    world.inject(SERVER, CALLEE, request("ACK", "one", &tag));
    world.inject(SERVER, CALLEE, request("INVITE", "again", &tag));
    world.inject(SERVER, CALLEE, request("BYE", "one", &tag));
    world.inject(SERVER, CALLEE, request("BYE", "one", &tag));
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    world.inject(SERVER, CALLEE, request("ACK", "one", &tag));
    assert_eq!(world.words(), ["180", "200", "200", "488", "200", "200"]);
    let tally = world.calls.tally();
    assert_eq!((tally.calls, tally.succeeded, tally.repeated, tally.after_end), (1, 1, 2, 2));
    // A message is no longer under way than five seconds.
    world.now += Duration::from_secs(5);
    world.calls.handle_timeout(world.now);
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    assert_eq!(world.calls.tally().calls, 2);
}

#[test]
fn a_call_may_be_cancelled_while_it_rings() {
    let mut world = World::with_server(Plan { ring: Duration::from_secs(9), ..callees(1) }, |_| Vec::new());
    world.inject(SERVER, CALLEE, request("CANCEL", "one", ""));
    world.inject(SERVER, CALLEE, request("INVITE", "one", ""));
    world.inject(SERVER, CALLEE, request("CANCEL", "one", ""));
    assert_eq!(world.words(), ["481", "180", "200", "487"]);
    let tag = world.all("487")[0].to_tag().to_owned();
    assert_eq!(world.all("180")[0].to_tag(), tag);
    world.inject(SERVER, CALLEE, request("ACK", "one", &tag));
    world.calls.handle_timeout(world.now);
    assert_eq!((world.calls.phase(), world.calls.tally().calls), (Phase::Over, 1));
}

#[test]
fn what_belongs_to_no_call_is_counted_and_answered_where_somebody_waits() {
    let mut world = World::with_server(callees(9), |_| Vec::new());
    for (method, tag) in [("OPTIONS", ""), ("BYE", "x"), ("ACK", "x"), ("NOTIFY", ""), ("INVITE", "x")] {
        world.inject(SERVER, CALLEE, request(method, "one", tag));
    }
    assert_eq!(world.words(), ["200", "481", "501", "481"]);
    world.inject(SERVER, CALLEE, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKother\r\n\r\n");
    assert_eq!(world.calls.tally().unmatched, 6);
    assert_eq!(world.calls.tally().calls, 0);
}
