//! The conference command's own proof: where there is no conference, it says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::net::IpAddr;
use std::time::Duration;

use cusax_load::conference::{Plan, run};
use cusax_load::phone::{PRESENT_DBFS, within};
use cusax_load::{Phone, PhoneConfig, PhoneError};

fn plan(bob: &Phone) -> Plan {
    Plan {
        to: "sip:standup@conference.example.com".to_owned(),
        proxy: bob.address(),
        bind: IpAddr::from([127, 0, 0, 1]),
        domain: "example.com".to_owned(),
        accounts: Vec::new(),
        phones: 2,
        duration: Duration::from_millis(500),
    }
}

fn bob() -> Phone {
    Phone::start(PhoneConfig::new("bob", "example.com", "", "127.0.0.1:9".parse().unwrap(), 1_000.0)).unwrap()
}

#[tokio::test]
async fn phones_that_each_talk_to_bob_alone_do_not_hear_one_another() {
    let bob = bob();
    let plan = plan(&bob);
    let answer = async {
        let mut calls = Vec::new();
        for _ in 0..plan.phones {
            let ringing = bob.incoming(within(Duration::from_secs(10))).await.unwrap();
            calls.push(ringing.accept(&[]).unwrap());
        }
        for call in &calls {
            call.ended(within(Duration::from_secs(10))).await.unwrap();
        }
        calls
    };
    let (matrix, calls) = tokio::join!(run(&plan), answer);
    let matrix = matrix.unwrap();
    assert_eq!(calls.len(), 2);
    assert!(!matrix.is_right());
    assert!(matrix.levels.iter().flatten().all(|level| *level < PRESENT_DBFS), "{matrix}");
    assert_eq!(matrix.setup.len(), 2);
}

#[tokio::test]
async fn a_conference_that_refuses_is_an_error_with_its_status() {
    let bob = bob();
    let plan = plan(&bob);
    let refuse = async { bob.incoming(within(Duration::from_secs(10))).await.unwrap().reject(404, &[]) };
    let (matrix, ()) = tokio::join!(run(&plan), refuse);
    assert!(matches!(matrix, Err(PhoneError::Failed { status: 404, .. })));
}
