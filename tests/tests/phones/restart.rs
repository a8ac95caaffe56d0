//! The edge ends in mid-call, by a crash or by command, and comes again with the same files: bindings and dialogs over UDP live on, for
//! their flow tokens need no table.

use std::time::Duration;

use cusax_load::Phone;
use cusax_load::phone::{Call, PhoneError, within};
use cusax_tests::interop::{CUSAX, KAMAILIO, available};

use crate::stage::{Stage, soon};

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

/// How the edge ends.
#[derive(Clone, Copy)]
enum End {
    Killed,
    Told,
}

/// `caller` calls `callee` at `uri`; both ends of the call once both hear each other.
async fn connect(caller: &Phone, callee: &Phone, hears: [f64; 2]) -> (Call, Call) {
    let target = callee.config().address_of_record();
    let outgoing = caller.call(&target, &[]).unwrap();
    let incoming = callee.incoming(soon()).await.unwrap();
    incoming.ring(&[]);
    outgoing.provisional(180, soon()).await.unwrap();
    let incoming = incoming.accept(&[]).unwrap();
    outgoing.answered(soon()).await.unwrap();
    outgoing.until_heard(hears[0], soon()).await.unwrap();
    incoming.until_heard(hears[1], soon()).await.unwrap();
    (outgoing, incoming)
}

/// One holds and resumes; the other sees both offers.
async fn hold(holder: &Call, held: &Call) {
    let before = held.offers().len();
    // The ACK to the other side's last offer may still be on its way.
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let deadline = soon();
    while let Err(error) = holder.hold(deadline).await {
        assert!(matches!(error, PhoneError::Busy { .. }) && within(Duration::ZERO) < deadline, "{error}");
        looks.tick().await;
    }
    let offer = held.reoffered(before, soon()).await.unwrap();
    assert!(String::from_utf8_lossy(offer.message.body()).contains("a=sendonly"));
    holder.resume(soon()).await.unwrap();
    let offer = held.reoffered(before + 1, soon()).await.unwrap();
    assert!(String::from_utf8_lossy(offer.message.body()).contains("a=sendrecv"));
}

async fn hang_up(first: &Call, other: &Call) {
    first.hang_up(&[]);
    let ended = other.ended(soon()).await.unwrap();
    assert_eq!(ended.message.unwrap().method_text(), "BYE");
    first.ended(soon()).await.unwrap();
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
