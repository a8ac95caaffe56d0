//! Kamailio as core over TCP and TLS: phones over UDP, connections between edge and core.

use cusax_tests::interop::{CUSAX, KAMAILIO, KAMAILIO_TLS, Program, available};
use cusax_tests::server::Hop;

use crate::call::{connect, hang_up, hold};
use crate::stage::Stage;

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

async fn calls(hop: Hop, programs: &[Program]) {
    if !available("core over connections", programs) {
        return;
    }
    let stage = Stage::with(hop, "").await;
    let (alice, bob) = (stage.phone("alice", ALICE).await, stage.phone("bob", BOB).await);
    let bindings = stage.kamailio.bindings().unwrap();
    let path = format!("@{};transport={}", stage.edge.core(), hop.as_str());
    assert_eq!(bindings.matches(&path).count(), 2, "{bindings}");
    for (caller, callee, hears) in [(&alice, &bob, [BOB, ALICE]), (&bob, &alice, [ALICE, BOB])] {
        let (outgoing, incoming) = connect(caller, callee, hears).await;
        hold(&outgoing, &incoming).await;
        hold(&incoming, &outgoing).await;
        hang_up(&incoming, &outgoing).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_call_hold_and_hang_up_through_a_core_over_tcp() {
    calls(Hop::Tcp, &[CUSAX, KAMAILIO]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_call_hold_and_hang_up_through_a_core_that_is_known_by_its_certificate() {
    calls(Hop::Tls, &[CUSAX, KAMAILIO, KAMAILIO_TLS]).await;
}
