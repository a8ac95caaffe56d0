//! A visitor with one softphone and one XMPP client, who does what the try-out says.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use cusax_load::phone::{PhoneError, within};
use cusax_load::{Chat, ChatConfig, Phone, PhoneConfig};
use cusax_tests::interop::{CUSAX, KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::process::output;
use cusax_tests::server::DOMAIN;
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::Role;
use rustix::process::Signal;

use crate::run::Run;

const SOON: Duration = Duration::from_secs(10);
/// Bob's tone, as it is said.
const HERTZ: f64 = 1_100.0;

/// What the try-out says after a word at the beginning of a line.
fn told<'a>(log: &'a str, what: &str) -> Vec<&'a str> {
    let (_, told) = log.split_once("== it stays up").expect("it stays up");
    told.lines().filter_map(|line| line.trim_start().strip_prefix(what)).map(str::trim).collect()
}

/// The address in `server/proxy 127.0.0.1:5060, UDP, …`.
fn address(text: &str) -> SocketAddr {
    text.split([' ', ',']).find_map(|word| word.parse().ok()).expect("an address")
}

#[tokio::test]
async fn one_phone_is_answered_by_bob_hears_him_in_the_meeting_and_what_is_printed_works() {
    if !available("programs", &[CUSAX, KAMAILIO, PROSODY, SIPP]) {
        return;
    }
    let mut run = Run::of_cusax_try(&[]);
    run.until("   trace ").await;
    let log = run.log();
    assert!(told(&log, "account").contains(&"alice@example.com, password wonderland-1, for both"), "{log}");
    let proxy = address(told(&log, "softphone")[0]);
    let mut config = PhoneConfig::new("alice", DOMAIN, "wonderland-1", proxy, 700.0);
    config.tone.dbfs = -30.0;
    let phone = Phone::start(config).unwrap();
    assert_eq!(phone.register(600, within(SOON)).await.unwrap().status, 200);

    // Bob answers, more than once.
    for _ in 0..2 {
        let call = phone.call("sip:bob@example.com", &[]).unwrap();
        call.answered(within(SOON)).await.unwrap();
        call.until_heard(HERTZ, within(SOON)).await.unwrap();
        call.hang_up(&[]);
        call.ended(within(SOON)).await.unwrap();
    }
    // Nobody else's phone is there any more, and only this one is alice's.
    let call = phone.call("sip:carol@example.com", &[]).unwrap();
    assert!(matches!(call.answered(within(SOON)).await, Err(PhoneError::Failed { status: 480, .. })));
    let carol = Phone::start(PhoneConfig::new("carol", DOMAIN, "carillon-3", proxy, 1_700.0)).unwrap();
    let call = carol.call("sip:alice@example.com", &[]).unwrap();
    let incoming = phone.incoming(within(SOON)).await.unwrap();
    incoming.reject(486, &[]);
    assert!(matches!(call.answered(within(SOON)).await, Err(PhoneError::Failed { status: 486, .. })));
    let gateway = phone.call("sip:+19005550123@example.com", &[]).unwrap();
    gateway.provisional(183, within(SOON)).await.unwrap();
    gateway.answered(within(SOON)).await.unwrap();
    gateway.until_heard(700.0, within(SOON)).await.unwrap();
    gateway.hang_up(&[]);

    // The meeting: bob is there, and alice takes and gives his voice.
    let meeting = phone.call("sip:standup@conference.example.com", &[]).unwrap();
    meeting.answered(within(SOON)).await.unwrap();
    meeting.until_heard(HERTZ, within(SOON)).await.unwrap();
    let clients = address(told(&log, "XMPP client")[0]);
    let jid = format!("alice@{DOMAIN}").parse().unwrap();
    let chat = Chat::connect(ChatConfig::new(jid, "wonderland-1", clients), within(SOON)).await.unwrap();
    let room: BareJid = "standup@conference.example.com".parse().unwrap();
    let entered = chat.enter(&room, "visitor", None, within(SOON)).await.unwrap();
    assert_eq!(entered.role, Some(Role::Moderator));
    chat.set_role(&room, "bob", Role::Visitor, None, within(SOON)).await.unwrap();
    meeting.until_silent(HERTZ, within(SOON)).await.unwrap();
    chat.set_role(&room, "bob", Role::Participant, None, within(SOON)).await.unwrap();
    meeting.until_heard(HERTZ, within(SOON)).await.unwrap();

    let trace = told(&log, "trace")[0];
    let ladder = output(Command::new("sh").args(["-c", trace]), "").unwrap();
    let text = String::from_utf8_lossy(&ladder.stdout).into_owned();
    assert!(ladder.status.success() && text.contains("INVITE sip:bob@example.com"), "{trace}: {text}");

    run.signal(Signal::INT);
    assert_eq!(run.end().await.code(), Some(0), "{}", run.log());
    run.leaves_nothing().await;
}
