//! Two phones that call each other on this machine, and hear.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::net::SocketAddr;
use std::time::Duration;

use cusax_load::phone::{Side, within};
use cusax_load::{Call, Phone, PhoneConfig, PhoneError};
use cusax_net::udp::{Options, Socket};
use cusax_sip::Name;
use cusax_sip::ua::EndReason;

const ALICE_HERTZ: f64 = 450.0;
const BOB_HERTZ: f64 = 600.0;

fn phone(user: &str, proxy: SocketAddr, hertz: f64) -> Phone {
    Phone::start(PhoneConfig::new(user, "example.com", "secret", proxy, hertz)).unwrap()
}

fn soon() -> std::time::Instant {
    within(Duration::from_secs(10))
}

/// A port that nobody answers on.
fn nobody() -> (Socket, SocketAddr) {
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap();
    let address = socket.local_addr();
    (socket, address)
}

/// Alice has called Bob, whose phone is her proxy.
async fn connected() -> (Phone, Phone, Call, Call) {
    let bob = phone("bob", "127.0.0.1:9".parse().unwrap(), BOB_HERTZ);
    let alice = phone("alice", bob.address(), ALICE_HERTZ);
    let calling = alice.call("sip:bob@example.com", &[("X-Test", "1")]).unwrap();
    let ringing = bob.incoming(soon()).await.unwrap();
    let invite = &ringing.invite().message;
    assert_eq!(invite.first_other("X-Test"), Some("1"));
    assert!(invite.first(Name::SessionId).unwrap().starts_with(&calling.session().to_string()));
    ringing.ring(&[("Warning", "399 bob \"patience\"")]);
    let ringback = calling.provisional(180, soon()).await.unwrap();
    assert_eq!(ringback.message.first(Name::Warning), Some("399 bob \"patience\""));
    let called = ringing.accept(&[]).unwrap();
    let answer = calling.answered(soon()).await.unwrap();
    assert!(answer.at >= ringback.at);
    assert_eq!(calling.responses().len(), 2);
    (alice, bob, calling, called)
}

#[tokio::test]
async fn each_hears_the_other_and_not_itself() {
    let (_alice, _bob, calling, called) = connected().await;
    calling.until_heard(BOB_HERTZ, soon()).await.unwrap();
    called.until_heard(ALICE_HERTZ, soon()).await.unwrap();
    assert!(calling.hears(BOB_HERTZ) && !calling.hears(ALICE_HERTZ));
    assert!(called.hears(ALICE_HERTZ) && !called.hears(BOB_HERTZ));
    let level = calling.level(BOB_HERTZ, Duration::from_millis(200));
    assert!((-22.0..-18.0).contains(&level), "{level}");
}

#[tokio::test]
async fn hold_stops_the_other_side_and_resume_brings_it_back() {
    let (_alice, _bob, calling, called) = connected().await;
    calling.until_heard(BOB_HERTZ, soon()).await.unwrap();
    calling.hold(soon()).await.unwrap();
    let offer = called.reoffered(0, soon()).await.unwrap();
    assert!(String::from_utf8_lossy(offer.message.body()).contains("a=sendonly"));
    let held = within(Duration::from_millis(100));
    called.until_heard(ALICE_HERTZ, soon()).await.unwrap();
    tokio::time::sleep_until((held + Duration::from_millis(200)).into()).await;
    assert!(calling.heard_since(held).is_empty(), "held");
    calling.resume(soon()).await.unwrap();
    let resumed = within(Duration::ZERO);
    let heard = calling.first_packet_from(resumed, BOB_HERTZ, true, soon()).await.unwrap();
    assert!(heard >= resumed);
}

#[tokio::test]
async fn both_sides_know_who_hung_up_and_why() {
    let (_alice, _bob, calling, called) = connected().await;
    called.hang_up(&[("Reason", "SIP;cause=200;text=\"done\"")]);
    let ended = calling.ended(soon()).await.unwrap();
    assert_eq!((ended.by, ended.reason), (Side::Them, EndReason::Bye));
    assert_eq!(ended.cause.as_deref(), Some("SIP;cause=200;text=\"done\""));
    assert_eq!(called.ended(soon()).await.unwrap().by, Side::Us);
    assert!(matches!(calling.hold(soon()).await, Err(PhoneError::Busy { .. })));
}

#[tokio::test]
async fn a_refused_call_fails_with_its_status_and_a_cancelled_one_ends() {
    let bob = phone("bob", "127.0.0.1:9".parse().unwrap(), BOB_HERTZ);
    let alice = phone("alice", bob.address(), ALICE_HERTZ);
    let refused = alice.call("sip:bob@example.com", &[]).unwrap();
    bob.incoming(soon()).await.unwrap().reject(486, &[("Retry-After", "9")]);
    match refused.answered(soon()).await {
        Err(PhoneError::Failed { status: 486, response: Some(response), .. }) => {
            assert_eq!(response.message.first(Name::RetryAfter), Some("9"));
        }
        other => panic!("{other:?}"),
    }
    let given_up = alice.call("sip:bob@example.com", &[]).unwrap();
    let ringing = bob.incoming(soon()).await.unwrap();
    ringing.ring(&[]);
    given_up.provisional(180, soon()).await.unwrap();
    given_up.hang_up(&[]);
    assert_eq!(ringing.cancelled(soon()).await.unwrap().reason, EndReason::Cancelled);
    assert_eq!(given_up.ended(soon()).await.unwrap().reason, EndReason::HungUp);
}

#[tokio::test]
async fn a_wait_says_who_waited_for_what() {
    let (_socket, proxy) = nobody();
    let alice = phone("alice", proxy, ALICE_HERTZ);
    let error = alice.register(60, within(Duration::from_millis(50))).await.unwrap_err();
    assert_eq!(error.to_string(), "alice: no response to REGISTER in time");
    let call = alice.call("sip:bob@example.com", &[]).unwrap();
    let error = call.answered(within(Duration::from_millis(50))).await.unwrap_err();
    assert_eq!(error.to_string(), "alice: no answer in time");
    let error = call.until_heard(BOB_HERTZ, within(Duration::from_millis(50))).await.unwrap_err();
    assert_eq!(error.to_string(), "alice: no sound of 600 Hz in time");
}

#[tokio::test]
async fn any_status_is_the_result_of_a_request() {
    let bob = phone("bob", "127.0.0.1:9".parse().unwrap(), BOB_HERTZ);
    let alice = phone("alice", bob.address(), ALICE_HERTZ);
    let response = alice.request("OPTIONS", "sip:bob@example.com", &[], None, soon()).await.unwrap();
    assert_eq!((response.status, response.algorithm), (200, None));
    assert_eq!(alice.register(60, soon()).await.unwrap().status, 405);
}
