//! linphone on both sides: registered with digest, called, held, transferred and hung up.

use cusax_tests::interop::{BARESIP, CUSAX, KAMAILIO, KAMAILIO_TLS, LINPHONE, available};
use cusax_tests::server::{Baresip, Hop, Linphone};

use crate::stage::{Stage, password};

async fn phone(stage: &Stage, user: &str, hop: Hop) -> Linphone {
    let phone = Linphone::start(&stage.scratch, user, password(user), &stage.edge, hop).await.unwrap();
    let transport = format!("\nVia: SIP/2.0/{} ", hop.as_str().to_uppercase());
    assert!(phone.log().contains(&transport) && phone.log().contains("\nAuthorization:"));
    phone
}

/// The state of a call by its number.
async fn state(phone: &mut Linphone, call: u32, state: &str) {
    phone.until(&format!("call-status {call}"), state).await.unwrap();
}

/// Phones over `hop` before a core over `core`.
async fn calls(core: Hop, hop: Hop) {
    let stage = Stage::with(core, "").await;
    let mut alice = phone(&stage, "alice", hop).await;
    let mut bob = phone(&stage, "bob", hop).await;
    alice.command("call sip:bob@example.com").await.unwrap();
    state(&mut bob, 1, "LinphoneCallIncomingReceived").await;
    state(&mut alice, 1, "LinphoneCallOutgoingRinging").await;
    bob.command("answer 1").await.unwrap();
    state(&mut alice, 1, "LinphoneCallStreamsRunning").await;
    state(&mut bob, 1, "LinphoneCallStreamsRunning").await;
    assert!(bob.log().contains("Call-Info: <xmpp:alice@example.com>;purpose=impp"));

    alice.command("call-pause 1").await.unwrap();
    state(&mut alice, 1, "LinphoneCallPaused").await;
    state(&mut bob, 1, "LinphoneCallPausedByRemote").await;
    alice.command("call-resume 1").await.unwrap();
    state(&mut alice, 1, "LinphoneCallStreamsRunning").await;
    state(&mut bob, 1, "LinphoneCallStreamsRunning").await;
    bob.command("call-pause 1").await.unwrap();
    state(&mut bob, 1, "LinphoneCallPaused").await;
    state(&mut alice, 1, "LinphoneCallPausedByRemote").await;
    bob.command("call-resume 1").await.unwrap();
    state(&mut bob, 1, "LinphoneCallStreamsRunning").await;
    state(&mut alice, 1, "LinphoneCallStreamsRunning").await;

    // Transfer: alice tells bob to call carol instead.
    let mut carol = phone(&stage, "carol", hop).await;
    alice.command("call-transfer 1 sip:carol@example.com").await.unwrap();
    state(&mut carol, 1, "LinphoneCallIncomingReceived").await;
    carol.command("answer 1").await.unwrap();
    state(&mut carol, 1, "LinphoneCallStreamsRunning").await;
    assert!(bob.log().contains("\nREFER sip:bob"));
    // RFC 3515 §2.4.5: what became of it.
    alice.says("\nNOTIFY sip:alice", 1).await.unwrap();
    carol.command("terminate 1").await.unwrap();
    bob.says("\nBYE sip:bob", 1).await.unwrap();
}

#[tokio::test]
async fn linphone_calls_holds_transfers_and_hangs_up_over_udp() {
    if available("linphone", &[CUSAX, KAMAILIO, LINPHONE]) {
        calls(Hop::Udp, Hop::Udp).await;
    }
}

#[tokio::test]
async fn linphone_calls_holds_transfers_and_hangs_up_over_tcp() {
    if available("linphone", &[CUSAX, KAMAILIO, LINPHONE]) {
        calls(Hop::Udp, Hop::Tcp).await;
    }
}

#[tokio::test]
async fn linphone_calls_holds_transfers_and_hangs_up_over_tls() {
    if available("linphone", &[CUSAX, KAMAILIO, LINPHONE]) {
        calls(Hop::Udp, Hop::Tls).await;
    }
}

#[tokio::test]
async fn linphone_calls_holds_transfers_and_hangs_up_over_udp_before_a_core_over_tcp() {
    if available("linphone", &[CUSAX, KAMAILIO, LINPHONE]) {
        calls(Hop::Tcp, Hop::Udp).await;
    }
}

#[tokio::test]
async fn linphone_calls_holds_transfers_and_hangs_up_over_tls_before_a_core_over_tls() {
    if available("linphone", &[CUSAX, KAMAILIO, LINPHONE, KAMAILIO_TLS]) {
        calls(Hop::Tls, Hop::Tls).await;
    }
}

/// What a dialog of `caller` with `callee` is called in Replaces (RFC 3891 §6.1), by the answer that the caller got.
fn replaces(caller: &Linphone, callee: &str) -> String {
    let log = caller.log();
    let to = format!("\nTo: <sip:{callee}@example.com>;tag=");
    // The last: the 407 had a tag of its own.
    let at = log.rfind(&to).unwrap();
    let message = &log[log[..at].rfind("\nSIP/2.0 ").unwrap()..at + 200];
    let value = |start: &str| message.split(start).nth(1).unwrap().split(['\r', '\n', ';']).next().unwrap();
    let (call, to) = (value("\nCall-ID: "), value(&to));
    let from =
        message.split("\nFrom: ").nth(1).unwrap().split(";tag=").nth(1).unwrap().split(['\r', ';']).next().unwrap();
    format!("{call}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}")
}

#[tokio::test]
async fn linphone_transfers_a_call_to_one_that_it_has() {
    if !available("attended transfer", &[CUSAX, KAMAILIO, LINPHONE]) {
        return;
    }
    let stage = Stage::raise().await;
    let [mut alice, mut bob, mut carol] = [
        phone(&stage, "alice", Hop::Udp).await,
        phone(&stage, "bob", Hop::Tcp).await,
        phone(&stage, "carol", Hop::Tls).await,
    ];
    for (number, callee, name) in [(1, &mut bob, "bob"), (2, &mut carol, "carol")] {
        alice.command(&format!("call sip:{name}@example.com")).await.unwrap();
        state(callee, 1, "LinphoneCallIncomingReceived").await;
        callee.command("answer 1").await.unwrap();
        state(&mut alice, number, "LinphoneCallStreamsRunning").await;
    }
    // The second call has put the first on hold.
    state(&mut bob, 1, "LinphoneCallPausedByRemote").await;
    let target = format!("sip:carol@example.com?Replaces={}", replaces(&alice, "carol"));
    alice.command(&format!("call-transfer 1 {target}")).await.unwrap();
    state(&mut bob, 2, "LinphoneCallStreamsRunning").await;
    state(&mut carol, 2, "LinphoneCallStreamsRunning").await;
    assert!(carol.log().contains("\nReplaces: "));
    // What carol had with alice ended with that, and what became of it ended what alice had with bob.
    alice.says("\nBYE sip:alice", 1).await.unwrap();
    alice.says("\nNOTIFY sip:alice", 2).await.unwrap();
    bob.says("\nBYE sip:bob", 1).await.unwrap();
    carol.command("terminate 2").await.unwrap();
    bob.says("\nBYE sip:bob", 2).await.unwrap();
}

#[tokio::test]
async fn linphone_over_tcp_and_baresip_over_udp_call_each_other() {
    if !available("linphone and baresip", &[CUSAX, KAMAILIO, LINPHONE, BARESIP]) {
        return;
    }
    let stage = Stage::raise_for_md5().await;
    let mut alice = phone(&stage, "alice", Hop::Tcp).await;
    let mut bob = Baresip::start(&stage.scratch, "bob", password("bob"), &stage.edge, Hop::Udp).await.unwrap();
    bob.says("\nSIP/2.0 200 OK", 1).await.unwrap();

    alice.command("call sip:bob@example.com").await.unwrap();
    bob.event("CALL_INCOMING").await.unwrap();
    bob.command("accept", "").await.unwrap();
    state(&mut alice, 1, "LinphoneCallStreamsRunning").await;
    alice.command("call-pause 1").await.unwrap();
    state(&mut alice, 1, "LinphoneCallPaused").await;
    assert!(bob.log().contains("a=sendonly"));
    alice.command("terminate 1").await.unwrap();
    bob.event("CALL_CLOSED").await.unwrap();

    bob.command("dial", "sip:alice@example.com").await.unwrap();
    state(&mut alice, 2, "LinphoneCallIncomingReceived").await;
    alice.command("answer 2").await.unwrap();
    bob.event("CALL_ESTABLISHED").await.unwrap();
    state(&mut alice, 2, "LinphoneCallStreamsRunning").await;
    bob.command("hangup", "").await.unwrap();
    alice.says("\nBYE sip:alice", 1).await.unwrap();
}
