//! Client transactions (RFC 3261 §17.1, RFC 6026 §7.2).

use std::time::Duration;

use bytes::Bytes;
use cusax_sip::transaction::{Output, T4, T64};
use cusax_sip::{Compose, Flow, Message, Method};

use crate::bench::{Bench, DOUBLING, TCP, UDP, UP_TO_T2, flow};

#[test]
fn an_unanswered_request_is_repeated_by_timer_a_or_e_and_ended_by_timer_b_or_f() {
    for (method, transport, repeats) in [
        (Method::Invite, UDP, &DOUBLING[..]),
        (Method::Invite, TCP, &[]),
        (Method::Options, UDP, &UP_TO_T2),
        (Method::Options, TCP, &[]),
    ] {
        let mut bench = Bench::new(transport);
        bench.send(method);
        bench.pass(Duration::from_secs(100));
        let times: Vec<_> = [0].iter().chain(repeats).copied().collect();
        assert_eq!(bench.sent(method.as_str()), times, "{method} {transport:?}");
        assert_eq!(bench.told(), [(32_000, "timed out")], "{method} {transport:?}");
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn a_provisional_response_ends_the_repeating_of_invite_and_slows_that_of_others() {
    for (method, transport, repeats, told) in [
        (Method::Invite, UDP, &[0, 500][..], &[(700, "response")][..]),
        (Method::Invite, TCP, &[0], &[(700, "response")]),
        (
            Method::Options,
            UDP,
            &[0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500],
            &[(700, "response"), (32_000, "timed out")],
        ),
        (Method::Options, TCP, &[0], &[(700, "response"), (32_000, "timed out")]),
    ] {
        let mut bench = Bench::new(transport);
        let (client, request) = bench.send(method);
        bench.pass(Duration::from_millis(700));
        bench.answered(&request, 100);
        bench.pass(Duration::from_secs(200));
        assert_eq!(bench.sent(method.as_str()), repeats, "{method} {transport:?}");
        assert_eq!(bench.told(), told, "{method} {transport:?}");
        // Nothing but timer C of a proxy ends an INVITE that rings.
        assert_eq!(bench.layer.counts().0, usize::from(method == Method::Invite));
        bench.layer.abandon(client);
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn a_failure_of_an_invite_is_acknowledged_each_time_until_timer_d() {
    for (transport, d) in [(UDP, T64), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (_, invite) = bench.send(Method::Invite);
        bench.answered(&invite, 180);
        bench.answered(&invite, 486);
        bench.answered(&invite, 486);
        bench.answered(&invite, 180);
        bench.answered(&invite, 200);
        assert_eq!(bench.sent("ACK sip:bob@example.com SIP/2.0\r\n").len(), 2);
        bench.sent("INVITE");
        assert_eq!(bench.names(), ["response", "response", "absorbed", "absorbed", "absorbed"]);
        bench.empties_after(d);
        bench.answered(&invite, 486);
        assert_eq!(bench.names(), ["dropped"]);
    }
}

#[test]
fn the_ack_to_a_failure_is_the_invites_own() {
    let mut bench = Bench::new(UDP);
    let (_, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 404);
    let Some((_, Output::Transmit { transmit, again: false })) = bench.log.get(1) else { panic!("{:?}", bench.log) };
    let (ack, invite) = (Message::parse(transmit.bytes.clone()).unwrap(), Message::parse(invite).unwrap());
    assert_eq!(ack.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!((ack.to_tag(), ack.from_tag(), ack.call_id()), ("there", "1", "c"));
    assert_eq!((ack.cseq(), ack.method_text()), (Some((1, "ACK")), "ACK"));
}

#[test]
fn every_2xx_to_invite_comes_up_until_timer_m() {
    for transport in [UDP, TCP] {
        let mut bench = Bench::new(transport);
        let (_, invite) = bench.send(Method::Invite);
        bench.answered(&invite, 200);
        bench.pass(Duration::from_secs(1));
        bench.answered(&invite, 200);
        bench.answered(&invite, 180);
        bench.answered(&invite, 486);
        assert_eq!(bench.sent("ACK").len(), 0, "the ACK to a 2xx is not this layer's");
        bench.sent("INVITE");
        assert_eq!(bench.names(), ["response", "response", "absorbed", "absorbed"]);
        bench.empties_after(T64 - Duration::from_secs(1));
        bench.answered(&invite, 200);
        assert_eq!(bench.names(), ["dropped"]);
    }
}

#[test]
fn the_final_response_to_another_request_comes_up_once_until_timer_k() {
    for (transport, k) in [(UDP, T4), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (_, options) = bench.send(Method::Options);
        bench.answered(&options, 200);
        bench.answered(&options, 200);
        bench.answered(&options, 100);
        bench.sent("OPTIONS");
        assert_eq!(bench.names(), ["response", "absorbed", "absorbed"]);
        bench.empties_after(k);
    }
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_has_the_invites_branch() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.layer.cancel(client, &[], bench.now);
    bench.settle();
    assert_eq!(bench.sent("CANCEL").len(), 0);
    bench.answered(&invite, 180);
    bench.layer.cancel(client, &[("Reason", "SIP;cause=200")], bench.now);
    bench.layer.cancel(client, &[], bench.now);
    bench.settle();
    let found = bench.log.iter().find_map(|(_, output)| match output {
        Output::Transmit { transmit, .. } if transmit.bytes.starts_with(b"CANCEL") => Some(transmit.bytes.clone()),
        _ => None,
    });
    let cancel = Message::parse(found.unwrap()).unwrap();
    let branch = Message::parse(invite.clone()).unwrap().top_via().unwrap().branch().to_owned();
    assert_eq!(cancel.top_via().unwrap().branch(), branch);
    assert_eq!((cancel.cseq(), cancel.to_tag()), (Some((1, "CANCEL")), ""));
    assert!(std::str::from_utf8(cancel.bytes()).unwrap().contains("Reason: SIP;cause=200\r\n"));
    assert_eq!(bench.sent("CANCEL").len(), 1, "once");
    bench.sent("INVITE");
    bench.names();
    bench.receive(Compose::response(&cancel, 200, None, Some("there")).empty());
    assert!(bench.names().is_empty(), "the answer to a CANCEL is nobody's business");
    bench.answered(&invite, 487);
    assert_eq!(bench.sent("ACK").len(), 1);
    assert_eq!(bench.names(), ["response"]);
    bench.empties_after(T64);
}

#[test]
fn a_cancel_that_nobody_answers_is_repeated_and_given_up_without_a_word() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 180);
    bench.sent("INVITE");
    bench.names();
    bench.layer.cancel(client, &[], bench.now);
    bench.pass(Duration::from_secs(60));
    let times: Vec<_> = [0].iter().chain(&UP_TO_T2).copied().collect();
    assert_eq!(bench.sent("CANCEL"), times);
    assert!(bench.names().is_empty());
    assert_eq!(bench.layer.counts(), (1, 0), "the INVITE still rings");
}

#[test]
fn a_transport_that_fails_ends_what_waits_on_it_and_a_cancel_says_nothing_of_its_invite() {
    let mut bench = Bench::new(UDP);
    let (client, invite) = bench.send(Method::Invite);
    bench.answered(&invite, 180);
    bench.layer.cancel(client, &[], bench.now);
    bench.send(Method::Options);
    bench.log.clear();
    let elsewhere = Flow { remote: "203.0.113.1:5060".parse().unwrap(), ..bench.flow };
    bench.layer.handle_unreachable(&elsewhere);
    bench.settle();
    assert!(bench.names().is_empty());
    bench.layer.handle_unreachable(&flow(UDP));
    bench.settle();
    assert_eq!(bench.names(), ["unreachable"]);
    bench.answered(&invite, 487);
    assert_eq!(bench.sent("ACK").len(), 1);
}

/// Anybody can send ICMP; who has seen a datagram can quote its branch.
#[test]
fn icmp_ends_the_transaction_that_it_quotes_and_no_other() {
    let mut bench = Bench::new(UDP);
    let (_, invite) = bench.send(Method::Invite);
    let (_, options) = bench.send(Method::Options);
    bench.log.clear();
    let cut = |bytes: &[u8], length: usize| bytes[..length.min(bytes.len())].to_vec();
    let forged = String::from_utf8(invite.to_vec()).unwrap().replace("-0-", "-1-");
    for quoted in [Vec::new(), cut(&invite, 30), forged.into_bytes(), b"CANCEL ;branch=x ".to_vec()] {
        bench.layer.handle_bounced(&flow(UDP), &quoted);
    }
    let elsewhere = Flow { remote: "203.0.113.1:5060".parse().unwrap(), ..bench.flow };
    bench.layer.handle_bounced(&elsewhere, &invite);
    bench.settle();
    assert!(bench.names().is_empty());
    bench.layer.handle_bounced(&flow(UDP), &cut(&options, 200));
    bench.settle();
    assert_eq!(bench.names(), ["unreachable"]);
    assert_eq!(bench.layer.counts().0, 1, "the INVITE still waits");
}

#[test]
fn branches_that_are_not_ours_are_dropped() {
    let mut bench = Bench::new(UDP);
    let (_, invite) = bench.send(Method::Invite);
    bench.log.clear();
    let text = String::from_utf8(invite.to_vec()).unwrap();
    let branch = Message::parse(invite).unwrap().top_via().unwrap().branch().to_owned();
    let mut forged =
        vec![String::new(), "z9hG4bK".to_owned(), "z9hG4bK-0-0-0".to_owned(), branch.replace("bK-0", "bK-1")];
    forged.push(branch.replace("z9hG4bK", "x9hG4bK").replace('-', "_"));
    forged.extend((8..branch.len()).map(|at| {
        let mut bytes = branch.clone().into_bytes();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    }));
    for forged in forged {
        let request = Message::parse(Bytes::from(text.replace(&branch, &forged))).unwrap();
        bench.receive(Compose::response(&request, 200, None, Some("there")).empty());
        assert_eq!(bench.names(), ["dropped"], "{forged}");
    }
    let other = Message::parse(Bytes::from(text.replace("1 INVITE", "1 BYE"))).unwrap();
    bench.receive(Compose::response(&other, 200, None, Some("there")).empty());
    assert_eq!(bench.names(), ["dropped"], "another method");
}
