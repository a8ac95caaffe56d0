//! JsSIP in Chromium: registered over WSS with digest, called, heard, held, transferred and hung up; and gone when its connection is.

use std::time::Duration;

use cusax_load::Phone;
use cusax_load::phone::PhoneError;
use cusax_net::clock;
use cusax_tests::interop::{CHROMIUM, CUSAX, KAMAILIO, NPM, available};
use cusax_tests::server::{Browser, Hop};
use serde_json::json;

use crate::stage::{MD5, Stage, password, soon};
use crate::wire::Wire;

const ALICE: u32 = 700;
const BOB: u32 = 1_100;
const CAROL: u32 = 1_900;

async fn phone(stage: &Stage, user: &str, hertz: u32) -> Browser {
    Browser::start(&stage.scratch, user, password(user), &stage.edge, hertz).await.unwrap()
}

async fn connect(caller: (&mut Browser, u32), callee: (&mut Browser, u32), target: &str) {
    let ((caller, says), (callee, answers)) = (caller, callee);
    caller.command("call", json!({ "target": target })).unwrap();
    let incoming = callee.event("incoming").await.unwrap();
    assert!(incoming["call_info"].as_str().unwrap().ends_with("@example.com>;purpose=impp"), "{incoming}");
    caller.event("progress").await.unwrap();
    callee.command("answer", json!({})).unwrap();
    caller.event("confirmed").await.unwrap();
    callee.event("confirmed").await.unwrap();
    caller.hears(answers).await.unwrap();
    callee.hears(says).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_call_are_heard_hold_transfer_and_hang_up() {
    if !available("browser", &[CUSAX, KAMAILIO, CHROMIUM, NPM]) {
        return;
    }
    let stage = Stage::with(Hop::Udp, MD5).await;
    let mut alice = phone(&stage, "alice", ALICE).await;
    let mut bob = phone(&stage, "bob", BOB).await;
    connect((&mut alice, ALICE), (&mut bob, BOB), "sip:bob@example.com").await;
    // By re-INVITE and by UPDATE.
    for update in [false, true] {
        alice.command("hold", json!({ "useUpdate": update })).unwrap();
        assert_eq!(bob.event("hold").await.unwrap()["originator"], "remote");
        alice.event("holding").await.unwrap();
        bob.hears(0).await.unwrap();
        alice.command("unhold", json!({ "useUpdate": update })).unwrap();
        assert_eq!(bob.event("unhold").await.unwrap()["originator"], "remote");
        alice.event("resumed").await.unwrap();
        bob.hears(ALICE).await.unwrap();
    }
    // Alice tells bob to call carol instead, and goes once he does.
    let mut carol = phone(&stage, "carol", CAROL).await;
    alice.command("transfer", json!({ "target": "sip:carol@example.com" })).unwrap();
    carol.event("incoming").await.unwrap();
    carol.command("answer", json!({})).unwrap();
    alice.event("transferred").await.unwrap();
    alice.command("hang_up", json!({})).unwrap();
    assert_eq!(bob.event("ended").await.unwrap()["originator"], "remote");
    bob.hears(CAROL).await.unwrap();
    carol.hears(BOB).await.unwrap();
    carol.command("hang_up", json!({})).unwrap();
    assert_eq!(bob.event("ended").await.unwrap()["originator"], "remote");

    connect((&mut bob, BOB), (&mut alice, ALICE), "sip:alice@example.com").await;
    alice.command("hang_up", json!({})).unwrap();
    assert_eq!(bob.event("ended").await.unwrap()["originator"], "remote");
}

/// What a browser takes for an offer or an answer of another; nothing is at its other end.
fn description(setup: &str) -> String {
    let fingerprint = ["5A"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
         c=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:wire\r\na=ice-pwd:wirewirewirewirewirewire\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\na=rtcp-mux\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_and_a_phone_over_udp_call_each_other() {
    if !available("browser", &[CUSAX, KAMAILIO, CHROMIUM, NPM]) {
        return;
    }
    let stage = Stage::with(Hop::Udp, MD5).await;
    let mut alice = phone(&stage, "alice", ALICE).await;
    let mut bob = Wire::new("bob", stage.edge.access()).await;
    bob.send_proven(&bob.register(), password("bob")).await;
    bob.receive("SIP/2.0 200", "REGISTER").await;

    alice.command("call", json!({ "target": "sip:bob@example.com" })).unwrap();
    let invite = bob.receive("INVITE ", "INVITE").await;
    assert!(invite.body().contains("UDP/TLS/RTP/SAVPF"));
    bob.send(&invite.answer_as("200 OK", "wire", &bob.contact(), &description("active")), 1).await;
    alice.event("confirmed").await.unwrap();
    bob.receive("ACK ", "ACK").await;
    bob.send(&bob.back(&invite, "BYE", 1, ""), 1).await;
    assert_eq!(alice.event("ended").await.unwrap()["originator"], "remote");
    bob.receive("SIP/2.0 200", "BYE").await;

    let offer = description("actpass");
    let invite = bob.invite("sip:alice@example.com", "back").replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}", offer.len()),
    );
    bob.send_proven(&invite, password("bob")).await;
    alice.event("incoming").await.unwrap();
    alice.command("answer", json!({})).unwrap();
    let answer = bob.receive("SIP/2.0 200", "INVITE").await;
    // The GRUU that Kamailio gave it: where it is, it does not know.
    assert!(answer.one("Contact").contains("@example.com;gr="), "{}", answer.text);
    bob.send(&bob.within(&answer, "ACK", answer.number()), 1).await;
    alice.event("confirmed").await.unwrap();
    alice.command("hang_up", json!({})).unwrap();
    let bye = bob.receive("BYE ", "BYE").await;
    bob.send(&bye.ok(), 1).await;
    alice.event("ended").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_is_gone_is_not_called_and_comes_back() {
    if !available("browser", &[CUSAX, KAMAILIO, CHROMIUM, NPM]) {
        return;
    }
    let mut stage = Stage::with(Hop::Udp, MD5).await;
    let alice = stage.phone("alice", f64::from(ALICE)).await;
    let bob = phone(&stage, "bob", BOB).await;
    bob.kill().unwrap();
    stage.edge.says(r#""transport":"wss","result":"closed""#).await.unwrap();
    let began = clock::now();
    let call = alice.call("sip:bob@example.com", &[]).unwrap();
    let Err(PhoneError::Failed { status, .. }) = call.answered(soon()).await else { panic!("nobody is there") };
    assert!(clock::now() - began < Duration::from_secs(2));
    assert_eq!(status, 430);
    // Kamailio has forgotten it by that.
    let bindings = stage.kamailio.bindings().unwrap();
    assert!(!bindings.contains(".invalid"), "{bindings}");

    let mut bob = phone(&stage, "bob", BOB).await;
    refuses(&alice, &mut bob).await;

    // Its connection is gone, and it is not: it makes another.
    assert!(!stage.edge.take().unwrap().kill().unwrap().success());
    bob.event("disconnected").await.unwrap();
    stage.edge.serve().await.unwrap();
    bob.event("registered").await.unwrap();
    refuses(&alice, &mut bob).await;
}

/// `callee` is called once and refuses it.
async fn refuses(caller: &Phone, callee: &mut Browser) {
    let call = caller.call("sip:bob@example.com", &[]).unwrap();
    callee.event("incoming").await.unwrap();
    callee.command("hang_up", json!({})).unwrap();
    let Err(PhoneError::Failed { status, .. }) = call.answered(soon()).await else { panic!("it is refused") };
    assert_eq!(status, 480);
}
