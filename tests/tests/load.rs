//! `cusax-load calls` with a real server between its callers and its callees.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::time::Duration;

use cusax_load::calls::driver::{Stop, Wiring, run};
use cusax_load::calls::report::{Report, Verdict};
use cusax_load::calls::requirement::Requirement;
use cusax_load::calls::{CallInfo, Expect, Plan, Register, Role, Users, account};
use cusax_sip::Transport;
use cusax_tests::interop::{CUSAX, KAMAILIO, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{DOMAIN, Edge, Hop, Kamailio};
use tokio::runtime::Handle;

fn plan(register: bool) -> Plan {
    let user = |number| account(&format!("load{number}"), "secret", DOMAIN).unwrap();
    Plan {
        role: Role::Both,
        transport: Transport::Udp,
        users: Users { callers: (1..=20).map(user).collect(), callees: Vec::new() },
        route: None,
        headers: Vec::new(),
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
    go(plan, wiring).await
}

async fn go(plan: Plan, wiring: Wiring) -> Report {
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

#[tokio::test]
async fn calls_through_the_edge_are_challenged_and_arrive_with_their_callers_identity() {
    if !available("load", &[KAMAILIO, CUSAX]) {
        return;
    }
    let scratch = Scratch::new("load").unwrap();
    let port = Port::free().unwrap();
    let users: Vec<_> = (1..=10).map(|number| format!("load{number}")).collect();
    let users: Vec<_> = users.iter().map(|user| (user.as_str(), "secret")).collect();
    let mut edge = Edge::install(&scratch, port.address(), Hop::Udp, &users, "").unwrap();
    let gateway = Port::free().unwrap();
    let _server = Kamailio::start(&scratch, port, edge.core(), gateway.address()).await.unwrap();
    edge.serve().await.unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let wiring = Wiring {
        proxy: Some(edge.access()),
        caller: any,
        callee: any,
        connections: 2,
        tls_client: None,
        tls_server: None,
    };
    // Others for each: who has registered over both would be called on both.
    for (transport, users) in [(Transport::Udp, 0..5), (Transport::Tcp, 5..10)] {
        let mut plan = Plan { transport, rate: 50.0, calls: Some(50), ..plan(true) };
        plan.users.callers = plan.users.callers[users].to_vec();
        plan.expect.call_info = Some(CallInfo::new(&format!("<xmpp:%u@{DOMAIN}>;purpose=impp")));
        plan.expect.session_id = true;
        let report = go(plan, wiring.clone()).await;
        assert_eq!(report.verdict(), Verdict::Pass, "{report}");
        assert_eq!((report.tally.register.count(), report.tally.succeeded, report.tally.arrived), (5, 50, 50));
        assert!(report.tally.challenges >= 5, "{report}");
    }
}
