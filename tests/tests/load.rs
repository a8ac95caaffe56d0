//! `cusax-load calls` with a real server between its callers and its callees.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::time::Duration;

use cusax_load::calls::driver::{Stop, Wiring, run};
use cusax_load::calls::report::{Report, Verdict};
use cusax_load::calls::requirement::Requirement;
use cusax_load::calls::{Expect, Plan, Register, Role, Users, account};
use cusax_sip::Transport;
use cusax_tests::interop::{KAMAILIO, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{DOMAIN, Kamailio};
use tokio::runtime::Handle;

fn plan(register: bool) -> Plan {
    let user = |number| account(&format!("load{number}"), "secret", DOMAIN).unwrap();
    Plan {
        role: Role::Both,
        transport: Transport::Udp,
        users: Users { callers: (1..=20).map(user).collect(), callees: Vec::new() },
        route: None,
        rate: 100.0,
        ramp: Duration::ZERO,
        calls: Some(100),
        duration: None,
        concurrency: 1_000,
        // What compiles beside it is not what is tested here.
        late: Duration::from_secs(10),
        hold: Duration::from_millis(50),
        ring: Duration::from_millis(10),
        answer: 200,
        expect: Expect { status: 200, call_info: None, session_id: false },
        register: register.then_some(Register { rate: 100.0, expires: 300 }),
        seed: 1,
    }
}

/// Users register from where the edge would be, and call from where the gateway would be: Kamailio believes no one else.
async fn through_kamailio(plan: Plan) -> Report {
    let scratch = Scratch::new("load").unwrap();
    let (mut edge, mut gateway) = (Port::free().unwrap(), Port::free().unwrap());
    let server = Kamailio::start(&scratch, Port::free().unwrap(), edge.address(), gateway.address()).await.unwrap();
    let wiring = Wiring {
        proxy: Some(server.address()),
        caller: gateway.hand_over().unwrap(),
        callee: edge.hand_over().unwrap(),
        connections: 1,
        tls_client: None,
        tls_server: None,
    };
    let required = vec![Requirement::parse("failed==0").unwrap()];
    let control = Handle::current();
    let run = move || run(plan, &wiring, required, &Stop::default(), &control);
    tokio::task::spawn_blocking(run).await.unwrap().unwrap()
}

#[tokio::test]
async fn users_register_at_kamailio_and_call_one_another_through_it() {
    if !available("load", &[KAMAILIO]) {
        return;
    }
    let report = through_kamailio(plan(true)).await;
    assert_eq!(report.verdict(), Verdict::Pass, "{report}");
    let tally = &report.tally;
    assert_eq!((tally.register.count(), tally.calls, tally.succeeded, tally.arrived), (20, 100, 100, 100));
    assert_eq!((tally.bye.count(), tally.unmatched, tally.malformed), (100, 0, 0));
}

#[tokio::test]
async fn who_is_not_registered_is_not_reached() {
    if !available("load", &[KAMAILIO]) {
        return;
    }
    let report = through_kamailio(plan(false)).await;
    assert_eq!(report.verdict(), Verdict::Missed, "{report}");
    assert_eq!((report.tally.failures["480"], report.tally.arrived), (100, 0));
}
