//! Who comes into a call.

use std::time::Duration;

use cusax_conference::{Config, Create};
use cusax_event::Event;
use cusax_event::media::LegState;
use cusax_sip::{Message, Name};

use crate::phone::header;
use crate::service::{Flavour, Room};
use crate::stage::{ROOM, Stage, URI, config};

fn dial(stage: &mut Stage, user: &'static str) -> Message {
    let mut phone = stage.phone(user);
    stage.dial(&mut phone)
}

#[test]
fn the_room_is_entered_before_the_first_caller_is_answered() {
    let mut stage = Stage::new(Flavour::Prosody);
    let response = dial(&mut stage, "alice");
    assert_eq!(response.status(), Some(200));
    assert_eq!(header(&response, Name::Contact), "<sip:room1@conf.example.test>;isfocus");
    assert_eq!(header(&response, Name::Allow), "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE");
    assert_eq!(header(&response, Name::Supported), "100rel");
    assert_eq!(header(&response, Name::RecordRoute), crate::phone::ROUTE);
    let second = dial(&mut stage, "bob");
    let half = |response: &Message| header(response, Name::SessionId).split(';').next().unwrap().to_owned();
    assert_eq!(half(&response), half(&second), "one story");
    assert_eq!(header(&second, Name::SessionId), format!("{};remote={:032x}", half(&second), 0xc0de_0002_u32));
    assert_eq!(stage.stanzas.len(), 7, "asked, configured, entered, four lists: once");
    let told: Vec<&str> = stage
        .events
        .iter()
        .map(|event| match event {
            Event::Room(room) if room.mirrored => "room",
            Event::Conference(conference) if conference.active => "conference",
            Event::Leg(leg) if leg.state == LegState::Joined && leg.codec == Some("PCMU") => "leg",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["room", "conference", "leg", "leg"]);
}

#[test]
fn a_room_that_is_not_there_gets_404_where_a_conference_needs_one() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.rooms.clear();
    let response = dial(&mut stage, "alice");
    assert_eq!(response.status(), Some(404));
    assert_eq!(header(&response, Name::Warning), "399 conf.example.test \"There is no such room\"");
    stage.pass(Duration::from_secs(64));
    assert!(stage.focus.is_idle());
    for uri in ["sip:conf.example.test", "sip:a%20b%ff@conf.example.test", "sip:%00@conf.example.test"] {
        let mut phone = stage.phone("alice");
        let invite = phone.invite(uri, "");
        stage.sip(invite);
        assert_eq!(stage.response().status(), Some(404), "{uri}");
    }
}

#[test]
fn a_conference_that_needs_no_room_is_mirrored_as_soon_as_there_is_one() {
    let mut config = config();
    config.conferences[0].create = Create::Always;
    let mut stage = Stage::of(config, Flavour::Prosody);
    let mut room = stage.rooms.remove(ROOM).unwrap();
    let (_, bob) = stage.enter("bob");
    let (carol, _) = stage.enter("carol");
    stage.sent.clear();
    room.join("Bob", "bob@example.test/x", "visitor");
    room.affiliate("carol@example.test", "outcast", "");
    stage.rooms.insert(ROOM.to_owned(), room);
    stage.pass(Duration::from_secs(11));
    assert!(stage.is_muted(bob));
    assert_eq!(stage.byes(), [(carol.call_id(), "SIP;cause=403;text=\"Banned\"".to_owned())]);
    let told = ["ban applied reconcile carol@example.test leg", "mute applied reconcile bob@example.test leg"];
    assert_eq!(stage.moderated(), told);
}

#[test]
fn without_a_link_or_an_answer_callers_are_asked_to_try_again() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.rooms.get_mut(ROOM).unwrap().silent = true;
    let mut phone = stage.phone("alice");
    let offer = phone.sdp("sendrecv");
    let invite = phone.invite(URI, &offer);
    stage.sip(invite);
    stage.pass(Duration::from_millis(1_999));
    assert!(stage.sent.iter().all(|message| message.status() == Some(100)));
    stage.pass(Duration::from_millis(1));
    let late = stage.response();
    assert_eq!((late.status(), header(&late, Name::RetryAfter)), (Some(503), "10".to_owned()));
    assert_eq!(header(&late, Name::Warning), "399 conf.example.test \"The room did not answer in time\"");
    stage.link(false);
    let blind = dial(&mut stage, "alice");
    assert_eq!((blind.status(), header(&blind, Name::RetryAfter)), (Some(503), "10".to_owned()));
    stage.link(true);
    let mut phone = stage.phone("alice");
    let invite = phone.invite(URI, "");
    stage.sip(invite);
    stage.link(false);
    assert_eq!(stage.response().status(), Some(503), "the link went while he waited");
    stage.pass(Duration::from_secs(64));
    assert!(stage.focus.is_idle());
}

#[test]
fn the_rooms_lists_decide_who_comes_in() {
    type Change = fn(&mut Room);
    let cases: [(Change, u16, &str); 8] = [
        (|room| room.affiliate_only("bob@example.test", "outcast"), 403, "Banned from the room"),
        (|room| room.affiliate_only("example.test", "outcast"), 403, "Banned from the room"),
        (|room| room.features = vec!["muc_membersonly"], 403, "The room is for members only"),
        (
            |room| room.features = vec!["muc_passwordprotected"],
            403,
            "The room has a password: enter the room by chat first, then call again",
        ),
        (|room| room.max_users = Some(1), 486, "The room is full"),
        (
            |room| {
                room.features = vec!["muc_membersonly"];
                room.affiliate_only("bob@example.test", "member");
            },
            200,
            "",
        ),
        (
            |room| {
                room.features = vec!["muc_passwordprotected"];
                room.join("Bob", "bob@example.test/x", "participant");
            },
            200,
            "",
        ),
        (
            |room| {
                room.max_users = Some(1);
                room.affiliate_only("bob@example.test", "admin");
            },
            200,
            "",
        ),
    ];
    for (index, (change, status, text)) in cases.into_iter().enumerate() {
        let mut stage = Stage::new(Flavour::Ejabberd);
        let room = stage.rooms.get_mut(ROOM).unwrap();
        room.join("Alice", "alice@example.test/x", "moderator");
        change(room);
        let response = dial(&mut stage, "bob");
        assert_eq!(response.status(), Some(status), "case {index}");
        let warning = header(&response, Name::Warning);
        assert!(warning.contains(text), "case {index}: {warning}");
        assert_eq!(status == 486, !header(&response, Name::RetryAfter).is_empty());
        let refused = stage.events.iter().any(
            |event| matches!(event, Event::Leg(leg) if leg.state == LegState::Refused && leg.status == Some(status)),
        );
        assert_eq!(refused, status != 200, "case {index}");
    }
}

#[test]
fn a_full_room_counts_people_not_calls() {
    let mut stage = Stage::new(Flavour::Prosody);
    let room = stage.rooms.get_mut(ROOM).unwrap();
    room.max_users = Some(3);
    room.join("Alice", "alice@example.test/x", "moderator");
    for (user, status) in [("alice", 200), ("bob", 200), ("bob", 200), ("carol", 200), ("dave", 486), ("carol", 200)] {
        assert_eq!(dial(&mut stage, user).status(), Some(status), "{user}");
    }
}

#[test]
fn callers_are_known_by_their_accounts_jid_or_by_their_number() {
    let mut stage = Stage::new(Flavour::Prosody);
    for asserted in ["<sip:alice@example.test>", "<tel:+1-404-555-0100>", "<sip:+14045550100@example.test>"] {
        let mut phone = stage.phone("x");
        phone.asserted = asserted.to_owned();
        stage.dial(&mut phone);
    }
    for asserted in ["<sip:+15550100@gateway.test;user=phone>", "<sip:juliet@biloxi.test>", "<sip:nobody@example.test>"]
    {
        let mut phone = stage.phone("x");
        phone.asserted = asserted.to_owned();
        stage.dial(&mut phone);
    }
    let who: Vec<&str> = stage
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Leg(leg) => leg.participant.as_ref().map(|who| who.clear()),
            _ => None,
        })
        .collect();
    let component = ["+15550100@cusax.example.test", "juliet\\40biloxi.test@cusax.example.test"];
    let nobody = ["nobody\\40example.test@cusax.example.test"];
    assert_eq!(who, [&["alice@example.test"; 3][..], &component, &nobody].concat());
}

#[test]
fn rooms_of_any_name_have_an_address() {
    let mut stage = Stage::new(Flavour::Prosody);
    let name = "caf\u{e9}\\20d'a@conference.example.test";
    let escaped = "caf\u{e9}\\20d\\27a@conference.example.test";
    assert!(!stage.rooms.contains_key(name));
    stage.rooms.insert(escaped.to_owned(), Room::new(&escaped.replace('\'', "&apos;"), Flavour::Prosody));
    let mut phone = stage.phone("alice");
    let invite = phone.invite("sip:Caf%C3%A9%20d'a@CONF.example.test;x=y", "");
    stage.sip(invite);
    let response = stage.response();
    assert_eq!(response.status(), Some(200));
    assert_eq!(header(&response, Name::Contact), "<sip:caf%C3%A9%20d'a@conf.example.test>;isfocus");
}

#[test]
fn options_tells_whether_there_is_a_conference_without_entering_its_room() {
    let ask = |stage: &mut Stage, uri: &str| {
        let mut phone = stage.phone("alice");
        let options = phone.request("OPTIONS", uri, "", "");
        stage.sip(options);
        stage.sent.pop_front().map(|response| (response.status().unwrap(), header(&response, Name::Contact)))
    };
    let mut stage = Stage::new(Flavour::Prosody);
    let contact = "<sip:room1@conf.example.test>;isfocus".to_owned();
    assert_eq!(ask(&mut stage, URI), Some((200, contact.clone())));
    assert!(!stage.rooms[ROOM].focus);
    assert_eq!(ask(&mut stage, "sip:other@conf.example.test").map(|it| it.0), Some(404));
    assert_eq!(ask(&mut stage, "sip:conf.example.test"), Some((200, String::new())));
    stage.rooms.get_mut(ROOM).unwrap().silent = true;
    assert_eq!(ask(&mut stage, URI), None);
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.response().status(), Some(503));
    stage.rooms.get_mut(ROOM).unwrap().silent = false;
    stage.enter("alice");
    stage.link(false);
    assert_eq!(ask(&mut stage, URI), Some((200, contact)));
    assert_eq!(ask(&mut stage, "sip:other@conf.example.test").map(|it| it.0), Some(503));
}

#[test]
fn other_methods_are_not_for_a_conference_yet() {
    let mut stage = Stage::new(Flavour::Prosody);
    for method in ["SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH", "FOO"] {
        let mut phone = stage.phone("alice");
        let request = phone.request(method, URI, "Event: conference\r\n", "");
        stage.sip(request);
        let response = stage.response();
        assert_eq!(response.status(), Some(405), "{method}");
        assert!(header(&response, Name::Allow).contains("INVITE"));
    }
}

#[test]
fn at_most_so_many_legs_share_the_mixer() {
    let small = Config { media: cusax_conference::Media { legs: 2, ..config().media }, ..config() };
    let mut stage = Stage::of(small, Flavour::Prosody);
    let statuses: Vec<_> = ["alice", "bob", "carol"].map(|user| dial(&mut stage, user).status().unwrap()).into();
    assert_eq!(statuses, [200, 200, 503]);
}
