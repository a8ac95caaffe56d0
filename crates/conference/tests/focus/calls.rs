//! Offers, answers, hold, and how calls end.

use std::time::Duration;

use cusax_event::Event;
use cusax_event::media::LegState;
use cusax_mixer::{Command, PortId, Trust};
use cusax_rtp::sdp::Direction;
use cusax_sip::Name;

use crate::phone::header;
use crate::service::Flavour;
use crate::stage::{Stage, URI};

fn body(message: &cusax_sip::Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn states(stage: &Stage) -> Vec<LegState> {
    let legs = stage.events.iter().filter_map(|event| match event {
        Event::Leg(leg) => Some(leg.state),
        _ => None,
    });
    legs.collect()
}

#[test]
fn the_mixer_learns_what_was_agreed() {
    let mut stage = Stage::new(Flavour::Prosody);
    let mut phone = stage.phone("alice");
    phone.media = "10.0.0.5 4000".to_owned();
    phone.vias = "SIP/2.0/UDP 10.0.0.5:5060;rport=31000;received=203.0.113.7;branch=z9hG4bKx".to_owned();
    let response = stage.dial(&mut phone);
    let Some(Command::AddLeg(add)) = stage.commands.first().copied() else { panic!("a leg") };
    assert_eq!(add.stream.remote, "10.0.0.5:4000".parse().unwrap());
    assert_eq!((add.signalling.source, add.signalling.trust), ("203.0.113.7".parse().unwrap(), Trust::Access));
    assert_eq!((add.muted, add.stream.direction), (false, Direction::SendRecv));
    let sdp = body(&response);
    assert!(sdp.contains("c=IN IP4 198.51.100.1"), "{sdp}");
    assert!(sdp.contains(&format!("m=audio {} RTP/AVP 0\r\n", add.seat.port.0)), "{sdp}");
    // Behind the same NAT, so on another port; from a server of ours, by what it describes.
    let mut second = stage.phone("bob");
    (second.media, second.vias) = ("10.0.0.6 4000".to_owned(), phone.vias.clone());
    stage.dial(&mut second);
    let mut third = stage.phone("carol");
    (third.media, third.vias) = ("10.0.0.7 4000".to_owned(), format!("{}, SIP/2.0/UDP 10.9.9.9;branch=z9", phone.vias));
    stage.dial(&mut third);
    let adds: Vec<_> = stage
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::AddLeg(add) => Some((add.seat.port, add.signalling.trust, add.conference)),
            _ => None,
        })
        .collect();
    assert_ne!(adds[0].0, adds[1].0);
    assert_eq!(adds[2].1, Trust::Core);
    assert!(adds.iter().all(|it| it.2 == adds[0].2 && [PortId(40_000), PortId(40_002)].contains(&it.0)));
    // Both ports have somebody who waits behind that address.
    let mut fourth = stage.phone("dave");
    (fourth.media, fourth.vias) = ("10.0.0.8 4000".to_owned(), phone.vias.clone());
    assert_eq!(stage.dial(&mut fourth).status(), Some(503));
    let source = "203.0.113.7:5000".parse().unwrap();
    let latched = cusax_mixer::Event::LegLatched { leg: add.leg, seat: add.seat, source };
    stage.focus.handle_mixer_event(latched, stage.now);
    assert_eq!(stage.dial(&mut fourth).status(), Some(200));
    // The others have had their time: who never sent anything makes room.
    let mut fifth = stage.phone("erin");
    (fifth.media, fifth.vias) = ("10.0.0.9 4000".to_owned(), phone.vias.clone());
    assert_eq!(stage.dial(&mut fifth).status(), Some(503));
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.dial(&mut fifth).status(), Some(200));
    let stopped = stage.commands.iter().find(|command| matches!(command, Command::StopWaiting { .. }));
    assert!(stopped.is_some());
}

#[test]
fn who_is_silent_is_asked_for_and_hung_up_on_where_there_is_nobody() {
    let options = |stage: &Stage| stage.sent.iter().filter(|message| message.method_text() == "OPTIONS").count();
    let mut stage = Stage::new(Flavour::Prosody);
    let (_, leg) = stage.enter("alice");
    stage.sent.clear();
    for _ in 0..2 {
        stage.silence(leg);
        stage.pass(Duration::from_secs(40));
    }
    assert_eq!((options(&stage), stage.focus.counts().legs), (2, 1), "he says nothing, but he is there");
    // A phone that does not know OPTIONS is there too.
    stage.phones_say = Some(405);
    stage.silence(leg);
    assert_eq!(stage.focus.counts().legs, 1);
    for (says, status) in [(Some(481), 481), (Some(408), 408), (Some(503), 503), (None, 408)] {
        let mut stage = Stage::new(Flavour::Prosody);
        let (_, leg) = stage.enter("alice");
        let (_, other) = stage.enter("bob");
        stage.sent.clear();
        stage.phones_say = says;
        stage.silence(leg);
        stage.silence(leg);
        assert_eq!(options(&stage), 1, "once at a time");
        stage.pass(Duration::from_secs(33));
        assert_eq!(stage.byes().len(), 1, "{status}");
        assert!(!stage.muted.contains_key(&leg) && stage.muted.contains_key(&other));
        let failed = stage.events.iter().filter(
            |event| matches!(event, Event::Leg(leg) if leg.state == LegState::Failed && leg.status == Some(status)),
        );
        assert_eq!(failed.count(), 1, "{status}");
    }
}

#[test]
fn an_invite_without_an_offer_gets_one_and_joins_with_its_answer() {
    let mut stage = Stage::new(Flavour::Prosody);
    let mut phone = stage.phone("alice");
    let invite = phone.invite(URI, "");
    stage.sip(invite);
    let response = stage.response();
    phone.hear(&response);
    assert!(body(&response).contains("RTP/AVP 0 8 101"));
    assert!(stage.commands.is_empty());
    let answer = phone.sdp("sendrecv");
    let ack = phone.request("ACK", URI, "", &answer);
    stage.sip(ack);
    assert!(matches!(stage.commands[..], [Command::AddLeg(_)]));
    // One without an answer has no session.
    let mut phone = stage.phone("bob");
    let invite = phone.invite(URI, "");
    stage.sip(invite);
    phone.hear(&stage.response());
    let ack = phone.request("ACK", URI, "", "");
    stage.sip(ack);
    assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=415;text=\"No session was agreed\"".to_owned())]);
    assert_eq!(stage.focus.counts().legs, 1);
    assert_eq!(states(&stage), [LegState::Joined, LegState::Failed]);
}

#[test]
fn what_cannot_be_answered_is_refused_with_the_reason() {
    let mut stage = Stage::new(Flavour::Prosody);
    let mut refused = |body: &str, kind: &str| {
        let mut phone = stage.phone("alice");
        let invite = phone.invite(URI, body);
        let invite = String::from_utf8(invite.to_vec()).unwrap().replace("application/sdp", kind);
        stage.sip(invite.into());
        let response = stage.response();
        (response.status().unwrap(), header(&response, Name::Warning), header(&response, Name::Accept))
    };
    let offer = stage_offer("RTP/AVP 0");
    assert_eq!(refused(&stage_offer("RTP/SAVP 0"), "application/sdp").0, 488);
    assert_eq!(
        refused(&stage_offer("RTP/AVP 96"), "application/sdp").1,
        "305 conf.example.test \"Incompatible media format\""
    );
    assert_eq!(refused(&offer, "multipart/mixed").2, "application/sdp");
    assert_eq!(refused("garbage", "application/sdp").0, 415);
    assert_eq!(refused(&offer, "Application/SDP ;charset=utf-8").0, 200);
    assert_eq!(stage.focus.counts().legs, 1);
}

fn stage_offer(formats: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\nm=audio 4000 {formats}\r\n")
}

#[test]
fn hold_resume_and_refresh_keep_the_call() {
    let mut stage = Stage::new(Flavour::Prosody);
    let (mut phone, leg) = stage.enter("alice");
    let held = phone.sdp("sendonly");
    let hold = phone.request("INVITE", URI, "", &held);
    stage.sip(hold);
    let response = stage.response();
    assert!(body(&response).contains("a=recvonly"));
    assert_eq!(header(&response, Name::Contact), "<sip:room1@conf.example.test>;isfocus");
    let ack = phone.request("ACK", URI, "", "");
    stage.sip(ack);
    let Some(Command::UpdateLeg(update)) = stage.commands.last() else { panic!("an update") };
    assert_eq!((update.leg, update.stream.direction), (leg, Direction::RecvOnly));
    // A refresh says nothing new, so its answer is the same description.
    let refresh = phone.request("UPDATE", URI, "", &held);
    stage.sip(refresh);
    assert_eq!(body(&stage.response()), body(&response));
    let plain = phone.request("UPDATE", URI, "", "");
    stage.sip(plain);
    assert_eq!(stage.response().body(), b"");
    // Without an offer, ours comes in the 200, and the ACK resumes.
    let empty = phone.request("INVITE", URI, "", "");
    stage.sip(empty);
    let offer = body(&stage.response());
    assert!(offer.contains("a=sendrecv"));
    let version = |sdp: &str| sdp.split(' ').nth(2).and_then(|version| version.parse::<u32>().ok()).unwrap();
    assert_eq!(version(&offer), version(&body(&response)) + 1);
    let answer = phone.sdp("sendrecv");
    let ack = phone.request("ACK", URI, "", &answer);
    stage.sip(ack);
    let Some(Command::UpdateLeg(update)) = stage.commands.last() else { panic!("an update") };
    assert_eq!(update.stream.direction, Direction::SendRecv);
    // An offer that cannot be taken leaves all as it was.
    let count = stage.commands.len();
    let bad = phone.request("INVITE", URI, "", &stage_offer("RTP/SAVP 0"));
    stage.sip(bad);
    assert_eq!(stage.response().status(), Some(488));
    assert_eq!((stage.commands.len(), stage.byes()), (count, vec![]));
    assert_eq!(states(&stage), [LegState::Joined]);
}

#[test]
fn a_leg_that_moves_is_found_by_its_new_address() {
    let mut stage = Stage::new(Flavour::Prosody);
    let (_, first) = stage.enter("alice");
    let (mut phone, leg) = stage.enter("bob");
    phone.media = "192.0.2.2 10001".to_owned();
    assert_ne!(first, leg);
    let offer = phone.sdp("sendrecv");
    let moved = phone.request("UPDATE", URI, "", &offer);
    stage.sip(moved);
    let sdp = body(&stage.response());
    let Some(Command::UpdateLeg(update)) = stage.commands.last() else { panic!("an update") };
    assert_eq!(update.stream.remote, "192.0.2.2:10001".parse().unwrap());
    assert!(sdp.contains(&format!("m=audio {} ", update.seat.port.0)));
}

#[test]
fn who_gives_up_before_the_answer_leaves_nothing() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.rooms.values_mut().for_each(|room| room.silent = true);
    let mut phone = stage.phone("alice");
    let invite = phone.invite(URI, "");
    stage.sip(invite);
    assert_eq!(stage.focus.counts().arrivals, 1);
    let cancel = phone.request("CANCEL", URI, "", "");
    stage.sip(cancel);
    let statuses = [stage.response().status(), stage.response().status()];
    assert!(statuses.contains(&Some(487)) && statuses.contains(&Some(200)), "{statuses:?}");
    assert_eq!(stage.focus.counts().arrivals, 0);
    stage.pass(Duration::from_secs(120));
    assert!(stage.focus.is_idle());
}

#[test]
fn a_call_without_an_ack_ends_and_frees_its_port() {
    let mut stage = Stage::new(Flavour::Prosody);
    let mut phone = stage.phone("alice");
    let offer = phone.sdp("sendrecv");
    let invite = phone.invite(URI, &offer);
    stage.sip(invite);
    stage.pass(Duration::from_secs(33));
    assert_eq!(stage.byes().len(), 1);
    assert!(stage.muted.is_empty());
    assert_eq!(states(&stage), [LegState::Joined, LegState::Failed]);
    stage.pass(Duration::from_secs(64));
    assert!(stage.focus.is_idle());
}

#[test]
fn garbage_is_dropped_and_counted() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.sip(bytes::Bytes::from_static(b"\xff\xff\r\n\r\n"));
    stage.stanza("<message from='room9@conference.example.test/x' to='focus@cusax.example.test/mixer'/>");
    assert!(matches!(stage.events[..], [Event::SipDropped(_), Event::XmppDropped(_)]));
}

#[test]
fn a_long_reason_of_a_moderator_leaves_room_for_the_bye_that_tells_it() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Bob", "bob@example.test/x", "participant"));
    stage.enter("bob");
    stage.sent.clear();
    stage.room(|room| room.kick("Bob", &"é".repeat(60_000)));
    let byes = stage.byes();
    assert_eq!(byes[0].1, format!("SIP;cause=403;text=\"Kicked: {}\"", "é".repeat(200)));
}

#[test]
fn who_is_kicked_and_never_acknowledges_is_told_why() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Bob", "bob@example.test/x", "participant"));
    let mut phone = stage.phone("bob");
    let offer = phone.sdp("sendrecv");
    let invite = phone.invite(URI, &offer);
    stage.sip(invite);
    stage.room(|room| room.kick("Bob", "noise"));
    stage.pass(Duration::from_secs(33));
    assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=403;text=\"Kicked: noise\"".to_owned())]);
}

#[test]
fn who_asks_for_an_offer_from_another_network_is_judged_by_where_he_is_now() {
    let mut stage = Stage::new(Flavour::Prosody);
    let (mut phone, _) = stage.enter("alice");
    phone.media = "10.0.0.5 4000".to_owned();
    phone.vias = "SIP/2.0/UDP 10.0.0.5:5060;rport=31000;received=203.0.113.7;branch=z9hG4bKx".to_owned();
    let again = phone.request("INVITE", URI, "", "");
    stage.sip(again);
    assert_eq!(stage.response().status(), Some(200));
    let answer = phone.sdp("sendrecv");
    let ack = phone.request("ACK", URI, "", &answer);
    stage.sip(ack);
    let Some(Command::UpdateLeg(update)) = stage.commands.last() else { panic!("an update") };
    assert_eq!(update.signalling.source, "203.0.113.7".parse::<std::net::IpAddr>().unwrap());
}
