//! Kamailio as core over TCP: phones over UDP, connections between edge and core.

use cusax_tests::interop::{CUSAX, KAMAILIO, available};

use crate::call::{connect, hang_up, hold};
use crate::stage::Stage;

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_call_hold_and_hang_up_through_a_core_over_tcp() {
    if !available("core over tcp", &[CUSAX, KAMAILIO]) {
        return;
    }
    let stage = Stage::raise_over_tcp().await;
    let (alice, bob) = (stage.phone("alice", ALICE).await, stage.phone("bob", BOB).await);
    let bindings = stage.kamailio.bindings().unwrap();
    let path = format!("@{};transport=tcp", stage.edge.core());
    assert_eq!(bindings.matches(&path).count(), 2, "{bindings}");
    for (caller, callee, hears) in [(&alice, &bob, [BOB, ALICE]), (&bob, &alice, [ALICE, BOB])] {
        let (outgoing, incoming) = connect(caller, callee, hears).await;
        hold(&outgoing, &incoming).await;
        hold(&incoming, &outgoing).await;
        hang_up(&incoming, &outgoing).await;
    }
}
