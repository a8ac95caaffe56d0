//! The edge ends in mid-call, by a crash or by command, and comes again with the same files: bindings and dialogs over UDP live on, for
//! their flow tokens need no table. A call that rings meanwhile is lost, and costs nobody the next one.

use cusax_tests::interop::{CUSAX, KAMAILIO, available};

use crate::call::{connect, hang_up, hold};
use crate::stage::Stage;
use crate::wire::Wire;

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

/// How the edge ends.
#[derive(Clone, Copy)]
enum End {
    Killed,
    Told,
}

async fn survives(end: End) {
    let mut stage = Stage::raise().await;
    let (alice, bob) = (stage.phone("alice", ALICE).await, stage.phone("bob", BOB).await);
    let bindings = stage.kamailio.bindings().unwrap();
    let (to_bob, from_alice) = connect(&alice, &bob, [BOB, ALICE]).await;
    let (to_alice, from_bob) = connect(&bob, &alice, [ALICE, BOB]).await;

    let mut edge = stage.edge.take().unwrap();
    match end {
        End::Killed => assert!(!edge.kill().unwrap().success()),
        End::Told => assert!(edge.end().unwrap().success()),
    }
    stage.edge.serve().await.unwrap();

    hold(&to_bob, &from_alice).await;
    hold(&from_alice, &to_bob).await;
    hold(&from_bob, &to_alice).await;
    hang_up(&to_bob, &from_alice).await;
    hang_up(&from_bob, &to_alice).await;

    for (caller, callee, hears) in [(&alice, &bob, [BOB, ALICE]), (&bob, &alice, [ALICE, BOB])] {
        let (outgoing, incoming) = connect(caller, callee, hears).await;
        hang_up(&incoming, &outgoing).await;
    }
    let contacts = |dump: &str| dump.lines().filter(|line| line.contains("Address:")).count();
    assert_eq!(contacts(&stage.kamailio.bindings().unwrap()), contacts(&bindings), "nobody has registered again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_bindings_outlive_an_edge_that_is_killed() {
    if available("restart", &[CUSAX, KAMAILIO]) {
        survives(End::Killed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_bindings_outlive_an_edge_that_is_told_to_stop() {
    if available("restart", &[CUSAX, KAMAILIO]) {
        survives(End::Told).await;
    }
}

#[tokio::test]
async fn a_call_that_rings_when_the_edge_is_killed_ends_and_the_next_one_is_made() {
    if !available("restart", &[CUSAX, KAMAILIO]) {
        return;
    }
    let mut stage = Stage::raise_without_challenge().await;
    let access = stage.edge.access();
    let (mut alice, mut bob) = (Wire::new("alice", access).await, Wire::new("bob", access).await);
    bob.send(&bob.register(), 1).await;
    bob.receive("SIP/2.0 200", "REGISTER").await;
    let invite = alice.invite("sip:bob@example.com", "rings");
    alice.send(&invite, 1).await;
    let ringing = bob.receive("INVITE ", "INVITE").await;
    bob.send(&ringing.answer("180 Ringing", &bob.contact()), 1).await;
    alice.receive("SIP/2.0 180", "INVITE").await;
    let again = alice.invite("sip:bob@example.com", "again");
    alice.send(&again, 1).await;
    let first = bob.receive("INVITE ", "INVITE").await;

    assert!(!stage.edge.take().unwrap().kill().unwrap().success());
    let late = alice.invite("sip:bob@example.com", "late");
    alice.send(&late, 1).await;
    stage.edge.serve().await.unwrap();

    // RFC 6026 §7.3: an answer without a transaction is not forwarded. The callee ends the dialog when no ACK comes.
    bob.send(&ringing.answer("200 OK", &bob.contact()), 1).await;
    stage.edge.says(r#""event":"sip.dropped","node":"edge-1","reason":"unmatched""#).await.unwrap();
    // The caller hears at once that there is nothing to cancel, and not in 32 s.
    alice.send(&alice.cancel(&invite), 1).await;
    alice.receive("SIP/2.0 481", "CANCEL").await;
    assert!(!alice.has("SIP/2.0 200"));

    // Timer A: a caller to whom no response came sends again, to an edge that knows nothing of the first. A callee who does finds
    // two that are one (RFC 3261 §8.2.2.2).
    alice.send(&again, 1).await;
    let second = bob.receive("INVITE ", "INVITE").await;
    assert_eq!(["Call-ID", "CSeq", "From"].map(|name| first.one(name) == second.one(name)), [true; 3]);
    assert_ne!(first.one("Via"), second.one("Via"));
    bob.send(&second.answer("482 Merged", ""), 1).await;
    let refused = alice.receive("SIP/2.0 482", "INVITE").await;
    alice.send(&alice.ack(&again, &refused), 1).await;

    // What was lost on the way is not.
    alice.send(&late, 1).await;
    let called = bob.receive("INVITE ", "INVITE").await;
    assert_eq!(called.one("Call-ID"), "late");
    bob.send(&called.answer("200 OK", &bob.contact()), 1).await;
    let answer = alice.receive("SIP/2.0 200", "INVITE").await;
    alice.send(&alice.within(&answer, "ACK", 1), 1).await;
    bob.receive("ACK ", "ACK").await;
    bob.send(&bob.back(&called, "BYE", 1, ""), 1).await;
    let bye = alice.receive("BYE ", "BYE").await;
    alice.send(&bye.ok(), 1).await;
    bob.receive("SIP/2.0 200", "BYE").await;
}
