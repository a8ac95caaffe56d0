//! What is refused without asking the user, and what is sent again with credentials.

use bytes::Bytes;

use super::link::{ALICE, BOB, CONTACTS, Link, flow_to, outgoing};
use crate::Message;
use crate::digest::{Algorithm, Challenge, Credentials, ha1};
use crate::ua::{Login, Outgoing, Output};

/// Gives Bob a request and returns the status of his answer.
fn status_of(link: &mut Link, text: &str) -> u16 {
    let text = text.replace('\n', "\r\n");
    let before = link.messages.len();
    let message = Message::parse(Bytes::from(text)).unwrap();
    link.agents[BOB].handle_message(message, flow_to(ALICE), link.now);
    link.flush();
    let (_, answer) = link.messages[before..].last().expect("an answer");
    Message::parse(Bytes::from(answer.clone())).unwrap().status().unwrap()
}

fn request(method: &str, number: u32, headers: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}{number}\n\
         From: <sip:alice@x>;tag=a\nCall-ID: c\nCSeq: {number} {method}\n{headers}\n"
    )
}

const TO: &str = "To: <sip:bob@x>\n";
const NOBODY: &str = "To: <sip:bob@x>;tag=nobody\n";
const CONTACT: &str = "Contact: <sip:alice@192.0.2.1>\n";

#[test]
fn refuses_what_it_does_not_know() {
    let mut link = Link::new(1);
    for (text, status) in [
        (request("BYE", 1, NOBODY), 481),
        (request("INVITE", 1, &format!("{NOBODY}{CONTACT}")), 481),
        (request("INFO", 1, TO), 481),
        (request("CANCEL", 1, TO), 481),
        (request("REGISTER", 1, TO), 405),
        (request("FROBNICATE", 1, TO), 405),
        (request("INVITE", 2, &format!("{TO}{CONTACT}Require: 100rel, timer\n")), 420),
        (request("INVITE", 3, TO), 400),
        (request("INVITE", 4, CONTACT), 400),
    ] {
        assert_eq!(status_of(&mut link, &text), status, "{text}");
    }
    assert!(link.last(BOB, "SIP/2.0 420").contains("Unsupported: timer\r\n"));
    assert!(link.last(BOB, "SIP/2.0 405").contains("Allow: INVITE, "));
    link.drain();
}

#[test]
fn an_invite_that_comes_two_ways_is_answered_once() {
    let mut link = Link::new(2);
    let invite = request("INVITE", 1, &format!("{TO}{CONTACT}"));
    assert_eq!(status_of(&mut link, &invite), 100);
    assert_eq!(status_of(&mut link, &invite.replace("branch=z9hG4bK", "branch=z9hG4bKother")), 482);
    link.drain();
}

#[test]
fn requests_out_of_order_get_500_and_a_second_offer_too() {
    let mut link = Link::new(3);
    let invite = request("INVITE", 5, &format!("{TO}{CONTACT}"));
    let message = Message::parse(Bytes::from(invite.replace('\n', "\r\n"))).unwrap();
    link.agents[BOB].handle_message(message, flow_to(ALICE), link.now);
    let bob = link.invited();
    let tag = link.agents[BOB].dialog(bob).unwrap().local_tag().to_owned();
    let inside = format!("To: <sip:bob@x>;tag={tag}\n{CONTACT}");
    assert_eq!(status_of(&mut link, &request("INVITE", 6, &inside)), 500, "the first is open");
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    assert_eq!(status_of(&mut link, &request("INVITE", 7, &inside)), 500, "no ACK yet");
    let ack = request("ACK", 5, &inside).replace("z9hG4bKACK", "z9hG4bKack");
    link.agents[BOB].handle_message(
        Message::parse(Bytes::from(ack.replace('\n', "\r\n"))).unwrap(),
        flow_to(ALICE),
        link.now,
    );
    assert_eq!(status_of(&mut link, &request("INFO", 6, &inside)), 500, "its number was used");
    assert_eq!(status_of(&mut link, &request("BYE", 9, &inside.replace("tag=", "tag=x"))), 481);
    assert_eq!(status_of(&mut link, &request("BYE", 10, &inside)), 200);
    link.drain();
}

#[test]
fn a_request_that_its_user_forgets_gets_500() {
    let mut link = Link::new(4);
    let options = link.agents[ALICE].send("OPTIONS", &outgoing(), link.now).unwrap();
    link.until(|agent, output| match output {
        Output::Response { request, status, .. } => {
            assert_eq!((agent, *request), (ALICE, options));
            assert!(matches!(status, 408 | 500), "{status}");
            Some(())
        }
        _ => None,
    });
    link.drain();
}

#[test]
fn answers_a_challenge_with_the_strongest_algorithm_and_gives_up_where_that_was_in_vain() {
    for (password, expected) in [("secret", 200), ("wrong", 401)] {
        let mut link = Link::new(5);
        let login = Login { username: "alice".to_owned(), password: password.to_owned(), algorithm: None };
        let sent = Outgoing { login: Some(&login), ..outgoing() };
        link.agents[ALICE].send("OPTIONS", &sent, link.now).unwrap();
        let (status, algorithm) = loop {
            let asked = link.until(|_, output| match output {
                Output::Request { request, message, .. } => Some(Ok((*request, message.clone()))),
                Output::Response { status, algorithm, .. } => Some(Err((*status, *algorithm))),
                _ => None,
            });
            let (request, message) = match asked {
                Ok(asked) => asked,
                Err(response) => break response,
            };
            let key = ha1(Algorithm::Sha256, "alice", "r", "secret");
            let given = message.first(crate::name::Name::Authorization).and_then(Credentials::parse);
            let right = given.is_some_and(|credentials| credentials.verify(&key, "OPTIONS"));
            let challenge = |algorithm| {
                let (realm, nonce) = ("r".to_owned(), "n".to_owned());
                Challenge { realm, nonce, algorithm, qop_auth: true, stale: false, opaque: None }.to_string()
            };
            let (md5, sha256) = (challenge(Algorithm::Md5), challenge(Algorithm::Sha256));
            let lines: &[_] = &[("WWW-Authenticate", md5.as_str()), ("WWW-Authenticate", &sha256)];
            let (status, lines) = if right { (200, &[][..]) } else { (401, lines) };
            link.agents[BOB].answer(request, status, lines, None, link.now);
        };
        assert_eq!((status, algorithm), (expected, Some(Algorithm::Sha256)));
        assert!(link.last(ALICE, "OPTIONS").contains("CSeq: 2 OPTIONS\r\n"));
        link.drain();
    }
}

#[test]
fn a_second_answer_to_a_forked_invite_is_acknowledged_and_ended() {
    let mut link = Link::new(6);
    link.agents[ALICE].invite(&outgoing(), link.now).unwrap();
    let bob = link.invited();
    link.agents[BOB].accept(bob, CONTACTS[BOB], &[], None, link.now);
    link.until(|_, output| matches!(output, Output::Acked { .. }).then_some(()));
    let ours = link.last(BOB, "SIP/2.0 200").to_owned();
    let tag = link.agents[BOB].dialog(bob).unwrap().local_tag();
    let fork = Bytes::from(ours.replace(tag, "fork"));
    for _ in 0..2 {
        let message = Message::parse(fork.clone()).unwrap();
        link.agents[ALICE].handle_message(message, flow_to(BOB), link.now);
        link.flush();
    }
    let to_fork = |start: &str| {
        let of = |(_, text): &&(usize, String)| text.starts_with(start) && text.contains("tag=fork");
        link.messages.iter().filter(of).count()
    };
    assert_eq!((to_fork("ACK"), to_fork("BYE")), (2, 1));
    assert_eq!(link.agents[ALICE].calls(), 1);
    link.agents[BOB].hang_up(bob, &[], link.now);
    link.drain();
}

#[test]
fn a_full_table_refuses_with_503() {
    let mut link = Link::new(7);
    for number in 0..100 {
        let invite =
            request("INVITE", 1, &format!("{TO}{CONTACT}")).replace("Call-ID: c", &format!("Call-ID: {number}"));
        let invite = invite.replace("z9hG4bK", &format!("z9hG4bK{number}x"));
        assert_eq!(status_of(&mut link, &invite), 100);
    }
    assert_eq!(status_of(&mut link, &request("INVITE", 1, &format!("{TO}{CONTACT}"))), 503);
    link.drain();
}

#[test]
fn who_was_called_answers_a_challenge_within_the_call_too() {
    let mut link = Link::new(6);
    let (_, bob) = link.establish();
    let login = Login { username: "bob".to_owned(), password: "secret".to_owned(), algorithm: None };
    link.agents[BOB].set_login(bob, &login);
    link.agents[BOB].send_within(bob, "INFO", &[], None, link.now).unwrap();
    let asked = |link: &mut Link| {
        link.until(|_, output| match output {
            Output::Request { request, message, .. } => Some((*request, message.clone())),
            _ => None,
        })
    };
    let (request, _) = asked(&mut link);
    let (realm, nonce) = ("r".to_owned(), "n".to_owned());
    let challenge = Challenge { realm, nonce, algorithm: Algorithm::Md5, qop_auth: true, stale: false, opaque: None };
    let lines = [("Proxy-Authenticate", challenge.to_string())];
    link.agents[ALICE].answer(
        request,
        407,
        &lines.each_ref().map(|(name, value)| (*name, value.as_str())),
        None,
        link.now,
    );
    let (request, message) = asked(&mut link);
    let given = message.first(crate::name::Name::ProxyAuthorization).and_then(Credentials::parse).unwrap();
    assert!(given.verify(&ha1(Algorithm::Md5, "bob", "r", "secret"), "INFO"));
    link.agents[ALICE].answer(request, 200, &[], None, link.now);
    link.until(|_, output| matches!(output, Output::Response { status: 200, .. }).then_some(()));
    link.agents[BOB].hang_up(bob, &[], link.now);
    link.drain();
}
