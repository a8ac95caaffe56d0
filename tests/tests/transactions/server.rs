//! Server transactions (RFC 3261 §17.2, RFC 6026 §7.1).

use std::time::Duration;

use bytes::Bytes;
use cusax_sip::ConnectionId;
use cusax_sip::transaction::{Output, T4, T64};

use crate::bench::{Bench, TCP, UDP, UP_TO_T2, request};

#[test]
fn a_failure_is_repeated_by_timer_g_until_timer_h() {
    for (transport, repeats) in [(UDP, &UP_TO_T2[..]), (TCP, &[])] {
        let mut bench = Bench::new(transport);
        let invite = request("INVITE", "z9hG4bK1");
        let server = bench.asked(&invite);
        bench.respond(server, &invite, 486);
        bench.pass(Duration::from_secs(100));
        let times: Vec<_> = [0].iter().chain(repeats).copied().collect();
        assert_eq!(bench.sent("SIP/2.0 486"), times, "{transport:?}");
        assert_eq!(bench.told(), [(32_000, "unacknowledged")]);
        assert_eq!(bench.layer.counts(), (0, 0));
    }
}

#[test]
fn an_ack_ends_the_repeating_and_is_absorbed_until_timer_i() {
    for (transport, i) in [(UDP, T4), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let (invite, ack) = (request("INVITE", "z9hG4bK1"), request("ACK", "z9hG4bK1"));
        let server = bench.asked(&invite);
        bench.receive(ack.clone());
        assert_eq!(bench.names(), ["absorbed"], "too early, and no reason to fall");
        bench.respond(server, &invite, 486);
        for _ in 0..3 {
            bench.receive(ack.clone());
        }
        bench.receive(invite.clone());
        assert_eq!(bench.sent("SIP/2.0 486"), [0], "not repeated once acknowledged");
        assert_eq!(bench.names(), ["absorbed"; 4]);
        bench.empties_after(i);
    }
}

#[test]
fn a_repeated_request_gets_the_last_response_again() {
    let mut bench = Bench::new(UDP);
    let invite = request("INVITE", "z9hG4bK1");
    let server = bench.asked(&invite);
    bench.receive(invite.clone());
    assert_eq!(bench.names(), ["absorbed"], "nothing to repeat yet");
    for status in [100, 180, 183, 486] {
        bench.respond(server, &invite, status);
        bench.receive(invite.clone());
        assert_eq!(bench.sent(&format!("SIP/2.0 {status}")).len(), 2);
        assert_eq!(bench.names(), ["absorbed"]);
    }
    bench.respond(server, &invite, 180);
    bench.respond(server, &invite, 200);
    assert!(bench.names().is_empty(), "nothing follows a final response");
}

#[test]
fn a_2xx_keeps_the_transaction_until_timer_l_and_its_acks_and_repetitions_pass() {
    for transport in [UDP, TCP] {
        let mut bench = Bench::new(transport);
        let (invite, ack) = (request("INVITE", "z9hG4bK1"), request("ACK", "z9hG4bK1"));
        let server = bench.asked(&invite);
        bench.respond(server, &invite, 200);
        bench.pass(Duration::from_secs(1));
        bench.receive(invite.clone());
        assert_eq!(bench.sent("SIP/2.0 200"), [0], "the user repeats a 2xx, not this layer");
        assert_eq!(bench.names(), ["absorbed"]);
        bench.respond(server, &invite, 200);
        bench.respond(server, &invite, 486);
        assert_eq!(bench.sent("SIP/2.0"), [1_000]);
        bench.receive(ack);
        assert_eq!(bench.names(), ["ack"]);
        bench.empties_after(T64 - Duration::from_secs(1));
    }
}

#[test]
fn another_request_is_answered_once_and_remembered_until_timer_j() {
    for (transport, j) in [(UDP, T64), (TCP, Duration::ZERO)] {
        let mut bench = Bench::new(transport);
        let options = request("OPTIONS", "z9hG4bK1");
        let server = bench.asked(&options);
        bench.respond(server, &options, 200);
        bench.respond(server, &options, 404);
        bench.receive(options);
        assert_eq!(bench.sent("SIP/2.0 200").len(), 2);
        assert_eq!(bench.names(), ["absorbed"]);
        bench.empties_after(j);
    }
}

#[test]
fn a_request_that_nobody_answers_is_forgotten_when_its_client_has_given_up() {
    let mut bench = Bench::new(UDP);
    bench.asked(&request("OPTIONS", "z9hG4bK1"));
    bench.empties_after(T64);
    assert!(bench.names().is_empty(), "and nobody is told (RFC 4320)");
}

#[test]
fn a_cancel_is_a_transaction_of_its_own_and_names_the_invite_that_it_is_about() {
    let mut bench = Bench::new(UDP);
    let server = bench.asked(&request("INVITE", "z9hG4bK1"));
    bench.layer.set_owner(server, 42);
    for (branch, expected) in [("z9hG4bK1", Some((server, 42))), ("z9hG4bK2", None)] {
        bench.receive(request("CANCEL", branch));
        let Some((_, Output::Request { cancels, .. })) = bench.log.pop() else { panic!("{branch}") };
        assert_eq!(cancels, expected, "{branch}");
    }
    bench.receive(request("CANCEL", "z9hG4bK1"));
    assert_eq!(bench.names(), ["absorbed"]);
}

#[test]
fn a_cancel_finds_what_it_is_about_whatever_its_method() {
    for method in ["MESSAGE", "OPTIONS", "REGISTER", "SUBSCRIBE"] {
        let mut bench = Bench::new(UDP);
        let server = bench.asked(&request(method, "z9hG4bK1"));
        bench.receive(request("CANCEL", "z9hG4bK1"));
        let Some((_, Output::Request { cancels, .. })) = bench.log.pop() else { panic!("{method}") };
        assert_eq!(cancels, Some((server, 0)), "{method}");
    }
}

#[test]
fn transactions_are_told_apart_by_branch_sender_and_method() {
    let mut bench = Bench::new(UDP);
    let text = String::from_utf8(request("INVITE", "z9hG4bK1").to_vec()).unwrap();
    for other in [
        text.clone(),
        text.replace("z9hG4bK1", "z9hG4bK2"),
        text.replace("Via: SIP/2.0/UDP 198.51.100.1:5060", "Via: SIP/2.0/UDP 198.51.100.1:5061"),
        text.replace("Via: SIP/2.0/UDP 198.51.100.1", "Via: SIP/2.0/UDP 198.51.100.9"),
        text.replace("INVITE", "MESSAGE"),
    ] {
        bench.receive(other.clone());
        assert_eq!(bench.names(), ["request"], "{other}");
        bench.receive(other);
        assert_eq!(bench.names(), ["absorbed"]);
    }
}

#[test]
fn requests_of_rfc_2543_are_matched_without_a_unique_branch() {
    let mut bench = Bench::new(UDP);
    let old = String::from_utf8(request("INVITE", "1").to_vec()).unwrap();
    for text in [old.clone(), old.replace(";branch=1", ""), old.replace("Call-ID: c", "Call-ID: d")] {
        bench.receive(text.clone());
        assert_eq!(bench.names(), ["request"], "{text}");
        bench.receive(text.clone());
        bench.receive(text.replace("INVITE", "ACK"));
        assert_eq!(bench.names(), ["absorbed"; 2], "{text}");
    }
}

#[test]
fn responses_go_back_where_the_request_came_from() {
    for (via, expected) in [
        ("198.51.100.1:5070", "198.51.100.1:5070"),
        ("198.51.100.1", "198.51.100.1:5060"),
        ("10.0.0.9:5070", "198.51.100.1:5070"),
        ("10.0.0.9:5070;rport", "198.51.100.1:40000"),
        ("10.0.0.9:5070;maddr=203.0.113.5", "198.51.100.1:5070"),
        ("10.0.0.9:5070;received=203.0.113.5", "198.51.100.1:5070"),
        ("phone.example:5070", "198.51.100.1:5070"),
    ] {
        let mut bench = Bench::new(UDP);
        bench.flow.remote = "198.51.100.1:40000".parse().unwrap();
        let text = String::from_utf8(request("OPTIONS", "z9hG4bK1").to_vec()).unwrap();
        let options = Bytes::from(text.replace("198.51.100.1:5060", via));
        let server = bench.asked(&options);
        bench.respond(server, &options, 200);
        let Some((_, Output::Transmit { transmit, .. })) = bench.log.pop() else { panic!("{via}") };
        assert_eq!(transmit.flow.remote, expected.parse().unwrap(), "{via}");
    }
}

/// RFC 3261 §18.2.2: by the connection that the request came by and, where that has ended, by one to where its sender listens.
#[test]
fn an_answer_outlives_the_connection_of_its_request() {
    for (via, expected) in [("10.0.0.9:5070", "198.51.100.1:5070"), ("phone.invalid", "198.51.100.1:5060")] {
        for (method, early) in [("INVITE", false), ("INVITE", true), ("OPTIONS", false)] {
            let mut bench = Bench::new(TCP);
            bench.flow.remote = "198.51.100.1:40000".parse().unwrap();
            bench.flow.connection = Some(ConnectionId(7));
            let text = String::from_utf8(request(method, "z9hG4bK1").to_vec()).unwrap();
            let asked = Bytes::from(text.replace("198.51.100.1:5060", via));
            let server = bench.asked(&asked);
            if early {
                bench.respond(server, &asked, 486);
                bench.sent("SIP/2.0 486");
            }
            bench.layer.handle_unreachable(&bench.flow);
            bench.settle();
            if !early {
                bench.respond(server, &asked, 486);
            }
            let Some((_, Output::Transmit { transmit, .. })) = bench.log.pop() else { panic!("{method}") };
            let there = (transmit.flow.remote, transmit.flow.connection);
            assert_eq!(there, (expected.parse().unwrap(), None), "{method} {early}");
            // It is tried once.
            bench.layer.handle_unreachable(&transmit.flow);
            bench.settle();
            assert!(bench.log.is_empty(), "{method} {early}");
        }
    }
}

/// RFC 4475 §3.2.1: a cookie with nothing behind it is no branch, and all whose stack writes it would share it.
#[test]
fn a_cookie_with_nothing_behind_it_is_no_branch() {
    let mut bench = Bench::new(UDP);
    let one = request("OPTIONS", "z9hG4bK");
    let text = String::from_utf8(one.to_vec()).unwrap();
    let other = Bytes::from(text.replace("Call-ID: ", "Call-ID: another-"));
    assert_ne!(one, other);
    bench.receive(one.clone());
    bench.receive(other);
    assert_eq!(bench.names(), ["request"; 2]);
    bench.receive(one);
    assert_eq!(bench.names(), ["absorbed"]);
}
