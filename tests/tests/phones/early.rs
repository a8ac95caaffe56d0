//! A dialog before its answer, of two phones that are challenged for all that the edge challenges: reliable provisional responses
//! (RFC 3262) and UPDATE (RFC 3311) both ways.

use cusax_tests::interop::{CUSAX, KAMAILIO, available};
use cusax_tests::server::Edge;

use crate::b2bua;
use crate::stage::{Stage, password};
use crate::wire::Wire;

async fn early_dialog(edge: &Edge) {
    let (mut alice, mut bob) = (Wire::new("alice", edge.access()).await, Wire::new("bob", edge.access()).await);
    let (alices, bobs) = (password("alice"), password("bob"));
    bob.send_proven(&bob.register(), bobs).await;
    bob.receive("SIP/2.0 200", "REGISTER").await;

    let invite = alice.invite("sip:bob@example.com", "early").replace("\r\nCSeq", "\r\nSupported: 100rel\r\nCSeq");
    alice.send_proven(&invite, alices).await;
    let invite = bob.receive("INVITE ", "INVITE").await;
    assert_eq!(invite.one("Supported"), "100rel");
    let contact = bob.contact();
    for (number, status) in [(1, "183 Session Progress"), (2, "180 Ringing")] {
        let lines = format!("{contact}Require: 100rel\r\nRSeq: {number}\r\n");
        bob.send(&invite.answer(status, &lines), 1).await;
        let early = alice.receive(&format!("SIP/2.0 {status}"), "INVITE").await;
        assert_eq!((early.one("Require"), early.one("RSeq")), ("100rel", number.to_string().as_str()));
        // Nobody is challenged for a PRACK.
        let rack = format!("RAck: {number} {}\r\n", early.one("CSeq"));
        alice.send(&alice.within_with(&early, "PRACK", 10 + number, &rack), 1).await;
        let prack = bob.receive("PRACK ", "PRACK").await;
        assert_eq!(prack.one("RAck"), format!("{number} {}", invite.one("CSeq")));
        bob.send(&prack.ok(), 1).await;
        alice.receive("SIP/2.0 200", "PRACK").await;

        let update = alice.within_with(&early, "UPDATE", 20 + 2 * number, &alice.contact());
        alice.send_proven(&update, alices).await;
        let update = bob.receive("UPDATE ", "UPDATE").await;
        bob.send(&update.answer("200 OK", &contact), 1).await;
        alice.receive("SIP/2.0 200", "UPDATE").await;
        bob.send_proven(&bob.back(&invite, "UPDATE", 2 * number, &contact), bobs).await;
        let update = alice.receive("UPDATE ", "UPDATE").await;
        alice.send(&update.answer("200 OK", &alice.contact()), 1).await;
        bob.receive("SIP/2.0 200", "UPDATE").await;
    }

    bob.send(&invite.answer("200 OK", &contact), 1).await;
    let answer = alice.receive("SIP/2.0 200", "INVITE").await;
    alice.send(&alice.within(&answer, "ACK", answer.number()), 1).await;
    bob.receive("ACK ", "ACK").await;
    bob.send(&bob.back(&invite, "BYE", 10, ""), 1).await;
    let bye = alice.receive("BYE ", "BYE").await;
    alice.send(&bye.ok(), 1).await;
    bob.receive("SIP/2.0 200", "BYE").await;
}

#[tokio::test]
async fn prack_and_update_pass_where_the_edge_challenges() {
    if available("early dialog", &[CUSAX, KAMAILIO]) {
        early_dialog(&Stage::raise().await.edge).await;
    }
}

#[tokio::test]
async fn prack_and_update_pass_a_b2bua_where_the_edge_challenges() {
    if available("early dialog", &[CUSAX]) {
        early_dialog(&b2bua::Stage::raise().await.edge).await;
    }
}
