//! What servers answer: refusals, challenges, dialogs with routes.

use bytes::Bytes;
use cusax_sip::digest::{Algorithm, Credentials, ha1};
use cusax_sip::{Compose, Message, Name};

use super::world::{CALLER, SERVER, World, plan, reply};
use crate::calls::{Expect, Plan, Users, account};

fn with_login(calls: u64) -> Plan {
    let callers = vec![account("alice", "secret", "example.com").unwrap()];
    let users = Users { callers, ..plan(1).users };
    Plan { users, ..plan(calls) }
}

#[test]
fn refusals_are_acknowledged_in_the_invites_transaction_and_counted_by_status() {
    for status in [302, 404, 486, 500, 603] {
        let route = Some(format!("sip:{SERVER};lr"));
        let mut world = World::with_server(Plan { route, ..plan(3) }, move |request| match request.method_text() {
            "INVITE" => vec![reply(request, 100, &[]), reply(request, status, &[])],
            _ => Vec::new(),
        });
        let tally = world.run();
        assert_eq!((tally.failed, tally.failures[&status.to_string()]), (3, 3));
        assert_eq!((tally.setup.count(), tally.ringing.count()), (0, 0));
        let (invite, ack) = (world.all("INVITE")[0], world.all("ACK")[0]);
        assert_eq!(invite.top_via().unwrap().branch(), ack.top_via().unwrap().branch());
        assert_eq!((ack.to_tag(), ack.request_uri_text()), ("server", "sip:bob@example.com"));
        assert_eq!(
            (invite.first(Name::Route), ack.first(Name::Route)),
            (Some("<sip:192.0.2.3:5060;lr>"), invite.first(Name::Route))
        );
        assert_eq!(ack.cseq(), Some((1, "ACK")));
    }
}

#[test]
fn a_refusal_may_be_what_is_expected() {
    let expect = Expect { status: 486, ..plan(1).expect };
    let refused = World::direct(Plan { answer: 486, expect: expect.clone(), ..plan(5) }).run();
    assert_eq!((refused.succeeded, refused.failed, refused.setup.count()), (5, 0, 5));
    let answered = World::direct(Plan { expect, ..plan(5) }).run();
    assert_eq!((answered.succeeded, answered.failures["200"], answered.bye.count()), (0, 5, 5));
}

#[test]
fn a_refusal_that_comes_again_is_acknowledged_again() {
    let mut world = World::with_server(plan(1), |request| match request.method_text() {
        "INVITE" => vec![reply(request, 486, &[]); 3],
        _ => Vec::new(),
    });
    world.run();
    while world.all("ACK").len() < 3 {
        world.step();
    }
    let tally = world.calls.tally();
    assert_eq!((tally.failed, tally.after_end), (1, 2));
}

/// Challenges what has no right credentials, with a nonce for each request.
fn challenging(stale: bool) -> impl FnMut(&Message) -> Vec<(&'static str, Bytes)> {
    let mut nonce = 0;
    move |request| {
        if request.method_text() == "ACK" {
            return Vec::new();
        }
        let key = ha1(Algorithm::Md5, "alice", "example.com", "secret");
        let given = request.first(Name::ProxyAuthorization).and_then(Credentials::parse);
        let right = given.as_ref().is_some_and(|given| given.verify(&key, request.method_text()));
        if right && given.is_some_and(|given| !stale || given.nonce != "n1") {
            return vec![reply(request, 200, &[])];
        }
        nonce += 1;
        let stale = if right { ", stale=true" } else { "" };
        let challenge = format!("Digest realm=\"example.com\", nonce=\"n{nonce}\", qop=\"auth\"{stale}");
        vec![reply(request, 407, &[("Proxy-Authenticate", &challenge)])]
    }
}

#[test]
fn challenges_are_answered_of_invite_and_bye() {
    let mut world = World::with_server(with_login(1), challenging(false));
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "ACK", "INVITE", "ACK", "BYE", "BYE"]);
    assert_eq!((tally.succeeded, tally.failed, tally.challenges, tally.retransmissions.sum()), (1, 0, 2, 0));
    let invites = world.all("INVITE");
    assert_eq!(invites[1].cseq(), Some((2, "INVITE")));
    assert_ne!(invites[0].top_via().unwrap().branch(), invites[1].top_via().unwrap().branch());
    let byes = world.all("BYE");
    assert_eq!((byes[0].cseq(), byes[1].cseq()), (Some((11, "BYE")), Some((12, "BYE"))));
    assert_ne!(byes[0].top_via().unwrap().branch(), byes[1].top_via().unwrap().branch());
}

#[test]
fn a_nonce_that_was_too_old_is_answered_once_more() {
    let mut world = World::with_server(with_login(1), challenging(true));
    let tally = world.run();
    assert_eq!(world.words(), ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK", "BYE", "BYE"]);
    assert_eq!((tally.succeeded, tally.challenges), (1, 3));
}

#[test]
fn without_or_with_wrong_credentials_a_challenge_is_a_refusal() {
    let nobody = World::with_server(plan(2), challenging(false)).run();
    assert_eq!((nobody.failures["407"], nobody.challenges), (2, 0));
    let mut wrong = with_login(2);
    wrong.users.callers = vec![account("alice", "wrong", "example.com").unwrap()];
    let wrong = World::with_server(wrong, challenging(false)).run();
    assert_eq!((wrong.failures["407"], wrong.challenges), (2, 2));
}

#[test]
fn challenges_survive_a_link_that_loses() {
    for seed in 1..10 {
        let mut world = World::with_server(Plan { seed, ..with_login(20) }, challenging(false));
        (world.loss, world.duplicates) = (15, 10);
        let tally = world.run();
        assert_eq!((tally.succeeded, tally.failed), (20, 0), "seed {seed}: {:?}", tally.failures);
    }
}

#[test]
fn requests_in_a_dialog_follow_its_routes_to_its_contact() {
    let mut world = World::with_server(plan(1), |request| match request.method_text() {
        "INVITE" => {
            let answer = Compose::response(request, 200, None, Some("t"))
                .header("Record-Route", "<sip:last.example.com;lr>, <sip:192.0.2.4:5070;lr>")
                .header("Record-Route", "<sip:192.0.2.3;lr;x=1>")
                .header("Contact", "\"Bob, B.\" <sip:bob@192.0.2.9:5080>;expires=3");
            vec![(CALLER, answer.empty())]
        }
        "BYE" => vec![reply(request, 200, &[])],
        _ => Vec::new(),
    });
    let tally = world.run();
    assert_eq!(tally.succeeded, 1);
    for request in [world.all("ACK")[0], world.all("BYE")[0]] {
        assert_eq!(request.request_uri_text(), "sip:bob@192.0.2.9:5080");
        let routes: Vec<_> = request.values(Name::Route).collect();
        assert_eq!(routes, ["<sip:192.0.2.3;lr;x=1>", "<sip:192.0.2.4:5070;lr>", "<sip:last.example.com;lr>"]);
        assert_eq!((request.from_tag(), request.to_tag()), (world.all("INVITE")[0].from_tag(), "t"));
    }
}
