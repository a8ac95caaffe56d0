//! What a lost link, a restarted server and a vanished room do to calls: nothing, until it is known what changed.

use std::time::Duration;

use cusax_event::Event;
use cusax_event::moderation::ReconcileResult;

use crate::service::{Flavour, Room};
use crate::stage::{ROOM, Stage, URI};

const BOB: &str = "bob@example.test/phone";

fn meeting() -> Stage {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Alice", "alice@example.test/desk", "moderator"));
    stage.room(|room| room.join("Bob", BOB, "participant"));
    stage
}

fn reconciled(stage: &mut Stage) -> Vec<ReconcileResult> {
    let events = std::mem::take(&mut stage.events);
    let results = events.iter().filter_map(|event| match event {
        Event::Reconcile(reconcile) => Some(reconcile.result),
        _ => None,
    });
    results.collect()
}

#[test]
fn calls_outlive_the_link_and_known_rooms_let_in_by_their_last_lists() {
    let mut stage = meeting();
    stage.enter("alice");
    stage.room(|room| room.affiliate("dave@example.test", "outcast", ""));
    stage.link(false);
    assert_eq!((stage.byes(), stage.focus.counts().legs), (vec![], 1));
    stage.enter("bob");
    for (user, uri, status) in [("dave", URI, 403), ("alice", "sip:other@conf.example.test", 503)] {
        let mut phone = stage.phone(user);
        let offer = phone.sdp("sendrecv");
        let invite = phone.invite(uri, &offer);
        stage.sip(invite);
        assert_eq!(stage.response().status(), Some(status), "{user}");
    }
}

#[test]
fn what_changed_without_a_link_is_done_when_it_is_back() {
    let mut stage = meeting();
    let legs = ["alice", "bob", "carol", "dave"].map(|user| stage.enter(user));
    stage.room(|room| room.join("Dave", "dave@example.test/x", "participant"));
    stage.moderated();
    stage.link(false);
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.room(|room| room.affiliate("carol@example.test", "outcast", ""));
    stage.room(|room| room.kick("Dave", ""));
    assert_eq!(stage.moderated(), [""; 0]);
    stage.sent.clear();
    stage.link(true);
    assert!(stage.is_muted(legs[1].1) && !stage.is_muted(legs[0].1));
    assert_eq!(stage.byes(), [(legs[2].0.call_id(), "SIP;cause=403;text=\"Banned\"".to_owned())]);
    let mut told = stage.moderated();
    told.sort();
    let expected = [
        "ban applied reconcile carol@example.test leg",
        // A kick that nobody saw cannot be told from a leave.
        "kick unconfirmed reconcile dave@example.test leg",
        "mute applied reconcile bob@example.test leg",
    ];
    assert_eq!(told, expected);
    assert_eq!(reconciled(&mut stage), [ReconcileResult::Repaired]);
    stage.link(false);
    // A grant that nobody saw cannot be told from a rejoin: it has to be given once more.
    stage.room(|room| room.role("Bob", "participant", ""));
    stage.orders();
    stage.link(true);
    assert!(stage.is_muted(legs[1].1));
    assert_eq!((stage.orders(), stage.moderated()), (vec!["Bob visitor".to_owned()], vec![]));
    stage.room(|room| room.role("Bob", "participant", ""));
    assert!(!stage.is_muted(legs[1].1));
    assert_eq!(stage.moderated(), ["unmute applied muc bob@example.test leg"]);
    stage.link(false);
    stage.room(|room| room.configure(&["muc_membersonly"], None));
    stage.rooms.get_mut(ROOM).unwrap().affiliate_only("bob@example.test", "member");
    stage.link(true);
    assert_eq!(stage.focus.counts().legs, 1);
    assert!(stage.moderated().iter().all(|line| line.starts_with("admission applied reconcile")));
}

#[test]
fn who_left_and_came_back_without_being_seen_is_still_muted() {
    let mut stage = meeting();
    let (_, bob) = stage.enter("bob");
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.orders();
    stage.link(false);
    stage.room(|room| room.leave("Bob"));
    stage.room(|room| room.join("Bob", BOB, "participant"));
    stage.link(true);
    assert!(stage.is_muted(bob));
    assert_eq!(stage.orders(), ["Bob visitor"]);
    stage.room(|room| room.role("Bob", "participant", ""));
    assert!(!stage.is_muted(bob));
}

#[test]
fn a_room_that_vanished_with_its_server_is_looked_for_and_its_mutes_and_bans_are_set_again() {
    let mut stage = meeting();
    let (_, bob) = stage.enter("bob");
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.room(|room| room.affiliate("dave@example.test", "outcast", ""));
    stage.link(false);
    stage.rooms.clear();
    stage.link(true);
    assert_eq!((stage.byes(), stage.focus.counts().legs), (vec![], 1), "the call goes on");
    let mut phone = stage.phone("dave");
    assert_eq!(stage.dial(&mut phone).status(), Some(403), "by what was known last");
    let mut room = Room::new(ROOM, Flavour::Prosody);
    room.join("Bob", BOB, "participant");
    stage.rooms.insert(ROOM.to_owned(), room);
    stage.orders();
    reconciled(&mut stage);
    stage.pass(Duration::from_secs(11));
    let mut orders = stage.orders();
    orders.sort();
    assert_eq!(orders, ["Bob visitor", "dave@example.test outcast"]);
    assert!(stage.is_muted(bob));
    assert_eq!(reconciled(&mut stage), [ReconcileResult::Repaired]);
    assert_eq!(stage.dial(&mut phone).status(), Some(403));
    stage.room(|room| room.role("Bob", "participant", ""));
    assert!(!stage.is_muted(bob));
}

#[test]
fn a_temporary_room_that_forgot_its_bans_while_nobody_looked_is_reminded() {
    let mut stage = meeting();
    stage.enter("alice");
    stage.room(|room| room.affiliate("dave@example.test", "outcast", ""));
    stage.kept();
    stage.link(false);
    stage.rooms.get_mut(ROOM).unwrap().affiliations.clear();
    stage.orders();
    stage.link(true);
    assert_eq!(stage.orders(), ["dave@example.test outcast"]);
    let mut phone = stage.phone("dave");
    assert_eq!((stage.dial(&mut phone).status(), stage.kept()), (Some(403), vec![]));
    stage.room(|room| room.affiliate("dave@example.test", "none", ""));
    assert_eq!(stage.kept(), ["no Ban dave@example.test"]);
    assert_eq!(stage.dial(&mut phone).status(), Some(200));
}

#[test]
fn after_a_lost_link_a_few_rooms_at_a_time_are_entered_and_a_slow_server_answers_all_of_them() {
    let mut stage = meeting();
    let name = |number: u32| format!("many{number}@conference.example.test");
    for number in 0..30 {
        stage.rooms.insert(name(number), Room::new(&name(number), Flavour::Prosody));
        let mut phone = stage.phone("alice");
        let uri = format!("sip:many{number}@conf.example.test");
        let invite = phone.invite(&uri, &phone.sdp("sendrecv"));
        stage.sip(invite);
        phone.hear(&stage.response());
        let ack = phone.request("ACK", &uri, "", "");
        stage.sip(ack);
    }
    stage.link(false);
    reconciled(&mut stage);
    stage.slow = true;
    stage.link(true);
    assert_eq!(stage.backlog.len(), 8);
    // 210 stanzas at ten a second: no room would be read within two seconds if all were asked at once.
    for _ in 0..21 {
        stage.pass(Duration::from_secs(1));
        stage.serve(10);
    }
    assert_eq!(reconciled(&mut stage), [ReconcileResult::InSync; 30]);
}

#[test]
fn a_room_that_takes_the_focus_for_an_occupant_without_a_conference_is_left_once() {
    let mut stage = meeting();
    let (mut phone, _) = stage.enter("alice");
    stage.link(false);
    let bye = phone.request("BYE", URI, "", "");
    stage.sip(bye);
    stage.pass(Duration::from_secs(61));
    assert_eq!(stage.focus.counts().conferences, 0, "without a word to the room, for there is no link");
    stage.link(true);
    // The server kept it in the room.
    stage.rooms.get_mut(ROOM).unwrap().focus = true;
    stage.stanzas.clear();
    stage.room(|room| room.join("Carol", "carol@example.test/x", "participant"));
    let [leave] = &stage.stanzas[..] else { panic!("{:?}", stage.stanzas) };
    assert_eq!((leave.name(), leave.attr("type")), ("presence", Some("unavailable")));
    assert!(!stage.rooms[ROOM].focus);
    for (kind, room) in [("type='groupchat'", ROOM), ("type='error'", "a@conference.example.test"), ("", "a@elsewhere")]
    {
        stage.stanza(&format!("<message from='{room}/x' to='focus@cusax.example.test/mixer' {kind}/>"));
    }
    assert_eq!(stage.stanzas.len(), 1);
}
