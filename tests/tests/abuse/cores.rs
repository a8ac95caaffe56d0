//! A core server that is killed under load and comes back: calls that stood are there when it is, and new ones go to the other.

use std::time::Duration;

use cusax_load::phone::within;
use cusax_net::clock;
use cusax_sip::Method;
use cusax_tests::interop::{CUSAX, available};
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Edge, Hop};

use crate::house::{USERS, quiet};
use crate::many;
use crate::neighbour::Neighbour;
use crate::stub::{End, Stub};

/// Known to be down without traffic (ARCHITECTURE.md, "The core servers"), with room for a slow machine.
const KNOWN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_is_killed_under_load_loses_no_call_and_new_ones_go_to_the_other() {
    if available("killed cores", &[CUSAX]) {
        outlives(End::Killed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_hangs_under_load_loses_no_call_and_new_ones_go_to_the_other() {
    if available("hung cores", &[CUSAX]) {
        outlives(End::Hung).await;
    }
}

async fn outlives(end: End) {
    let scratch = Scratch::new("cores").unwrap();
    let (first, second) =
        (Stub::start(([127, 0, 0, 1], 0).into()).await, Stub::start(([127, 0, 0, 1], 0).into()).await);
    let cores = [first.address(), second.address()];
    let mut edge = Edge::install_before(&scratch, &cores, Hop::Udp, &USERS, "").unwrap();
    quiet(&edge);
    edge.serve().await.unwrap();

    // Calls stand on the first, by several phones.
    let mut phones = Vec::new();
    for (user, password) in USERS.into_iter().cycle().take(many(8, 40)) {
        let mut phone = Neighbour::new(user, password, edge.access()).await;
        let mut standing = Vec::new();
        for _ in 0..5 {
            standing.push(phone.call().await);
        }
        phones.push((phone, standing));
    }
    assert!(phones.iter().flat_map(|(_, standing)| standing).all(|call| first.saw(Method::Invite, &call.call)));

    // It dies while they go on calling, and everybody who calls gets through.
    let address = first.address();
    let left = first.end(end).await;
    let mut load = tokio::task::JoinSet::new();
    for (mut phone, standing) in phones {
        load.spawn(async move {
            let mut calls = Vec::new();
            for _ in 0..many(4, 60) {
                let call = phone.call().await;
                phone.hang_up(&call).await;
                calls.push(call.call);
            }
            (phone, standing, calls)
        });
    }
    let done = load.join_all().await;
    assert!(done.iter().flat_map(|(_, _, calls)| calls).all(|call| second.saw(Method::Invite, call)));

    // It comes back where it was, and the calls that stood on it end there.
    drop(left);
    let first = Stub::start(address).await;
    for (mut phone, standing, _) in done {
        for call in standing {
            phone.hang_up(&call).await;
            assert!(first.saw(Method::Bye, &call.call) && !second.saw(Method::Bye, &call.call));
        }
    }
    // And it gets new ones again.
    let mut phone = Neighbour::new("alice", USERS[0].1, edge.access()).await;
    let deadline = within(KNOWN);
    loop {
        let call = phone.call().await;
        phone.hang_up(&call).await;
        if first.saw(Method::Invite, &call.call) {
            break;
        }
        assert!(clock::now() < deadline, "nothing new goes to the core that came back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let log = edge.process().unwrap().log();
    assert!(!log.contains("panicked"));
}
