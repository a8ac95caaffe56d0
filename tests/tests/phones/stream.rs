//! Kamailio as core over TCP and TLS: phones over UDP, connections between edge and core.

use std::net::SocketAddr;
use std::process::Command;

use cusax_tests::authority::{Authority, Issued};
use cusax_tests::interop::{CUSAX, KAMAILIO, KAMAILIO_TLS, OPENSSL, Program, available};
use cusax_tests::process::output;
use cusax_tests::server::{CORE, DOMAIN, Hop};

use crate::call::{connect, hang_up, hold};
use crate::stage::Stage;

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;
const OPTIONS: &str = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS biloxi.example;branch=z9hG4bKstranger\r\n\
                       Max-Forwards: 70\r\nFrom: <sip:biloxi.example>;tag=s\r\nTo: <sip:example.com>\r\nCall-ID: stranger\r\n\
                       CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

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

/// Says OPTIONS over TLS, from this address and with this certificate.
fn knock(authority: &Authority, at: SocketAddr, from: &str, certificate: Option<&Issued>) {
    let mut command = Command::new(OPENSSL.find().unwrap());
    command.args([
        "s_client",
        "-quiet",
        "-no_ign_eof",
        "-verify_return_error",
        "-bind",
        from,
        "-connect",
        &at.to_string(),
    ]);
    command.arg("-CAfile").arg(authority.certificate());
    if let Some(Issued { certificate, key, .. }) = certificate {
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    // How it ended is for the other side to tell.
    output(&mut command, OPTIONS).unwrap();
}

#[tokio::test]
async fn edge_and_core_over_tls_hear_nobody_without_the_others_certificate() {
    if !available("strangers over tls", &[CUSAX, KAMAILIO, KAMAILIO_TLS, OPENSSL]) {
        return;
    }
    let mut stage = Stage::with(Hop::Tls, "").await;
    let issue =
        |names: &[&str]| stage.edge.authority().issue(&stage.scratch.directory("certificate").unwrap(), names).unwrap();
    let (other, core) = (issue(&["biloxi.example", DOMAIN, CORE]), issue(&[CORE]));
    let authority = stage.edge.authority();
    // Kamailio looks at the first name.
    let at = stage.kamailio.address();
    knock(authority, at, "127.0.0.1:0", Some(&other));
    knock(authority, at, "127.0.0.1:0", None);
    stage.kamailio.says("dropped OPTIONS from 127.0.0.1").await.unwrap();
    stage.kamailio.says("peer did not return a certificate").await.unwrap();
    // From an address that the edge does not know.
    let (at, other) = (stage.edge.core(), issue(&["biloxi.example", DOMAIN]));
    for certificate in [None, Some(&other), Some(&core)] {
        knock(authority, at, "127.0.0.2:0", certificate);
    }
    for said in [
        r#""event":"sip.dropped","node":"edge-1","reason":"tls","transport":"tls","remote":"127.0.0.2:"#,
        r#""event":"sip.dropped","node":"edge-1","reason":"acl","transport":"tls","remote":"127.0.0.2:"#,
        r#""first_line":"OPTIONS sip:example.com SIP/2.0","call_id":"stranger""#,
    ] {
        stage.edge.says(said).await.unwrap();
    }
}
