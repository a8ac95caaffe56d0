//! Calls from beginning to end, with what is lost on the way.

use std::time::Duration;

use super::link::{ALICE, BOB, CONTACTS, Link, outgoing};
use crate::ua::{Body, EndReason, Outgoing, Output};

fn ended(events: &[(usize, Output)], who: usize) -> Vec<EndReason> {
    let of = |(agent, output): &(usize, Output)| match output {
        Output::Ended { reason, .. } if *agent == who => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn failed(events: &[(usize, Output)]) -> Vec<u16> {
    let of = |(_, output): &(usize, Output)| match output {
        Output::Failed { status, .. } => Some(*status),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

const SHORT: Duration = Duration::from_secs(1);

#[test]
fn a_call_rings_is_answered_held_and_hung_up() {
    let mut link = Link::new(1);
    let offer = Body::sdp("v=0 offer");
    let alice = link.agents[ALICE].invite(&Outgoing { body: Some(&offer), ..outgoing() }, link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].progress(bob, 180, CONTACTS[BOB], &[("Warning", "399 x \"y\"")], None, link.now);
    link.until(|agent, output| match output {
        Output::Progress { call, message } => {
            assert_eq!((agent, *call, message.status()), (ALICE, alice, Some(180)));
            Some(())
        }
        _ => None,
    });
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], Some(&Body::sdp("v=0 answer")), link.now);
    link.until(|_, output| match output {
        Output::Answered { message, .. } => {
            assert_eq!(message.body(), b"v=0 answer");
            Some(())
        }
        _ => None,
    });
    link.run(SHORT);
    assert!(link.agents[ALICE].reinvite(alice, &[], Some(&Body::sdp("v=0 hold")), link.now));
    assert!(!link.agents[ALICE].reinvite(alice, &[], None, link.now), "one offer at a time");
    link.until(|_, output| match output {
        Output::Reoffered { call, message } => {
            assert_eq!((*call, message.body()), (bob, &b"v=0 hold"[..]));
            Some(())
        }
        _ => None,
    });
    link.agents[BOB].answer_offer(bob, &[], Some(&Body::sdp("v=0 held")), link.now);
    link.until(|_, output| match output {
        Output::Agreed { message, .. } => {
            assert_eq!(message.body(), b"v=0 held");
            Some(())
        }
        _ => None,
    });
    link.run(SHORT);
    link.agents[BOB].hang_up(bob, &[("Reason", "SIP;cause=200;text=\"kicked\"")], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::Bye], vec![EndReason::HungUp]));
    assert!(link.last(BOB, "BYE sip:alice@192.0.2.1:5060 ").contains("Reason: SIP;cause=200;text=\"kicked\"\r\n"));
    assert_eq!(link.count(ALICE, "ACK"), 2);
}

#[test]
fn repeats_a_lost_200_until_its_ack_comes() {
    let mut link = Link::new(2);
    link.drop_next = vec!["SIP/2.0 200", "SIP/2.0 200", "ACK"];
    let (alice, _) = link.establish();
    assert_eq!((link.count(BOB, "SIP/2.0 200"), link.count(ALICE, "ACK")), (4, 2));
    let times: Vec<_> = link.trace.iter().filter(|(_, _, line)| line.contains(" 200 ")).map(|(at, ..)| *at).collect();
    assert_eq!([times[1] - times[0], times[2] - times[1], times[3] - times[2]], [500, 1_000, 2_000]);
    link.agents[ALICE].hang_up(alice, &[], link.now);
    assert_eq!(ended(&link.drain(), BOB), [EndReason::Bye]);
}

#[test]
fn a_call_whose_ack_never_comes_ends_by_bye() {
    let mut link = Link::new(3);
    link.drop_next = vec!["ACK"; 30];
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::Bye], vec![EndReason::Unacknowledged]));
}

#[test]
fn a_bye_that_overtakes_every_200_ends_the_call_and_its_invite() {
    let mut link = Link::new(17);
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].progress(bob, 180, CONTACTS[BOB], &[], None, link.now);
    link.run(SHORT);
    link.drop_next = vec!["SIP/2.0 200"; 11];
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::Bye], vec![EndReason::Unacknowledged]));
}

#[test]
fn repeats_a_lost_bye_and_ends_even_where_it_never_arrives() {
    let mut link = Link::new(4);
    let (alice, _) = link.establish();
    link.drop_next = vec!["BYE"];
    link.agents[ALICE].hang_up(alice, &[], link.now);
    assert_eq!(ended(&link.drain(), BOB), [EndReason::Bye]);

    let mut link = Link::new(4);
    let (alice, bob) = link.establish();
    link.drop_next = vec!["BYE"; 20];
    link.agents[ALICE].hang_up(alice, &[], link.now);
    assert_eq!(ended(&link.run(Duration::from_secs(60)), ALICE), [EndReason::HungUp]);
    link.drop_next.clear();
    assert!(link.agents[BOB].reinvite(bob, &[], None, link.now));
    assert_eq!(ended(&link.drain(), BOB), [EndReason::Gone], "its next request gets 481");
}

#[test]
fn both_sides_may_hang_up_at_once() {
    let mut link = Link::new(5);
    let (alice, bob) = link.establish();
    link.agents[ALICE].hang_up(alice, &[], link.now);
    link.agents[BOB].hang_up(bob, &[], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::HungUp], vec![EndReason::HungUp]));
}

#[test]
fn no_bye_is_sent_before_the_ack() {
    let mut link = Link::new(6);
    link.drop_next = vec!["ACK"];
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    link.agents[BOB].hang_up(bob, &[], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::Bye], vec![EndReason::HungUp]));
    let at = |start: &str| link.trace.iter().rposition(|(_, _, line)| line.starts_with(start)).unwrap();
    assert!(at("BYE") > at("ACK"));
}

#[test]
fn a_caller_cancels_what_rings() {
    let mut link = Link::new(7);
    let alice = link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].progress(bob, 180, CONTACTS[BOB], &[], None, link.now);
    link.run(SHORT);
    link.agents[ALICE].hang_up(alice, &[("Reason", "SIP;cause=487")], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::HungUp], vec![EndReason::Cancelled]));
    assert!(link.last(ALICE, "CANCEL").contains("Reason: SIP;cause=487\r\n"));
    assert_eq!(link.count(BOB, "SIP/2.0 487"), 1);
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut link = Link::new(8);
    link.drop_next = vec!["SIP/2.0 100"];
    let alice = link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    link.agents[ALICE].hang_up(alice, &[], link.now);
    link.invited();
    assert_eq!(link.count(ALICE, "CANCEL"), 0);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::HungUp], vec![EndReason::Cancelled]));
}

#[test]
fn a_cancel_that_crosses_the_200_becomes_a_bye() {
    let mut link = Link::new(9);
    let alice = link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.run(SHORT);
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    link.agents[ALICE].hang_up(alice, &[], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::HungUp], vec![EndReason::Bye]));
    assert!(!events.iter().any(|(_, output)| matches!(output, Output::Answered { .. })));
}

#[test]
fn a_cancelled_invite_that_never_ends_is_given_up() {
    let mut link = Link::new(10);
    let alice = link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    link.invited();
    link.run(SHORT);
    link.drop_next = vec!["CANCEL"; 20];
    link.agents[ALICE].hang_up(alice, &[], link.now);
    let events = link.drain();
    assert_eq!((ended(&events, ALICE), ended(&events, BOB)), (vec![EndReason::HungUp], vec![EndReason::RangOut]));
}

#[test]
fn a_refusal_and_silence_are_failures() {
    let mut link = Link::new(11);
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.drop_next = vec!["SIP/2.0 486", "ACK"];
    link.agents[BOB].reject(bob, 486, &[("Retry-After", "5")], link.now);
    let events = link.drain();
    assert_eq!((failed(&events), ended(&events, BOB)), (vec![486], vec![EndReason::HungUp]));
    assert!(link.last(BOB, "SIP/2.0 486").contains("Retry-After: 5\r\n"));

    link.drop_next = vec!["INVITE"; 20];
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    assert_eq!(failed(&link.drain()), [408]);
}

#[test]
fn nothing_rings_for_ever() {
    let mut link = Link::new(12);
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let events = link.drain();
    let (alice, bob) = (ended(&events, ALICE).len() + failed(&events).len(), ended(&events, BOB).len());
    assert_eq!((alice, bob), (1, 1));
}

#[test]
fn offers_that_cross_are_made_again() {
    let mut link = Link::new(13);
    let (alice, bob) = link.establish();
    link.run(SHORT);
    assert!(link.agents[ALICE].reinvite(alice, &[], Some(&Body::sdp("from alice")), link.now));
    assert!(link.agents[BOB].reinvite(bob, &[], Some(&Body::sdp("from bob")), link.now));
    let mut agreed = Vec::new();
    let until = link.now + Duration::from_secs(20);
    let mut events = link.flush();
    loop {
        for (agent, output) in events {
            match output {
                Output::Reoffered { call, .. } => link.agents[agent].answer_offer(call, &[], None, link.now),
                Output::Agreed { .. } => agreed.push(agent),
                _ => {}
            }
        }
        match link.step(until) {
            Some(more) => events = more,
            None => break,
        }
    }
    agreed.sort_unstable();
    assert_eq!(agreed, [ALICE, BOB]);
    assert!(link.count(ALICE, "SIP/2.0 491") + link.count(BOB, "SIP/2.0 491") >= 2);
    link.agents[ALICE].hang_up(alice, &[], link.now);
    assert_eq!(ended(&link.drain(), BOB), [EndReason::Bye]);
}

#[test]
fn sends_provisional_responses_reliably_where_the_caller_requires_it() {
    let mut link = Link::new(14);
    let headers: &[_] = &[("Require", "100rel")];
    link.agents[ALICE].invite(&Outgoing { headers, ..outgoing() }, link.now).unwrap();
    let bob = link.invited();
    link.drop_next = vec!["SIP/2.0 183", "PRACK", "SIP/2.0 200"];
    link.agents[BOB].progress(bob, 183, CONTACTS[BOB], &[], None, link.now);
    link.agents[BOB].progress(bob, 180, CONTACTS[BOB], &[], None, link.now);
    let events = link.run(Duration::from_secs(5));
    let progress = events.iter().filter(|(_, output)| matches!(output, Output::Progress { .. })).count();
    assert_eq!(progress, 2, "each once");
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    link.until(|_, output| matches!(output, Output::Acked { .. }).then_some(()));
    link.agents[BOB].hang_up(bob, &[], link.now);
    assert_eq!(ended(&link.drain(), ALICE), [EndReason::Bye]);

    let mut link = Link::new(15);
    link.agents[ALICE].invite(&Outgoing { headers, ..outgoing() }, link.now).unwrap();
    let bob = link.invited();
    link.drop_next = vec!["PRACK"; 30];
    link.agents[BOB].progress(bob, 183, CONTACTS[BOB], &[], None, link.now);
    let events = link.drain();
    assert_eq!((failed(&events), ended(&events, BOB)), (vec![504], vec![EndReason::Unpracked]));
}

#[test]
fn both_halves_of_the_session_id_go_through_the_call() {
    let mut link = Link::new(16);
    let (a, b) = ("ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2");
    let session = a.parse().ok();
    let alice = link.agents[ALICE].invite(&Outgoing { session, ..outgoing() }, link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].set_session(bob, b.parse().unwrap());
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    link.until(|_, output| matches!(output, Output::Acked { .. }).then_some(()));
    link.agents[ALICE].hang_up(alice, &[], link.now);
    link.drain();
    let has = |agent, start, local: &str, remote: &str| {
        let line = format!("Session-ID: {local};remote={remote}\r\n");
        assert!(link.last(agent, start).contains(&line), "{start}: {}", link.last(agent, start));
    };
    has(ALICE, "INVITE", a, &"0".repeat(32));
    has(ALICE, "ACK", a, b);
    has(ALICE, "BYE", a, b);
    has(BOB, "SIP/2.0 200", b, a);
}
