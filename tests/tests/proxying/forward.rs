//! Requests on their way out, and which responses go back.

use std::time::Duration;

use cusax_sip::proxy::{Output, Proxy, TIMER_C};
use cusax_sip::{Compose, Message, Name};

use crate::stage::{A, B, C, CALLER, Stage, answer, flow, request};

#[test]
fn a_request_leaves_with_our_via_and_one_hop_less() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    assert_eq!(invite.values(Name::Via).count(), 2);
    assert_eq!((invite.top_via().unwrap().host, invite.top_via().unwrap().port), ("192.0.2.1", Some(5060)));
    assert_eq!(invite.max_forwards(), Some(69));
    assert_eq!(stage.at(CALLER), ["100"]);
}

#[test]
fn provisional_responses_pass_except_100() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    for status in [100, 180, 183, 199] {
        stage.answer(A, &invite, status);
    }
    assert_eq!(stage.at(CALLER), ["100", "180", "183", "199"]);
}

#[test]
fn the_best_of_several_failures_goes_up_once_all_are_in() {
    for (statuses, best) in [
        ([404, 486, 480], "404"),
        ([404, 407, 486], "407"),
        ([404, 503, 302], "302"),
        ([500, 404, 501], "404"),
        ([503, 503, 503], "500"),
        ([404, 603, 302], "603"),
        ([603, 404, 600], "603"),
        ([408, 486, 503], "486"),
    ] {
        let mut stage = Stage::new(&[A, B, C]);
        let invites = stage.call();
        stage.at(CALLER);
        for ((place, invite), status) in [A, B, C].iter().zip(&invites).zip(statuses) {
            assert_eq!(stage.at(CALLER), [""; 0], "{statuses:?}: not before all are in");
            stage.answer(place, invite, status);
            assert!(stage.at(place).contains(&"ACK".to_owned()), "{statuses:?}");
        }
        assert_eq!(stage.at(CALLER), [best], "{statuses:?}");
        stage.receive(CALLER, request("ACK", "1"));
        stage.ends_empty();
    }
}

#[test]
fn a_2xx_goes_up_at_once_and_cancels_the_others() {
    let mut stage = Stage::new(&[A, B, C]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 180);
    stage.answer(B, &invites[1], 180);
    stage.answer(A, &invites[0], 200);
    assert_eq!(stage.at(CALLER), ["100", "180", "180", "200"]);
    assert_eq!(stage.at(A), [""; 0]);
    assert_eq!(stage.at(B), ["CANCEL"]);
    assert_eq!(stage.at(C), [""; 0], "nobody there has answered yet");
    stage.answer(C, &invites[2], 180);
    assert_eq!(stage.at(C), ["CANCEL"], "as soon as one does");
    stage.answer(B, &invites[1], 487);
    stage.answer(C, &invites[2], 487);
    assert_eq!(stage.at(CALLER), [""; 0]);
    stage.ends_empty();
}

#[test]
fn a_second_2xx_goes_up_as_well_and_so_do_repetitions() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 200);
    stage.answer(B, &invites[1], 200);
    stage.answer(A, &invites[0], 200);
    assert_eq!(stage.at(CALLER), ["100", "200", "200", "200"]);
    stage.pass(Duration::from_secs(33));
    stage.answer(A, &invites[0], 200);
    assert_eq!(stage.at(CALLER), [""; 0], "that late it is nobody's");
    stage.ends_empty();
}

#[test]
fn a_second_2xx_to_another_request_than_invite_is_no_news() {
    let mut stage = Stage::new(&[A, B]);
    stage.receive(CALLER, request("OPTIONS", "1"));
    for place in [A, B] {
        let options = stage.request_at(place, "OPTIONS");
        stage.answer(place, &options, 200);
    }
    assert_eq!(stage.at(CALLER), ["200"]);
    stage.ends_empty();
}

#[test]
fn a_6xx_stops_the_others_and_a_2xx_still_beats_it() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(B, &invites[1], 180);
    stage.at(B);
    stage.answer(A, &invites[0], 603);
    assert_eq!(stage.at(B), ["CANCEL"]);
    stage.answer(B, &invites[1], 200);
    assert_eq!(stage.at(CALLER), ["100", "180", "200"]);
    stage.ends_empty();
}

#[test]
fn the_ack_to_a_2xx_is_forwarded_and_the_ack_to_a_failure_is_not() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 200);
    for _ in 0..2 {
        stage.receive(CALLER, request("ACK", "of its own"));
    }
    let ack = stage.request_at(A, "ACK");
    assert_eq!(ack.values(Name::Via).count(), 2);
    assert_ne!(ack.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!(stage.at(A), ["ACK"]);

    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 486);
    assert_eq!(stage.at(A), ["ACK"], "ours");
    stage.receive(CALLER, request("ACK", "1"));
    assert_eq!(stage.at(A), [""; 0]);
    stage.ends_empty();
}

#[test]
fn silence_is_408_to_an_invite_and_nothing_final_to_all_else() {
    for (method, expected) in
        [("INVITE", &["100", "408"][..]), ("OPTIONS", &["100"]), ("BYE", &["100"]), ("NEWMETHOD", &["100"])]
    {
        let mut stage = Stage::new(&[A, B]);
        stage.receive(CALLER, request(method, "1"));
        stage.pass(Duration::from_millis(32_100));
        assert_eq!(stage.at(CALLER), expected, "{method}");
        if method == "INVITE" {
            stage.receive(CALLER, request("ACK", "1"));
        }
        stage.ends_empty();
    }
}

#[test]
fn what_answers_is_worth_more_than_what_does_not() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 480);
    stage.pass(Duration::from_millis(32_100));
    assert_eq!(stage.at(CALLER), ["100", "480"]);
}

#[test]
fn a_place_that_cannot_be_reached_is_503_and_its_alternate_is_tried_first() {
    let mut stage = Stage::new(&[A]);
    stage.call();
    stage.proxy.handle_unreachable(&flow(A), stage.now);
    stage.settle();
    assert_eq!(stage.at(CALLER), ["100", "503"]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();

    let mut stage = Stage::with(&[A], &[B, C], None, 100);
    let invite = stage.call().remove(0);
    stage.proxy.handle_unreachable(&flow(A), stage.now);
    stage.settle();
    let second = stage.request_at(B, "INVITE");
    assert_ne!(second.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    stage.answer(B, &second, 503);
    let third = stage.request_at(C, "INVITE");
    assert_eq!(stage.at(CALLER), ["100"]);
    stage.answer(C, &third, 200);
    assert_eq!(stage.at(CALLER), ["200"]);
    stage.ends_empty();
}

#[test]
fn alternates_are_for_failures_of_places_and_not_of_callees() {
    let mut stage = Stage::with(&[A], &[B], None, 100);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 486);
    assert_eq!(stage.at(B), [""; 0]);
    assert_eq!(stage.at(CALLER), ["100", "486"]);
}

#[test]
fn timer_c_cancels_what_rings_too_long_and_every_18x_starts_it_again() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    for _ in 0..3 {
        stage.answer(A, &invite, 180);
        stage.pass(TIMER_C.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(stage.at(A), [""; 0]);
    }
    stage.answer(A, &invite, 180);
    stage.pass(TIMER_C.checked_sub(Duration::from_secs(1)).unwrap());
    stage.answer(A, &invite, 100);
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.at(A)[0], "CANCEL", "a 100 is no sign of life");
    stage.answer(A, &invite, 487);
    assert_eq!(stage.at(CALLER).last().unwrap(), "487");
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_flood_of_provisional_responses_arms_no_flood_of_timers() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    for _ in 0..1_000 {
        stage.answer(A, &invite, 180);
        stage.pass(Duration::from_millis(1));
    }
    stage.answer(A, &invite, 200);
    let mut wakes = 0;
    while let Some(due) = stage.proxy.poll_timeout() {
        stage.now = due.max(stage.now);
        stage.proxy.handle_timeout(stage.now);
        stage.settle();
        wakes += 1;
    }
    assert!(wakes < 30, "{wakes}");
    assert_eq!(stage.proxy.counts(), (0, 0, 0));
}

#[test]
fn a_place_that_rings_and_then_is_dead_ends_after_timer_c_and_a_cancel_that_nobody_hears() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 180);
    stage.pass(TIMER_C + Duration::from_secs(33));
    assert!(stage.at(CALLER).contains(&"408".to_owned()));
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_minor_branch_is_heard_and_never_decides() {
    for last in [None, Some(487), Some(200), Some(603)] {
        let mut stage = Stage::with(&[A], &[], Some(B), 100);
        let invites = stage.call();
        stage.answer(B, &invites[0], 183);
        if let Some(status) = last {
            stage.answer(B, &invites[0], status);
        }
        stage.answer(A, &invites[1], 404);
        assert_eq!(stage.at(CALLER), ["100", "183", "404"], "{last:?}");
        assert_eq!(stage.at(B).contains(&"CANCEL".to_owned()), last.is_none());
        stage.receive(CALLER, request("ACK", "1"));
        stage.ends_empty();
    }
}

#[test]
fn a_minor_branch_that_falls_silent_is_no_timeout_of_the_call() {
    let mut stage = Stage::with(&[A], &[], Some(B), 100);
    let invites = stage.call();
    stage.answer(B, &invites[0], 183);
    for _ in 0..3 {
        stage.answer(A, &invites[1], 180);
        stage.pass(Duration::from_secs(100));
    }
    assert!(!stage.at(CALLER).contains(&"408".to_owned()));
    stage.answer(A, &invites[1], 486);
    assert_eq!(stage.at(CALLER), ["486"]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn what_comes_in_one_batch_is_worth_what_it_is_worth_one_by_one() {
    for (first, then, expected) in
        [((A, 200), (B, 200), "200"), ((A, 404), (B, 404), "404"), ((B, 200), (A, 200), "200")]
    {
        let mut stage = Stage::with(&[A], &[], Some(B), 100);
        let invites = stage.call();
        stage.at(CALLER);
        for (place, status) in [first, then, then] {
            let invite = &invites[usize::from(place == A)];
            let message = Message::parse(answer(invite, status, place)).unwrap();
            stage.proxy.handle_message(message, flow(place), stage.now);
        }
        stage.settle();
        assert_eq!(stage.at(CALLER)[..1], [expected], "{first:?} {then:?}");
        stage.receive(CALLER, request("ACK", "1"));
        stage.ends_empty();
    }
}

#[test]
fn no_room_for_another_branch_is_503_and_not_silence() {
    let mut stage = Stage::with(&[A], &[], None, 1);
    stage.receive(CALLER, request("INVITE", "1"));
    let invite = stage.request_at(A, "INVITE");
    stage.answer(A, &invite, 200);
    stage.at(CALLER);
    // The server transaction of the first is over before its client transaction: one more comes in, none goes out.
    let mut stage = Stage::with(&[A, B], &[], None, 1);
    stage.receive(CALLER, request("INVITE", "1"));
    assert!(stage.told.contains(&"dropped"), "the second branch has no room");
    let invite = stage.request_at(A, "INVITE");
    stage.answer(A, &invite, 404);
    assert_eq!(stage.at(CALLER), ["100", "404"]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();

    let mut stage = Stage::with(&[B], &[], Some(A), 1);
    stage.receive(CALLER, request("INVITE", "1"));
    assert_eq!(stage.at(CALLER), ["100", "503"], "the minor branch took the room");
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_response_that_is_for_us_alone_goes_nowhere() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    let via = format!("Via: SIP/2.0/UDP {CALLER};branch=z9hG4bK-INVITE-1\r\n");
    let text = String::from_utf8(answer(&invite, 200, A).to_vec()).unwrap();
    assert!(text.contains(&via));
    stage.at(CALLER);
    stage.receive(A, text.replace(&via, ""));
    assert_eq!(stage.at(CALLER), [""; 0]);
    assert_eq!(stage.told.last(), Some(&"dropped"));
}

/// RFC 5393 §5.3.3: what all of a request's branches may have together is what it came with.
#[test]
fn branches_share_the_breadth_of_their_request() {
    let breadth = |header: &str, places: &[&'static str]| {
        let mut stage = Stage::new(places);
        let invite = String::from_utf8(request("INVITE", "1").to_vec()).unwrap();
        stage.receive(CALLER, invite.replace("Call-ID:", &format!("{header}Call-ID:")));
        let shares: Vec<_> = places.iter().map(|place| stage.at_with(place, Name::MaxBreadth)).collect();
        (shares, stage.at(CALLER))
    };
    assert_eq!(breadth("", &[A]).0, [["60"]]);
    assert_eq!(breadth("", &[A, B, C]).0, [["20"], ["20"], ["20"]]);
    assert_eq!(breadth("Max-Breadth: 5\r\n", &[A, B]).0, [["2"], ["2"]]);
    let (sent, answered) = breadth("Max-Breadth: 2\r\n", &[A, B, C]);
    assert!(sent.iter().all(Vec::is_empty));
    assert_eq!(answered, ["440"]);
    assert_eq!(breadth("Max-Breadth: 0\r\n", &[A]).1, ["440"]);
}

#[test]
fn an_answer_elsewhere_is_the_reason_of_the_cancels() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 180);
    stage.answer(B, &invites[1], 200);
    let reasons = stage.at_with(A, Name::Reason);
    assert_eq!(reasons, ["SIP;cause=200;text=\"Call completed elsewhere\""]);
}

/// RFC 3261 §16.6: one group after the other, until somebody answers or nobody is left.
#[test]
fn later_branches_wait_until_all_before_them_have_failed() {
    let mut stage = Stage::new(&[A]);
    stage.later = vec![B, C];
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 486);
    let second = stage.request_at(B, "INVITE");
    assert_eq!(stage.at(C), [""; 0]);
    stage.answer(B, &second, 404);
    let third = stage.request_at(C, "INVITE");
    stage.answer(C, &third, 480);
    assert_eq!(stage.at(CALLER), ["100", "486"], "the best of all of them");
}

#[test]
fn a_6xx_a_2xx_and_a_cancel_end_the_search() {
    for status in [603, 200] {
        let mut stage = Stage::new(&[A]);
        stage.later = vec![B];
        let invite = stage.call().remove(0);
        stage.answer(A, &invite, status);
        assert_eq!(stage.at(B), [""; 0], "{status}");
        assert_eq!(stage.at(CALLER), ["100".to_owned(), status.to_string()]);
    }
    let mut stage = Stage::new(&[A]);
    stage.later = vec![B];
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 180);
    stage.receive(CALLER, request("CANCEL", "1"));
    stage.answer(A, &invite, 487);
    assert_eq!(stage.at(B), [""; 0]);
    assert_eq!(stage.at(CALLER), ["100", "180", "200", "487"]);
}

#[test]
fn a_request_other_than_invite_that_nobody_answers_gets_100_when_timer_e_is_at_t2() {
    let mut stage = Stage::new(&[A]);
    stage.receive(CALLER, request("MESSAGE", "1"));
    let message = stage.request_at(A, "MESSAGE");
    stage.pass(Duration::from_millis(3_499));
    assert_eq!(stage.at(CALLER), [""; 0], "RFC 4320 §4.1: not before");
    stage.receive(CALLER, request("MESSAGE", "1"));
    assert_eq!(stage.at(CALLER), [""; 0]);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.at(CALLER), ["100"]);
    stage.receive(CALLER, request("MESSAGE", "1"));
    assert_eq!(stage.at(CALLER), ["100"], "again for who asks again");
    stage.answer(A, &message, 200);
    assert_eq!(stage.at(CALLER), ["200"]);
    stage.ends_empty();
}

#[test]
fn a_request_that_was_answered_gets_no_100() {
    let mut stage = Stage::new(&[A]);
    stage.receive(CALLER, request("MESSAGE", "1"));
    let message = stage.request_at(A, "MESSAGE");
    stage.answer(A, &message, 404);
    assert_eq!(stage.at(CALLER), ["404"]);
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.at(CALLER), [""; 0]);
    stage.ends_empty();
}

#[test]
fn a_challenge_brings_those_of_all_branches() {
    let mut stage = Stage::new(&[A, B, C]);
    let invites = stage.call();
    stage.at(CALLER);
    let challenge = |invite, status, lines: &[(&str, &str)]| {
        let mut compose = Compose::response(invite, status, None, Some("b"));
        for (name, value) in lines {
            compose = compose.header(name, value);
        }
        compose.empty()
    };
    let a = r#"Digest realm="a", nonce="1", qop="auth,auth-int", algorithm=SHA-256"#;
    let b = r#"Digest realm="b, \"or\" so", nonce="2""#;
    let c = r#"Digest realm="c", nonce="3""#;
    stage.receive(A, challenge(&invites[0], 401, &[("WWW-Authenticate", a)]));
    stage.receive(B, challenge(&invites[1], 407, &[("Proxy-Authenticate", b), ("Proxy-Authenticate", c)]));
    stage.answer(C, &invites[2], 486);
    let sent = stage.sent.iter().find(|(_, message)| message.status().is_some()).unwrap().1.clone();
    assert_eq!(sent.status(), Some(401));
    assert_eq!(sent.values(Name::WwwAuthenticate).collect::<Vec<_>>(), [a]);
    assert_eq!(sent.values(Name::ProxyAuthenticate).collect::<Vec<_>>(), [b, c]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_final_response_that_lost_the_callers_via_ends_its_branch() {
    for method in ["INVITE", "MESSAGE"] {
        let mut stage = Stage::new(&[A]);
        stage.receive(CALLER, request(method, "1"));
        let sent = stage.request_at(A, method);
        let lost = Compose::request(method, "sip:x")
            .header("Via", sent.values(Name::Via).next().unwrap())
            .header("CSeq", &format!("1 {method}"));
        let lost = Message::parse(lost.empty()).unwrap();
        stage.receive(A, Compose::response(&lost, 486, None, Some("a")).empty());
        assert_eq!(stage.at(CALLER).last().unwrap(), "502", "{method}");
        if method == "INVITE" {
            stage.receive(CALLER, request("ACK", "1"));
        }
        stage.ends_empty();
    }
}

#[test]
fn a_call_that_is_answered_here_is_forgotten() {
    let (mut proxy, now) = (Proxy::new([1, 2], 10), cusax_net::clock::now());
    let invite = Message::parse(request("INVITE", "1")).unwrap();
    proxy.handle_message(invite.clone(), flow(CALLER), now);
    let Some(Output::Request { context, .. }) = proxy.poll_output() else { panic!("no request") };
    proxy.respond(context, 200, answer(&invite, 200, A), now);
    proxy.handle_timeout(now + Duration::from_secs(33));
    assert_eq!(proxy.counts(), (0, 0, 0));
}
