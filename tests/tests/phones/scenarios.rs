//! SIPp on both ends of the edge and Kamailio: each test plays `tests/scenarios/NAME-caller.xml` and `NAME-callee.xml`.

use cusax_tests::interop::{CUSAX, KAMAILIO, SIPP, available};
use cusax_tests::ports::Port;
use cusax_tests::server::scenario::{Played, received};
use cusax_tests::server::{Player, Scenario};

use crate::stage::Stage;
use crate::wire::Wire;

/// What both sides of a scenario saw.
struct Seen {
    caller: Vec<Played>,
    callee: Vec<Played>,
}

/// Plays the two roles of a scenario.
async fn play(stage: &Stage, name: &str, caller: Player<'_>, callee: Player<'_>) -> Seen {
    let called = Scenario::start(&stage.scratch, &format!("{name}-callee"), callee).unwrap().waits().await.unwrap();
    let caller = Player { target: callee.user, ..caller };
    let calling = Scenario::start(&stage.scratch, &format!("{name}-caller"), caller).unwrap();
    Seen { caller: calling.played().await.unwrap(), callee: called.played().await.unwrap() }
}

/// Brings everything up and lets alice call bob.
async fn once(name: &str) -> Option<Seen> {
    if !available(name, &[CUSAX, KAMAILIO, SIPP]) {
        return None;
    }
    let stage = Stage::raise_without_challenge().await;
    let (mut first, mut second) = (Port::free().unwrap(), Port::free().unwrap());
    let (alice, bob) = (stage.sipp("alice", &mut first).await, stage.sipp("bob", &mut second).await);
    Some(play(&stage, name, alice, bob).await)
}

fn headers(message: &Played, name: &str) -> Vec<String> {
    message.header(name).map(str::to_owned).collect()
}

/// How often requests of this method came.
fn count(played: &[Played], method: &str) -> usize {
    received(played, method).count()
}

#[tokio::test]
async fn provisional_responses_are_reliable_and_offers_change_by_update_both_ways() {
    if !available("prack and update", &[CUSAX, KAMAILIO, SIPP]) {
        return;
    }
    let stage = Stage::raise_without_challenge().await;
    let (mut first, mut second) = (Port::free().unwrap(), Port::free().unwrap());
    let (alice, bob) = (stage.sipp("alice", &mut first).await, stage.sipp("bob", &mut second).await);
    for (caller, callee) in [(alice, bob), (bob, alice)] {
        let seen = play(&stage, "reliable", caller, callee).await;
        let racks: Vec<_> = received(&seen.callee, "PRACK ").flat_map(|message| headers(message, "RAck")).collect();
        assert_eq!(racks, ["1 1 INVITE", "2 1 INVITE"]);
        for status in ["SIP/2.0 183", "SIP/2.0 180"] {
            let response = received(&seen.caller, status).next().unwrap();
            assert_eq!(headers(response, "Require"), ["100rel"]);
        }
        assert_eq!((count(&seen.callee, "UPDATE"), count(&seen.caller, "UPDATE")), (1, 1));
    }
}

#[tokio::test]
async fn two_phones_play_early_media_in_dialogs_of_their_own_and_one_answers() {
    if !available("forked", &[CUSAX, KAMAILIO, SIPP]) {
        return;
    }
    let stage = Stage::raise_without_challenge().await;
    let [mut first, mut second, mut third] = [(); 3].map(|()| Port::free().unwrap());
    let alice = stage.sipp("alice", &mut first).await;
    let bobs = [stage.sipp("bob", &mut second).await, stage.sipp("bob", &mut third).await];
    let called = bobs.map(|bob| Scenario::start(&stage.scratch, "forked-callee", bob).unwrap());
    let mut waiting = Vec::new();
    for scenario in called {
        waiting.push(scenario.waits().await.unwrap());
    }
    let caller = Player { target: "bob", ..alice };
    let caller = Scenario::start(&stage.scratch, "forked-caller", caller).unwrap().played().await.unwrap();
    let mut callees = Vec::new();
    for scenario in waiting {
        callees.push(scenario.played().await.unwrap());
    }
    let early: Vec<_> = received(&caller, "SIP/2.0 183").collect();
    assert!(early.iter().all(|response| response.text.contains("m=audio")), "early media");
    let tags: Vec<_> = early.iter().flat_map(|response| headers(response, "To")).collect();
    assert_eq!(tags.len(), 2);
    assert_ne!(tags[0], tags[1], "one early dialog for each phone");
    let answers = received(&caller, "SIP/2.0 200").filter(|response| headers(response, "CSeq") == ["1 INVITE"]);
    let answered: Vec<_> = answers.flat_map(|response| headers(response, "To")).collect();
    assert!(answered.len() == 1 && tags.contains(&answered[0]), "{answered:?} of {tags:?}");
    assert!(received(&caller, "SIP/2.0 487").next().is_none(), "the other's end is nothing to the caller");
    assert_eq!(count(&caller, "BYE"), 1);
    let mut met: Vec<_> = callees.iter().map(|seen| (count(seen, "CANCEL"), count(seen, "ACK"))).collect();
    met.sort_unstable();
    assert_eq!(met, [(0, 1), (1, 1)]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_while_it_rings_gets_487() {
    let Some(seen) = once("cancelled").await else { return };
    assert_eq!(count(&seen.callee, "CANCEL"), 1);
    assert!(received(&seen.caller, "SIP/2.0 487").next().is_some());
}

#[tokio::test]
async fn a_cancel_that_crosses_the_answer_leaves_a_call() {
    let Some(seen) = once("crossed").await else { return };
    assert_eq!((count(&seen.callee, "CANCEL"), count(&seen.caller, "BYE")), (1, 1));
}

#[tokio::test]
async fn a_cancel_after_the_answer_reaches_nobody() {
    let Some(seen) = once("late").await else { return };
    assert_eq!((count(&seen.callee, "CANCEL"), count(&seen.caller, "BYE")), (0, 1));
}

#[tokio::test]
async fn refusals_come_back_as_they_are() {
    let Some(seen) = once("refused").await else { return };
    for (status, name, value) in [
        ("302 Moved", "Contact", "<sip:carol@biloxi.example>;q=0.5, <tel:+15550100>"),
        ("404 Nobody \"here\"", "Reason", "Q.850;cause=1;text=\"Unallocated\""),
        ("486 Busy Here", "Retry-After", "120 (in a meeting);duration=60"),
        ("501 Not Implemented", "Warning", "399 bob \"no\""),
        ("603 Decline", "Error-Info", "<sip:no@bob.example>"),
    ] {
        let line = format!("SIP/2.0 {status}\r\n");
        let refusal = received(&seen.caller, &line).next().expect(status);
        assert_eq!(headers(refusal, name), [value]);
    }
    assert_eq!(count(&seen.callee, "ACK"), 5);
}

#[tokio::test]
async fn what_is_sent_five_times_arrives_once() {
    if !available("storm", &[CUSAX, KAMAILIO, SIPP]) {
        return;
    }
    let stage = Stage::raise_without_challenge().await;
    let mut port = Port::free().unwrap();
    let bob = stage.sipp("bob", &mut port).await;
    let callee = Scenario::start(&stage.scratch, "storm-callee", bob).unwrap().waits().await.unwrap();
    let mut alice = Wire::new("alice", stage.edge.access()).await;
    let invite = alice.invite("sip:bob@example.com", "storm");
    alice.send(&invite, 5).await;
    let answer = alice.receive("SIP/2.0 200", "INVITE").await;
    alice.send(&alice.within(&answer, "ACK", 1), 5).await;
    // RFC 3261 §16.11: the ACK to a 2xx is no transaction's. The callee asks once it has all of them.
    let info = alice.receive("INFO ", "1 INFO").await;
    alice.send(&info.ok(), 1).await;
    // And again once it has the answer, which nothing that comes now can overtake any more.
    alice.receive("INFO ", "2 INFO").await;
    alice.send(&alice.within(&answer, "BYE", 2), 5).await;
    alice.receive("SIP/2.0 200", "BYE").await;
    let seen = callee.played().await.unwrap();
    let met = ["INVITE", "BYE"].map(|method| count(&seen, method));
    assert_eq!(met, [1, 1], "transactions end retransmissions");
}

#[tokio::test]
async fn what_no_standard_has_passes_unharmed() {
    let Some(seen) = once("odd").await else { return };
    let request = received(&seen.callee, "FROBNICATE ").next().unwrap();
    for line in [
        "X-Odd: \"quoted, comma\" ; semi;colon=<angle>\r\n",
        "x-ODD:second\r\n",
        "Event: x;id=1\r\n",
        "Geolocation-Routing: no\r\n",
    ] {
        assert!(request.text.contains(line), "{line:?} in {}", request.text);
    }
    let response = received(&seen.caller, "SIP/2.0 299 Frobnicated; really\r\n").next().unwrap();
    assert_eq!(headers(response, "X-Answer"), ["a, b;c=\"d\""]);
}
