//! A service that is told to stop tells those who are in it.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::time::Duration;

use cusax_load::phone::within;
use cusax_tests::interop::{KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::server::ROOMS;
use cusax_tests::tour::Stage;
use rustix::process::{Pid, Signal, kill_process};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_calls_of_conferences_with_a_reason_and_then_the_process() {
    if !available("stopping", &[KAMAILIO, PROSODY, SIPP]) {
        return;
    }
    let mut stage = Stage::raise("stopping", |_, _| {}).await.unwrap();
    let room = format!("stopping@{ROOMS}").parse().unwrap();
    let mut calls = Vec::new();
    for user in ["alice", "bob"] {
        let entered = stage.chat(user).await.unwrap().enter(&room, user, None, within(SOON)).await.unwrap();
        if entered.created {
            stage.chat(user).await.unwrap().configure(&room, &[], within(SOON)).await.unwrap();
        }
        let call = stage.phone(user, None).unwrap().call(&format!("sip:{room}"), &[]).unwrap();
        call.answered(within(SOON)).await.unwrap();
        calls.push(call);
    }
    let pid = Pid::from_raw(i32::try_from(stage.process.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    for call in calls {
        let ended = call.ended(within(SOON)).await.unwrap();
        assert_eq!(ended.cause.as_deref(), Some("SIP;cause=503;text=\"The service stops\""));
    }
    let log = stage.process.log();
    let status = stage.process.end().unwrap();
    assert!(status.success(), "{status}\n{log}");
}
