//! What must pass the edge as it is: large messages, every refusal, compact and folded headers; and a CANCEL that must not yet.

use cusax_load::phone::PhoneError;
use cusax_sip::Name;
use cusax_tests::interop::{CUSAX, KAMAILIO, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Edge, Hop};

use crate::stage::{Stage, USERS, soon};
use crate::wire::Wire;

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_too_large_for_a_datagram_is_made_all_the_same_where_there_is_nothing_but_udp() {
    if !available("large", &[CUSAX, KAMAILIO]) {
        return;
    }
    let stage = Stage::raise().await;
    let (alice, bob) = (stage.phone("alice", ALICE).await, stage.phone("bob", BOB).await);
    let large = "0123456789abcdef".repeat(250);
    let call = alice.call("sip:bob@example.com", &[("X-Large", &large)]).unwrap();
    let incoming = bob.incoming(soon()).await.unwrap();
    let invite = &incoming.invite().message;
    assert!(invite.bytes().len() > 4_000);
    assert_eq!(invite.first(Name::CallInfo), Some("<xmpp:alice@example.com>;purpose=impp"));
    let bytes = String::from_utf8_lossy(invite.bytes()).into_owned();
    assert!(bytes.contains(&format!("\r\nX-Large: {large}\r\n")));
    let answer = incoming.accept(&[("X-Large", &large)]).unwrap();
    let ok = call.answered(soon()).await.unwrap();
    assert!(String::from_utf8_lossy(ok.message.bytes()).contains(&large));
    call.until_heard(BOB, soon()).await.unwrap();
    call.hang_up(&[]);
    answer.ended(soon()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_final_refusal_reaches_the_caller() {
    if !available("refusals", &[CUSAX, KAMAILIO]) {
        return;
    }
    let stage = Stage::raise().await;
    let (alice, bob) = (stage.phone("alice", ALICE).await, stage.phone("bob", BOB).await);
    let statuses = [
        300, 301, 302, 305, 380, 400, 402, 403, 404, 405, 406, 410, 413, 414, 415, 416, 420, 421, 423, 480, 481, 482,
        483, 484, 485, 486, 488, 491, 493, 500, 501, 502, 504, 505, 513, 600, 603, 604, 606, 607,
    ];
    // RFC 3261 §16.7 step 6: 503 says that this server is overloaded, which a proxy is not.
    for (status, expected) in statuses.map(|status| (status, status)).into_iter().chain([(503, 500)]) {
        let call = alice.call("sip:bob@example.com", &[]).unwrap();
        let incoming = bob.incoming(soon()).await.unwrap();
        incoming.reject(status, &[("X-Why", "because")]);
        let Err(PhoneError::Failed { status: seen, response, .. }) = call.answered(soon()).await else {
            panic!("{status} is no refusal");
        };
        assert_eq!(seen, expected);
        let text = String::from_utf8_lossy(response.unwrap().message.bytes()).into_owned();
        assert!(status == 503 || text.contains("\r\nX-Why: because\r\n"), "{text}");
    }
}

#[tokio::test]
async fn compact_and_folded_headers_pass_as_they_are_written() {
    if !available("compact", &[CUSAX, KAMAILIO]) {
        return;
    }
    let stage = Stage::raise_without_challenge().await;
    let (alice, mut bob) = (Wire::new("alice", stage.edge.access()).await, Wire::new("bob", stage.edge.access()).await);
    let register = bob.register();
    bob.send(&register, 1).await;
    bob.receive("SIP/2.0 200", "REGISTER").await;
    let folded = "X-Folded: first,\r\n \t second\r\n";
    let written = alice
        .invite("sip:bob@example.com", "compact")
        .replace("\r\nFrom: ", "\r\nf : ")
        .replace("\r\nTo: ", "\r\nt:")
        .replace("\r\nCall-ID: ", "\r\ni:   ")
        .replace("\r\nContact: ", "\r\nm:")
        .replace("\r\nMax-Forwards", &format!("\r\ns: subject\r\nk: 100rel\r\n{folded}Max-Forwards"));
    alice.send(&written, 1).await;
    let text = bob.any("INVITE ").await;
    for line in [
        "\r\nf : <sip:alice@example.com>;tag=wire\r\n",
        "\r\nt:<sip:bob@example.com>\r\n",
        "\r\ni:   compact\r\n",
        "\r\nm:<sip:alice@",
        "\r\ns: subject\r\n",
        "\r\nk: 100rel\r\n",
        folded,
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[tokio::test]
async fn a_cancel_waits_for_the_cores_first_response() {
    if !available("hasty", &[CUSAX]) {
        return;
    }
    let scratch = Scratch::new("hasty").unwrap();
    let mut port = Port::free().unwrap();
    let more = "[sip.auth]\nchallenge = false\n";
    let mut edge = Edge::install(&scratch, port.address(), Hop::Udp, &USERS, more).unwrap();
    let mut core = Wire::on("core", port.release(), edge.core()).await;
    edge.serve().await.unwrap();
    let mut alice = Wire::new("alice", edge.access()).await;
    let invite = alice.invite("sip:bob@example.com", "hasty");
    let cancel = alice.cancel(&invite);
    alice.send(&invite, 1).await;
    alice.send(&cancel, 1).await;
    alice.receive("SIP/2.0 200", "CANCEL").await;
    let received = core.receive("INVITE ", "INVITE").await;
    // RFC 3261 §9.1: not before a provisional response.
    assert!(!core.has("CANCEL "));
    core.send(&received.answer("100 Trying", ""), 1).await;
    let cancelled = core.receive("CANCEL ", "CANCEL").await;
    assert_eq!(cancelled.one("Via"), received.one("Via"), "the branch of the INVITE");
    core.send(&cancelled.ok(), 1).await;
    core.send(&received.answer("487 Request Terminated", ""), 1).await;
    core.receive("ACK ", "ACK").await;
    let refused = alice.receive("SIP/2.0 487", "INVITE").await;
    alice.send(&alice.ack(&invite, &refused), 1).await;
}
