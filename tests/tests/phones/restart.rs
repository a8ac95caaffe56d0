//! The edge ends in mid-call, by a crash or by command, and comes again with the same files: bindings and dialogs over UDP live on, for
//! their flow tokens need no table.

use cusax_tests::interop::{CUSAX, KAMAILIO, available};

use crate::call::{connect, hang_up, hold};
use crate::stage::Stage;

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
