//! Runs over TCP and TLS, through a server that loses connections, and with a certificate of nobody.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::time::Duration;

use cusax_load::calls::driver::{Stop, Wiring, run};
use cusax_load::calls::report::{Report, Verdict};
use cusax_load::calls::requirement::Requirement;
use cusax_load::calls::{Expect, Plan, Role, User, Users};
use cusax_net::tls::{Authorities, Certificate, Client, ClientCertificates, Credentials, Server, Version};
use cusax_sip::Transport;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

fn plan(transport: Transport) -> Plan {
    let user = |uri: &str| User { uri: uri.to_owned(), login: None };
    Plan {
        role: Role::Both,
        transport,
        users: Users { callers: vec![user("sip:alice@example.com")], callees: vec![user("sip:bob@example.com")] },
        route: None,
        headers: Vec::new(),
        rate: 200.0,
        ramp: Duration::ZERO,
        calls: Some(100),
        duration: None,
        concurrency: 1_000,
        late: Duration::from_secs(10),
        hold: Duration::from_millis(20),
        ring: Duration::ZERO,
        answer: 200,
        expect: Expect { status: 200, call_info: None, session_id: false },
        register: None,
        seed: 1,
    }
}

fn wiring() -> Wiring {
    let any = "127.0.0.1:0".parse().unwrap();
    Wiring { proxy: None, caller: any, callee: any, connections: 3, tls_client: None, tls_server: None }
}

fn go(plan: Plan, wiring: &Wiring) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let requirements = vec![Requirement::parse("failed==0").unwrap()];
    run(plan, wiring, requirements, &Stop::default(), runtime.handle())
}

#[test]
fn calls_travel_on_connections() {
    let report = go(plan(Transport::Tcp), &wiring()).unwrap();
    assert_eq!(report.verdict(), Verdict::Pass, "{report}");
    assert_eq!((report.tally.calls, report.tally.succeeded, report.lost_connections), (100, 100, 0));
    assert_eq!(report.tally.retransmissions.sum(), 0);
}

/// An authority, and the certificate and key that it gave to 127.0.0.1.
fn certificates() -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (authority.pem(), leaf.pem(), key.serialize_pem())
}

#[test]
fn calls_travel_on_tls_to_whom_the_authority_vouches_for() {
    let (authority, leaf, key) = certificates();
    let credentials = Credentials::new(Certificate::from_pem(leaf.as_bytes(), key.as_bytes()).unwrap());
    let with = |authority: &str, domain: &str| {
        let client = Client::new(None, Version::V1_2, Authorities::from_pem(authority.as_bytes()).unwrap());
        let server = Server::new(&credentials, Version::V1_2, &ClientCertificates::default());
        Wiring { tls_client: Some((client, vec![domain.to_owned()])), tls_server: Some(server), ..wiring() }
    };
    let report = go(plan(Transport::Tls), &with(&authority, "127.0.0.1")).unwrap();
    assert_eq!((report.verdict(), report.tally.succeeded), (Verdict::Pass, 100), "{report}");
    for wrong in [with(&certificates().0, "127.0.0.1"), with(&authority, "example.com")] {
        let error = go(plan(Transport::Tls), &wrong).unwrap_err();
        assert!(format!("{error:#}").contains("Certificate"), "{error:#}");
    }
}

#[test]
fn a_connection_that_the_server_closes_is_lost_with_its_calls_and_made_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Some(listener.local_addr().unwrap());
    let (done, wait) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        // The first connection is closed after its first INVITE, the second is never answered.
        let (first, _) = listener.accept().unwrap();
        std::io::Read::read(&mut &first, &mut [0; 100]).unwrap();
        drop(first);
        let second = listener.accept().unwrap();
        done.send(()).unwrap();
        second
    });
    let plan = Plan {
        role: Role::Caller,
        calls: None,
        duration: Some(Duration::from_secs(60)),
        rate: 10.0,
        ..plan(Transport::Tcp)
    };
    let stop = Stop::default();
    let interrupt = stop.clone();
    let interrupter = std::thread::spawn(move || {
        wait.recv().unwrap();
        interrupt.stop();
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let wiring = Wiring { proxy, connections: 1, ..wiring() };
    let report = run(plan, &wiring, Vec::new(), &stop, runtime.handle()).unwrap();
    interrupter.join().unwrap();
    drop(server.join().unwrap());
    assert!(report.interrupted && report.lost_connections == 1, "{report}");
    assert!(report.tally.failures["connection"] >= 2, "{report}");
}
