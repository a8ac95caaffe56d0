//! Lost, repeated and reordered messages, and times that were not kept.

use std::time::Duration;

use super::world::{World, plan, reply};
use crate::calls::Plan;

#[test]
fn a_call_of_no_length_is_six_messages() {
    let mut world = World::direct(plan(1));
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "180", "200", "ACK", "BYE", "200"]);
    assert_eq!((tally.calls, tally.succeeded, tally.failed, tally.arrived), (1, 1, 0, 1));
    assert_eq!((tally.sent, tally.received), (6, 6));
    assert_eq!((tally.setup.count(), tally.ringing.count(), tally.bye.count()), (1, 1, 1));
}

#[test]
fn calls_ring_and_are_held_as_long_as_asked_for() {
    let mut world = World::direct(Plan { ring: Duration::from_secs(3), hold: Duration::from_secs(60), ..plan(1) });
    let tally = world.run();
    assert_eq!(world.times("200"), [3_000, 63_000]);
    assert_eq!((world.times("BYE"), tally.succeeded), (vec![63_000], 1));
    assert_eq!(tally.retransmissions.sum(), 0);
    assert!(
        tally.setup.max().unwrap() >= Duration::from_secs(3) && tally.ringing.max().unwrap() < Duration::from_millis(1)
    );
}

#[test]
fn calls_get_through_links_that_lose_repeat_and_reorder() {
    let (mut again, mut repeated) = (0, 0);
    for seed in 1..40 {
        let hold = Duration::from_millis(100 * (seed % 3));
        let ring = Duration::from_millis(70 * (seed % 4));
        let mut world = World::direct(Plan { hold, ring, seed, ..plan(50) });
        (world.loss, world.duplicates, world.delay) = (15, 10, Duration::from_millis(80));
        let tally = world.run();
        assert_eq!((tally.calls, tally.succeeded, tally.failed), (50, 50, 0), "seed {seed}: {:?}", tally.failures);
        assert_eq!((tally.arrived, tally.unmatched, tally.malformed), (50, 0, 0), "seed {seed}");
        again += tally.retransmissions.sum();
        repeated += tally.repeated + tally.after_end;
    }
    assert!(again > 1_000 && repeated > 1_000, "{again} {repeated}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut world = World::direct(Plan { seed, ..plan(30) });
        (world.loss, world.delay) = (20, Duration::from_millis(50));
        world.run();
        world.log
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn an_invite_that_nobody_answers_is_sent_seven_times() {
    let mut world = World::with_server(plan(1), |_| Vec::new());
    let tally = world.run();
    assert_eq!(world.times("INVITE"), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(world.now.duration_since(world.begin), Duration::from_secs(32));
    assert_eq!((tally.failed, tally.failures["no_answer"], tally.retransmissions.invite), (1, 1, 6));
}

#[test]
fn a_call_that_rings_for_ever_is_cancelled_and_counted_once() {
    let mut ringing = None;
    let mut world = World::with_server(plan(1), move |request| match request.method_text() {
        "INVITE" => {
            ringing = Some(request.clone());
            vec![reply(request, 180, &[])]
        }
        "CANCEL" => {
            let invite = ringing.take().unwrap();
            assert_eq!(invite.top_via().unwrap().branch(), request.top_via().unwrap().branch());
            vec![reply(request, 200, &[]), reply(&invite, 487, &[])]
        }
        _ => Vec::new(),
    });
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "CANCEL", "ACK"]);
    assert_eq!((tally.failed, tally.failures["no_answer"], tally.abandoned), (1, 1, 0));
}

#[test]
fn a_call_that_is_answered_as_it_is_cancelled_is_hung_up() {
    let mut ringing = None;
    let mut world = World::with_server(plan(1), move |request| match request.method_text() {
        "INVITE" => {
            ringing = Some(request.clone());
            vec![reply(request, 180, &[])]
        }
        "CANCEL" => vec![reply(request, 200, &[]), reply(ringing.as_ref().unwrap(), 200, &[])],
        "BYE" => vec![reply(request, 200, &[])],
        _ => Vec::new(),
    });
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert_eq!((tally.failed, tally.succeeded, tally.setup.count()), (1, 0, 0));
}

#[test]
fn times_count_from_when_a_call_was_to_begin() {
    let mut world = World::direct(plan(10));
    // The generator stands still for as long as five calls take to begin.
    world.now += Duration::from_millis(45);
    world.calls.handle_timeout(world.now);
    world.flush();
    let tally = world.run();
    assert_eq!((tally.calls, tally.succeeded, tally.late), (10, 10, 5));
    assert_eq!(tally.latest, Duration::from_millis(45));
    assert!(tally.setup.max().unwrap().abs_diff(tally.latest) < Duration::from_millis(1));
    assert!(tally.setup.quantile(0.5).unwrap() <= Duration::from_millis(6));
}

#[test]
fn calls_beyond_the_cap_are_not_begun() {
    let mut world = World::direct(Plan { hold: Duration::from_secs(1), concurrency: 10, ..plan(15) });
    let tally = world.run();
    assert_eq!((tally.calls, tally.succeeded, tally.capped), (10, 10, 5));
}
