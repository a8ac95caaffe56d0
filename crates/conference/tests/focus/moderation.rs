//! What a moderator does in the room is done in the call.

use std::time::Duration;

use cusax_conference::Restriction;
use cusax_event::Event;
use cusax_event::moderation::{Action, ActionResult, Origin};

use crate::phone::{Phone, header};
use crate::service::{FOCUS, Flavour, Room};
use crate::stage::{ROOM, Stage, TICK, URI, config, restricted};
use cusax_sip::Name;

const FLAVOURS: [Flavour; 2] = [Flavour::Prosody, Flavour::Ejabberd];
const BOB: &str = "bob@example.test/phone";

/// Alice and bob in room and call.
pub(crate) fn meeting(flavour: Flavour) -> (Stage, [(Phone, cusax_event::LegId); 2]) {
    let mut stage = Stage::new(flavour);
    stage.room(|room| room.join("Alice", "alice@example.test/desk", "moderator"));
    stage.room(|room| room.join("Bob", BOB, "participant"));
    let legs = [stage.enter("alice"), stage.enter("bob")];
    assert_eq!(stage.moderated(), [""; 0]);
    stage.stanzas.clear();
    stage.sent.clear();
    (stage, legs)
}

#[test]
fn a_revoked_voice_is_silent_until_it_is_granted_and_each_is_told_once_with_all_identifiers() {
    for flavour in FLAVOURS {
        let (mut stage, [(_, alice), (phone, bob)]) = meeting(flavour);
        stage.room(|room| room.role("Bob", "visitor", "too noisy"));
        assert!(stage.is_muted(bob) && !stage.is_muted(alice));
        let [told] = &stage.moderations()[..] else { panic!("one event") };
        assert_eq!((told.action, told.result, told.origin), (Action::Mute, ActionResult::Applied, Origin::Muc));
        assert_eq!(told.delay, Some(TICK), "from the stanza's last byte to the mixer's tick");
        assert_eq!(told.reason.as_deref(), Some("too noisy"));
        let actor = told.actor.as_ref().map(|actor| actor.clear());
        assert_eq!(actor, (flavour == Flavour::Prosody).then_some("mo@example.test"));
        let about = &told.correlation;
        assert_eq!(about.account, Some(3));
        assert_eq!(about.call_id.as_deref(), Some(phone.call_id().as_str()));
        assert_eq!(about.conference.as_ref().map(|it| it.clear()), Some("room1@conf.example.test"));
        assert_eq!(about.room.as_ref().map(|it| it.clear()), Some(ROOM));
        assert_eq!(about.occupant.as_ref().map(|it| it.clear()), Some("bob@example.test"));
        assert_eq!(about.leg, Some(bob));
        assert!(about.ssrc.is_some() && about.session.is_some());
        assert_eq!(about.remote_session.map(|it| it.to_string()), Some(phone.session()));
        assert_eq!(stage.kept(), ["Mute bob@example.test"]);
        stage.room(|room| room.role("Bob", "participant", ""));
        assert!(!stage.is_muted(bob));
        assert_eq!(stage.moderated(), ["unmute applied muc bob@example.test leg"]);
        assert_eq!(stage.kept(), ["no Mute bob@example.test"]);
        assert_eq!(stage.orders(), [""; 0]);
        assert_eq!(stage.byes(), [], "nobody was sent anything");
    }
}

#[test]
fn all_calls_of_a_person_are_muted_and_of_his_occupants_the_most_restricted_counts() {
    let (mut stage, [_, (_, bob)]) = meeting(Flavour::Prosody);
    let (_, second) = stage.enter("bob");
    stage.room(|room| room.join("Bob (tablet)", "bob@example.test/tablet", "participant"));
    stage.room(|room| room.role("Bob", "visitor", ""));
    assert!(stage.is_muted(bob) && stage.is_muted(second));
    assert_eq!(stage.moderated(), ["mute applied muc bob@example.test leg", "mute applied muc bob@example.test leg"]);
    assert_eq!(stage.orders(), ["Bob (tablet) visitor"], "the person is muted, whatever he is called");
    stage.room(|room| room.role("Bob (tablet)", "participant", ""));
    assert!(!stage.is_muted(bob) && !stage.is_muted(second));
    assert_eq!(
        stage.moderated(),
        ["unmute applied muc bob@example.test leg", "unmute applied muc bob@example.test leg"]
    );
    assert_eq!(stage.orders(), ["Bob participant"]);
    // In a moderated room a second occupant without voice counts.
    stage.room(|room| room.configure(&["muc_moderated"], None));
    stage.room(|room| room.join("Bob (watch)", "bob@example.test/watch", "visitor"));
    assert!(stage.is_muted(bob));
}

#[test]
fn a_mute_sticks_through_leaving_and_calling_again_and_other_nicks() {
    for flavour in FLAVOURS {
        let (mut stage, [_, (mut phone, _)]) = meeting(flavour);
        stage.room(|room| room.role("Bob", "visitor", ""));
        stage.room(|room| room.rename("Bob", "Robert"));
        let bye = phone.request("BYE", URI, "", "");
        stage.sip(bye);
        stage.room(|room| room.leave("Robert"));
        let (_, again) = stage.enter("bob");
        assert!(stage.is_muted(again), "also while he is not in the room");
        assert_eq!(stage.moderated().len(), 1);
        stage.orders();
        stage.room(|room| room.join("Bobby", "bob@example.test/other", "participant"));
        assert_eq!(stage.orders(), ["Bobby visitor"]);
        assert!(stage.is_muted(again));
        assert_eq!(stage.moderated(), [""; 0], "nobody decided anything");
        stage.room(|room| room.role("Bobby", "participant", ""));
        assert!(!stage.is_muted(again));
        assert_eq!(stage.moderated(), ["unmute applied muc bob@example.test leg"]);
    }
}

#[test]
fn a_mute_ends_with_its_conference() {
    let (mut stage, [(mut alice, _), (mut bob, _)]) = meeting(Flavour::Prosody);
    stage.room(|room| room.role("Bob", "visitor", ""));
    for phone in [&mut alice, &mut bob] {
        let bye = phone.request("BYE", URI, "", "");
        stage.sip(bye);
    }
    stage.room(|room| room.leave("Bob"));
    stage.kept();
    stage.pass(Duration::from_secs(59));
    assert!(stage.rooms[ROOM].focus && stage.kept().is_empty());
    stage.pass(Duration::from_secs(1));
    assert!(!stage.rooms[ROOM].focus, "the focus left the room");
    assert_eq!(stage.kept(), ["no Mute all"]);
    let (_, leg) = stage.enter("bob");
    assert!(!stage.is_muted(leg));
}

#[test]
fn a_mute_that_was_kept_over_a_restart_holds_for_who_comes_back_soon() {
    let restarted = |flavour| {
        let mut config = config();
        config.restrictions = vec![restricted("bob@example.test", Restriction::Mute)];
        let mut stage = Stage::of(config, flavour);
        stage.room(|room| room.join("Bob", BOB, "participant"));
        stage
    };
    let mut stage = restarted(Flavour::Prosody);
    stage.pass(Duration::from_secs(30));
    let (_, leg) = stage.enter("bob");
    assert!(stage.is_muted(leg));
    assert_eq!(stage.orders(), ["Bob visitor"]);
    stage.pass(Duration::from_secs(300));
    assert_eq!(stage.kept(), [""; 0]);
    let mut stage = restarted(Flavour::Ejabberd);
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.kept(), ["no Mute all"], "its conference did not go on");
    let (_, leg) = stage.enter("bob");
    assert!(!stage.is_muted(leg));
}

#[test]
fn visitors_are_silent_where_the_room_is_moderated_or_the_operator_says_so() {
    let enter = |features: &[&'static str], everywhere| {
        let mut config = config();
        config.conferences[0].mute_visitors_in_unmoderated_rooms = everywhere;
        let mut stage = Stage::of(config, Flavour::Ejabberd);
        stage.room(|room| room.configure(features, None));
        stage.room(|room| room.join("Bob", BOB, "visitor"));
        let (_, leg) = stage.enter("bob");
        (stage.is_muted(leg), stage, leg)
    };
    assert!(enter(&[], true).0);
    assert!(enter(&["muc_moderated"], false).0);
    let (muted, mut stage, leg) = enter(&[], false);
    assert!(!muted);
    stage.room(|room| room.configure(&["muc_moderated"], None));
    assert!(stage.is_muted(leg), "the room became moderated");
    assert_eq!(stage.moderated(), ["mute applied muc bob@example.test leg"]);
    stage.room(|room| room.leave("Bob"));
    assert!(stage.is_muted(leg), "leaving gives nobody a voice");
    stage.orders();
    stage.room(|room| room.join("Bob", BOB, "participant"));
    assert!(stage.is_muted(leg), "nor does coming back");
    assert_eq!(stage.orders(), ["Bob visitor"]);
    stage.room(|room| room.role("Bob", "participant", ""));
    assert!(!stage.is_muted(leg));
    // Where visitors may speak, revoking a voice does nothing in the call.
    let (_, mut stage, leg) = enter(&[], false);
    stage.room(|room| room.role("Bob", "participant", ""));
    stage.moderated();
    stage.room(|room| room.role("Bob", "visitor", ""));
    assert_eq!((stage.is_muted(leg), stage.moderated()), (false, vec!["mute noop muc bob@example.test".to_owned()]));
}

#[test]
fn who_is_kicked_gets_a_bye_that_says_so_and_may_come_back() {
    for flavour in FLAVOURS {
        let (mut stage, [_, (phone, leg)]) = meeting(flavour);
        stage.room(|room| room.kick("Bob", "a \"moment\" please"));
        let reason = r#"SIP;cause=403;text="Kicked: a \"moment\" please""#;
        let bye = stage.sent.iter().find(|message| message.method_text() == "BYE").unwrap();
        assert_eq!(header(bye, Name::Route), crate::phone::ROUTE);
        assert_eq!(bye.request_uri_text(), "sip:bob@192.0.2.9:5070");
        assert!(header(bye, Name::SessionId).ends_with(&format!(";remote={}", phone.session())));
        assert_eq!(stage.byes(), [(phone.call_id(), reason.to_owned())]);
        assert!(!stage.muted.contains_key(&leg), "out of the mixer");
        let told = stage.moderations();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].action, told[0].result), (Action::Kick, ActionResult::Applied));
        assert_eq!(told[0].delay, Some(Duration::from_millis(1)));
        let actor = told[0].actor.as_ref().map(|actor| actor.clear().to_owned()).unwrap();
        let by_nick = format!("{ROOM}/Mo");
        assert_eq!(actor, if flavour == Flavour::Prosody { "mo@example.test" } else { &by_nick });
        assert_eq!(stage.kept(), [""; 0]);
        stage.enter("bob");
    }
}

#[test]
fn who_is_kicked_before_his_ack_is_silent_at_once_and_gets_his_bye_after_it() {
    let (mut stage, _) = meeting(Flavour::Prosody);
    stage.room(|room| room.join("Carol", "carol@example.test/x", "participant"));
    let mut phone = stage.phone("carol");
    let offer = phone.sdp("sendrecv");
    let invite = phone.invite(URI, &offer);
    stage.sip(invite);
    phone.hear(&stage.response());
    assert_eq!(stage.muted.len(), 3);
    stage.room(|room| room.kick("Carol", ""));
    assert_eq!((stage.muted.len(), stage.byes().len()), (2, 0));
    assert_eq!(stage.moderated(), [""; 0]);
    let ack = phone.request("ACK", URI, "", "");
    stage.sip(ack);
    assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=403;text=\"Kicked\"".to_owned())]);
    assert_eq!(stage.moderated(), ["kick applied muc carol@example.test leg"]);
}

#[test]
fn who_is_banned_gets_403_until_he_is_unbanned() {
    for flavour in FLAVOURS {
        let (mut stage, [_, (phone, _)]) = meeting(flavour);
        stage.room(|room| room.affiliate("bob@example.test", "outcast", "enough"));
        assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=403;text=\"Banned: enough\"".to_owned())]);
        assert_eq!(stage.moderated(), ["ban applied muc bob@example.test leg"]);
        assert_eq!(stage.kept(), ["Ban bob@example.test"]);
        let mut phone = stage.phone("bob");
        let refusal = stage.dial(&mut phone);
        assert_eq!(refusal.status(), Some(403));
        assert_eq!(header(&refusal, Name::Warning), "399 conf.example.test \"Banned from the room\"");
        stage.room(|room| room.affiliate("bob@example.test", "none", ""));
        assert_eq!(stage.moderated(), ["unban noop muc bob@example.test"]);
        assert_eq!(stage.kept(), ["no Ban bob@example.test"]);
        stage.enter("bob");
    }
}

#[test]
fn a_ban_reaches_who_is_not_in_the_room_and_whole_domains() {
    for flavour in FLAVOURS {
        let (mut stage, _) = meeting(flavour);
        let (carol, _) = stage.enter("carol");
        stage.room(|room| room.affiliate("carol@example.test", "outcast", ""));
        assert_eq!(stage.byes(), [(carol.call_id(), "SIP;cause=403;text=\"Banned\"".to_owned())]);
        stage.room(|room| room.affiliate("dave@example.test", "outcast", ""));
        assert_eq!(stage.moderated(), ["ban applied muc carol@example.test leg", "ban noop muc dave@example.test"]);
        let mut phone = stage.phone("dave");
        assert_eq!(stage.dial(&mut phone).status(), Some(403));
        // Phones without an account are all of the component's domain.
        let mut phone = stage.phone("+15550100");
        phone.asserted = "<tel:+15550100>".to_owned();
        assert_eq!(stage.dial(&mut phone).status(), Some(200));
        stage.sent.clear();
        stage.room(|room| room.affiliate("cusax.example.test", "outcast", ""));
        assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=403;text=\"Banned\"".to_owned())]);
        let mut phone = stage.phone("+15550101");
        phone.asserted = "<tel:+15550101>".to_owned();
        assert_eq!(stage.dial(&mut phone).status(), Some(403));
    }
}

#[test]
fn a_ban_that_was_kept_is_lifted_where_the_room_remembers_otherwise_and_set_again_where_it_forgot() {
    let restarted = |features: &[&'static str]| {
        let mut config = config();
        config.restrictions = vec![restricted("bob@example.test", Restriction::Ban)];
        let mut stage = Stage::of(config, Flavour::Prosody);
        stage.room(|room| room.configure(features, None));
        let mut phone = stage.phone("bob");
        let status = stage.dial(&mut phone).status();
        (status, stage.orders(), stage.kept())
    };
    assert_eq!(restarted(&["muc_persistent"]), (Some(200), vec![], vec!["no Ban bob@example.test".to_owned()]));
    assert_eq!(restarted(&[]), (Some(403), vec!["bob@example.test outcast".to_owned()], vec![]));
}

#[test]
fn a_room_that_turns_members_only_keeps_its_members() {
    for flavour in FLAVOURS {
        let (mut stage, [(_, alice), (bob, _)]) = meeting(flavour);
        stage.room(|room| room.affiliate("alice@example.test", "owner", ""));
        stage.room(|room| room.configure(&["muc_membersonly"], None));
        assert_eq!(stage.byes(), [(bob.call_id(), "SIP;cause=403;text=\"Members only\"".to_owned())]);
        assert!(stage.muted.contains_key(&alice));
        assert_eq!(stage.moderated(), ["admission applied muc bob@example.test leg"]);
        // Membership taken back.
        stage.room(|room| room.affiliate("alice@example.test", "none", ""));
        assert_eq!(stage.moderated(), ["admission applied muc alice@example.test leg"]);
        stage.pass(Duration::from_secs(1));
        stage.room(|room| room.configure(&["muc_passwordprotected"], None));
        assert_eq!(stage.moderated(), ["admission noop muc -"], "told, though nobody is concerned");
    }
}

#[test]
fn a_destroyed_room_ends_its_call_and_is_never_entered_again() {
    for flavour in FLAVOURS {
        let (mut stage, _) = meeting(flavour);
        stage.room(|room| room.destroy("end of meeting"));
        let byes = stage.byes();
        assert_eq!(byes.len(), 2);
        assert_eq!(byes[0].1, "SIP;cause=410;text=\"The room was destroyed: end of meeting\"");
        assert_eq!(
            stage.moderated(),
            ["end applied muc alice@example.test leg", "end applied muc bob@example.test leg"]
        );
        stage.rooms.clear();
        stage.pass(Duration::from_secs(600));
        assert_eq!(stage.stanzas.len(), 0, "not even asked for");
        assert!(stage.focus.is_idle());
        let mut phone = stage.phone("bob");
        assert_eq!(stage.dial(&mut phone).status(), Some(404));
        stage.rooms.insert(ROOM.to_owned(), Room::new(ROOM, flavour));
        stage.enter("bob");
    }
}

#[test]
fn what_concerns_nobody_in_the_call_is_told_as_such() {
    let (mut stage, _) = meeting(Flavour::Prosody);
    stage.room(|room| room.join("Erin", "erin@example.test/x", "participant"));
    stage.room(|room| room.role("Erin", "visitor", ""));
    stage.room(|room| room.role("Erin", "participant", ""));
    stage.room(|room| room.kick("Erin", ""));
    let expected = ["mute noop muc erin@example.test", "unmute noop muc erin@example.test"];
    assert_eq!(stage.moderated(), [&expected[..], &["kick noop muc erin@example.test"]].concat());
}

#[test]
fn a_room_that_does_not_obey_the_focus_is_told_of_and_the_mute_holds() {
    let (mut stage, [_, (_, bob)]) = meeting(Flavour::Prosody);
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.room(|room| room.leave("Bob"));
    stage.moderated();
    stage.rooms.get_mut(ROOM).unwrap().obeys = false;
    stage.room(|room| room.join("Bob", BOB, "participant"));
    assert!(stage.is_muted(bob));
    let told = stage.moderations();
    assert_eq!((told[0].result, told[0].reason.as_deref()), (ActionResult::Rejected, Some("not-allowed")));
}

#[test]
fn decisions_that_the_mixer_never_confirms_are_told_when_the_leg_ends() {
    let (mut stage, [_, (mut phone, _)]) = meeting(Flavour::Prosody);
    stage.mixing = false;
    stage.room(|room| room.role("Bob", "visitor", ""));
    assert_eq!(stage.moderated(), [""; 0]);
    let bye = phone.request("BYE", URI, "", "");
    stage.sip(bye);
    assert_eq!(stage.moderated(), ["mute noop muc bob@example.test leg"]);
}

#[test]
fn who_is_made_an_admin_while_away_has_his_voice_again() {
    let (mut stage, [_, (_, bob)]) = meeting(Flavour::Ejabberd);
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.room(|room| room.leave("Bob"));
    stage.room(|room| room.affiliate("bob@example.test", "admin", ""));
    assert!(stage.is_muted(bob));
    stage.orders();
    stage.kept();
    stage.room(|room| room.join("Bob", BOB, "moderator"));
    assert!(!stage.is_muted(bob));
    assert_eq!((stage.orders(), stage.kept()), (vec![], vec!["no Mute bob@example.test".to_owned()]));
}

#[test]
fn a_kept_ban_of_a_domain_holds_where_there_is_no_room_to_ask() {
    let mut config = config();
    config.conferences[0].create = cusax_conference::Create::Always;
    config.restrictions = vec![restricted("cusax.example.test", Restriction::Ban)];
    let mut stage = Stage::of(config, Flavour::Prosody);
    stage.rooms.clear();
    let mut phone = stage.phone("+15550100");
    phone.asserted = "<tel:+15550100>".to_owned();
    assert_eq!(stage.dial(&mut phone).status(), Some(403));
    stage.enter("bob");
}

#[test]
fn an_occupant_with_a_name_that_old_unicode_does_not_know_is_seen_and_one_without_a_jid_is_counted() {
    let (mut stage, [_, (_, bob)]) = meeting(Flavour::Prosody);
    stage.room(|room| room.leave("Bob"));
    stage.room(|room| room.join("Bob 😀 \u{1FAE0}", "bob@example.test/📱", "participant"));
    stage.room(|room| room.role("Bob 😀 \u{1FAE0}", "visitor", ""));
    assert!(stage.is_muted(bob));
    assert_eq!(stage.moderated(), ["mute applied muc bob@example.test leg"]);
    stage.stanza(&format!("<presence from='{ROOM}/' to='{FOCUS}'/>"));
    stage.room(|room| room.join("X", "a b@example.test/x", "participant"));
    let dropped = stage.events.iter().filter(|event| matches!(event, Event::XmppDropped(_)));
    assert_eq!(dropped.count(), 2);
}

#[test]
fn a_voice_is_revoked_also_where_the_room_shows_no_visitors() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.rooms.get_mut(ROOM).unwrap().hidden = vec!["visitor"];
    stage.room(|room| room.join("Bob", BOB, "participant"));
    stage.room(|room| room.join("Carol", "carol@example.test/x", "visitor"));
    let (_, bob) = stage.enter("bob");
    let (_, carol) = stage.enter("carol");
    assert!(stage.is_muted(carol), "though no presence shows her");
    stage.room(|room| room.role("Bob", "visitor", ""));
    assert!(stage.is_muted(bob));
    assert_eq!(stage.moderated(), ["mute applied muc bob@example.test leg"]);
    // Looking again does not lose him.
    stage.room(|room| room.configure(&["muc_hidden"], None));
    assert!(stage.is_muted(bob));
    stage.room(|room| room.role("Bob", "participant", ""));
    stage.room(|room| room.role("Carol", "participant", ""));
    assert!(!stage.is_muted(bob) && !stage.is_muted(carol));
    let granted = ["unmute applied muc bob@example.test leg", "unmute applied muc carol@example.test leg"];
    assert_eq!(stage.moderated(), granted);
    // Who came unseen, as a visitor, and is granted voice.
    stage.room(|room| room.leave("Bob"));
    stage.room(|room| room.join("Bobby", BOB, "visitor"));
    stage.room(|room| room.role("Bobby", "participant", ""));
    assert!(!stage.is_muted(bob));
    assert_eq!(stage.orders(), [""; 0]);
}

#[test]
fn a_domain_that_is_banned_and_unbanned_leaves_nobody_banned_for_himself() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Alice", "alice@example.test/desk", "moderator"));
    stage.room(|room| room.affiliate("alice@example.test", "member", ""));
    stage.room(|room| room.join("Bob", BOB, "participant"));
    let (_, alice) = stage.enter("alice");
    stage.enter("bob");
    let (carol, _) = stage.enter("carol");
    stage.sent.clear();
    // As Prosody tells it: to each who was there and is nothing to the room himself; nothing of the domain.
    stage.room(|room| room.ban_domain("example.test"));
    assert!(stage.muted.contains_key(&alice), "she is a member herself");
    assert_eq!(stage.muted.len(), 1);
    let byes: Vec<String> = stage.byes().into_iter().map(|(call, _)| call).collect();
    assert!(byes.len() == 2 && byes.contains(&carol.call_id()), "also who is only in the call: {byes:?}");
    assert_eq!(stage.kept(), ["Ban bob@example.test", "Ban example.test", "no Ban bob@example.test"]);
    for (user, status) in [("alice", 200), ("bob", 403), ("carol", 403)] {
        let mut phone = stage.phone(user);
        assert_eq!(stage.dial(&mut phone).status(), Some(status), "{user}");
    }
    stage.orders();
    stage.room(|room| room.affiliate("example.test", "none", ""));
    assert_eq!(stage.kept(), ["no Ban example.test"]);
    stage.room(|room| room.configure(&["muc_hidden"], None));
    stage.enter("bob");
    assert_eq!((stage.orders(), stage.kept()), (vec![], vec![]));
    // Unbanned before the list could be read.
    stage.room(|room| room.join("Bob", BOB, "participant"));
    stage.slow = true;
    stage.room(|room| room.ban_domain("example.test"));
    stage.room(|room| room.affiliate("example.test", "none", ""));
    stage.slow = false;
    stage.serve(usize::MAX);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.orders(), [""; 0], "nobody is banned by the focus");
    stage.enter("bob");
}
