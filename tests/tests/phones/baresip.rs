//! baresip on both sides: registered with digest, called, held, transferred and hung up.

use cusax_tests::interop::{BARESIP, CUSAX, KAMAILIO, KAMAILIO_TLS, available};
use cusax_tests::server::{Baresip, Hop};

use crate::stage::{MD5, Stage, password};

async fn phone(stage: &Stage, user: &str, hop: Hop) -> Baresip {
    let phone = Baresip::start(&stage.scratch, user, password(user), &stage.edge, hop).await.unwrap();
    // The 401 is not its end.
    phone.says("\nSIP/2.0 200 OK", 1).await.unwrap();
    let transport = format!("\n{} 127.0.0.1:", hop.as_str().to_uppercase());
    assert!(phone.log().contains(&transport) && phone.log().contains("\nAuthorization: Digest"));
    phone
}

async fn connect(caller: &mut Baresip, callee: &mut Baresip, target: &str) {
    caller.command("dial", target).await.unwrap();
    callee.event("CALL_INCOMING").await.unwrap();
    caller.event("CALL_RINGING").await.unwrap();
    callee.command("accept", "").await.unwrap();
    caller.event("CALL_ESTABLISHED").await.unwrap();
    callee.event("CALL_ESTABLISHED").await.unwrap();
}

/// Phones over `hop` before a core over `core`.
async fn calls(core: Hop, hop: Hop) {
    let stage = Stage::with(core, MD5).await;
    let mut alice = phone(&stage, "alice", hop).await;
    let mut bob = phone(&stage, "bob", hop).await;
    connect(&mut alice, &mut bob, "sip:bob@example.com").await;
    assert!(bob.log().contains("Call-Info: <xmpp:alice@example.com>;purpose=impp"));

    // The ACK ends each exchange: one for the call, one for each hold and resume.
    alice.command("hold", "").await.unwrap();
    bob.says("\nACK sip:bob", 2).await.unwrap();
    assert_eq!(bob.log().matches("a=sendonly").count(), 1);
    alice.command("resume", "").await.unwrap();
    bob.says("\nACK sip:bob", 3).await.unwrap();
    bob.command("hold", "").await.unwrap();
    alice.says("\nACK sip:alice", 1).await.unwrap();
    assert_eq!(alice.log().matches("a=sendonly").count(), 2, "what it sent and what it got");
    bob.command("resume", "").await.unwrap();
    alice.says("\nACK sip:alice", 2).await.unwrap();
    bob.command("hangup", "").await.unwrap();
    alice.event("CALL_CLOSED").await.unwrap();

    connect(&mut bob, &mut alice, "sip:alice@example.com").await;
    bob.command("hangup", "").await.unwrap();
    alice.event("CALL_CLOSED").await.unwrap();

    // Transfer: alice tells bob to call carol instead.
    let mut carol = phone(&stage, "carol", hop).await;
    connect(&mut alice, &mut bob, "sip:bob@example.com").await;
    alice.command("transfer", "sip:carol@example.com").await.unwrap();
    bob.event("TRANSFER").await.unwrap();
    assert!(bob.log().contains("\nREFER sip:bob"));
    carol.event("CALL_INCOMING").await.unwrap();
    carol.command("accept", "").await.unwrap();
    carol.event("CALL_ESTABLISHED").await.unwrap();
    alice.event("CALL_CLOSED").await.unwrap();
    // RFC 3515 §2.4.5: what became of it.
    assert!(alice.log().contains("\nSIP/2.0 200 Answering\r\n"));
    carol.command("hangup", "").await.unwrap();
    bob.event("CALL_CLOSED").await.unwrap();
}

#[tokio::test]
async fn baresip_calls_holds_transfers_and_hangs_up_over_udp() {
    if available("baresip", &[CUSAX, KAMAILIO, BARESIP]) {
        calls(Hop::Udp, Hop::Udp).await;
    }
}

#[tokio::test]
async fn baresip_calls_holds_transfers_and_hangs_up_over_tcp() {
    if available("baresip", &[CUSAX, KAMAILIO, BARESIP]) {
        calls(Hop::Udp, Hop::Tcp).await;
    }
}

#[tokio::test]
async fn baresip_calls_holds_transfers_and_hangs_up_over_tls() {
    if available("baresip", &[CUSAX, KAMAILIO, BARESIP]) {
        calls(Hop::Udp, Hop::Tls).await;
    }
}

#[tokio::test]
async fn baresip_calls_holds_transfers_and_hangs_up_over_udp_before_a_core_over_tcp() {
    if available("baresip", &[CUSAX, KAMAILIO, BARESIP]) {
        calls(Hop::Tcp, Hop::Udp).await;
    }
}

#[tokio::test]
async fn baresip_calls_holds_transfers_and_hangs_up_over_tls_before_a_core_over_tls() {
    if available("baresip", &[CUSAX, KAMAILIO, BARESIP, KAMAILIO_TLS]) {
        calls(Hop::Tls, Hop::Tls).await;
    }
}
