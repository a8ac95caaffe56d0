//! CANCEL in every race.

use std::time::Duration;

use crate::stage::{A, B, CALLER, Stage, hop, request};

#[test]
fn a_cancel_is_answered_here_and_sent_along_every_branch_that_rings() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 180);
    stage.answer(B, &invites[1], 183);
    stage.at(CALLER);
    stage.receive(CALLER, request("CANCEL", "1"));
    assert_eq!(stage.at(CALLER), ["200"]);
    for (place, invite) in [A, B].iter().zip(&invites) {
        let cancel = stage.request_at(place, "CANCEL");
        assert_eq!(cancel.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
        stage.answer(place, &cancel, 200);
        assert_eq!(stage.at(CALLER), [""; 0], "the INVITE ends when its branches do");
        stage.answer(place, invite, 487);
    }
    assert_eq!(stage.at(CALLER), ["487"]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_cancel_before_any_provisional_response_is_held_back_until_one_comes() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.receive(CALLER, request("CANCEL", "1"));
    assert_eq!(stage.at(A), [""; 0]);
    stage.answer(A, &invite, 100);
    assert_eq!(stage.at(A), ["CANCEL"]);
    stage.answer(A, &invite, 180);
    assert_eq!(stage.at(A), [""; 0], "one is enough");
    stage.answer(A, &invite, 487);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_cancel_that_is_overtaken_by_a_final_response_changes_nothing() {
    for status in [200, 404, 603] {
        let mut stage = Stage::new(&[A]);
        let invite = stage.call().remove(0);
        stage.answer(A, &invite, 180);
        stage.receive(CALLER, request("CANCEL", "1"));
        stage.answer(A, &invite, status);
        assert_eq!(stage.at(CALLER), ["100", "180", "200", status.to_string().as_str()]);
        stage.receive(CALLER, request("ACK", "1"));
        stage.ends_empty();
    }
}

#[test]
fn a_cancel_after_the_final_response_is_answered_with_200_and_goes_nowhere() {
    for status in [200, 486] {
        let mut stage = Stage::new(&[A]);
        let invite = stage.call().remove(0);
        stage.answer(A, &invite, 180);
        stage.answer(A, &invite, status);
        stage.at(CALLER);
        stage.at(A);
        stage.receive(CALLER, request("CANCEL", "1"));
        assert_eq!(stage.at(CALLER), ["200"], "{status}");
        assert_eq!(stage.at(A), [""; 0]);
        stage.receive(CALLER, request("ACK", "1"));
        stage.ends_empty();
    }
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut stage = Stage::new(&[A]);
    stage.receive(CALLER, request("CANCEL", "1"));
    assert_eq!(stage.at(CALLER), ["481"]);
    stage.receive(CALLER, request("CANCEL", "1"));
    assert_eq!(stage.at(CALLER), ["481"], "the same again");
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.proxy.counts(), (0, 0, 0));
}

/// RFC 3261 §9.2: 200 wherever it matches, and nothing else but an INVITE can be cancelled.
#[test]
fn a_cancel_of_another_method_is_200_and_changes_nothing() {
    let mut stage = Stage::new(&[A]);
    stage.receive(CALLER, request("MESSAGE", "1"));
    let message = stage.request_at(A, "MESSAGE");
    let cancel = String::from_utf8(request("CANCEL", "1").to_vec()).unwrap();
    stage.receive(CALLER, cancel.replace("z9hG4bK-INVITE", "z9hG4bK-MESSAGE"));
    assert_eq!(stage.at(CALLER), ["200"]);
    assert_eq!(stage.at(A), [""; 0]);
    stage.answer(A, &message, 202);
    assert_eq!(stage.at(CALLER), ["202"]);
    stage.ends_empty();
}

#[test]
fn a_cancel_while_the_user_of_the_core_still_thinks_ends_the_call_at_once() {
    let mut stage = Stage::new(&[]);
    stage.receive(CALLER, request("INVITE", "1"));
    stage.receive(CALLER, request("CANCEL", "1"));
    assert_eq!(stage.at(CALLER), ["200", "487"]);
    // What it has decided comes too late.
    let context = stage.context.unwrap();
    if let Some(message) = stage.proxy.request(context).cloned() {
        stage.proxy.forward(context, hop(&message, A, false), stage.now);
    }
    stage.settle();
    assert_eq!(stage.at(A), [""; 0]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_cancelled_call_is_not_tried_elsewhere() {
    let mut stage = Stage::with(&[A], &[B], None, 100);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 180);
    stage.receive(CALLER, request("CANCEL", "1"));
    stage.answer(A, &invite, 503);
    assert_eq!(stage.at(B), [""; 0]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_place_that_ignores_a_cancel_is_given_up_and_the_caller_hears_487() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 180);
    stage.receive(CALLER, request("CANCEL", "1"));
    stage.pass(Duration::from_secs(33));
    assert_eq!(stage.at(CALLER)[..4], ["100", "180", "200", "487"]);
    stage.receive(CALLER, request("ACK", "1"));
    stage.ends_empty();
}

#[test]
fn a_branch_that_is_dead_when_another_answers_leaves_nothing_behind() {
    let mut stage = Stage::new(&[A, B]);
    let invites = stage.call();
    stage.answer(A, &invites[0], 180);
    stage.answer(B, &invites[1], 200);
    assert!(stage.at(A).contains(&"CANCEL".to_owned()));
    stage.ends_empty();
}

#[test]
fn a_cancel_that_cannot_be_sent_does_not_end_the_call() {
    let mut stage = Stage::new(&[A]);
    let invite = stage.call().remove(0);
    stage.answer(A, &invite, 180);
    stage.receive(CALLER, request("CANCEL", "1"));
    stage.at(CALLER);
    stage.proxy.handle_unreachable(&crate::stage::flow(A), stage.now);
    stage.settle();
    assert_eq!(stage.at(CALLER), [""; 0]);
    stage.answer(A, &invite, 200);
    assert_eq!(stage.at(CALLER), ["200"]);
    stage.ends_empty();
}
