//! Who is a visitor is silent, and stays so whatever he does.

use std::time::Duration;

use crate::phone::Phone;
use crate::service::Flavour;
use crate::stage::{ROOM, Stage, URI};
use cusax_event::LegId;

const BOB: &str = "bob@example.test/phone";
const MODERATED: [&str; 1] = ["muc_moderated"];

/// Alice in the call of a moderated room.
fn moderated(flavour: Flavour) -> Stage {
    let mut stage = Stage::new(flavour);
    stage.room(|room| room.configure(&MODERATED, None));
    stage.room(|room| room.join("Alice", "alice@example.test/desk", "moderator"));
    stage.rooms.get_mut(ROOM).unwrap().affiliate_only("alice@example.test", "owner");
    stage.enter("alice");
    stage
}

fn redial(stage: &mut Stage, mut phone: Phone) -> LegId {
    let bye = phone.request("BYE", URI, "", "");
    stage.sip(bye);
    stage.enter(phone.user).1
}

#[test]
fn a_visitor_is_silent_also_when_he_leaves_the_chat_and_calls_again() {
    let mut stage = moderated(Flavour::Prosody);
    stage.room(|room| room.join("Bob", BOB, "visitor"));
    let (phone, bob) = stage.enter("bob");
    assert!(stage.is_muted(bob));
    assert_eq!(stage.kept(), ["Mute bob@example.test"]);
    stage.room(|room| room.leave("Bob"));
    // A voice that newcomers would have now is not his.
    stage.room(|room| room.configure(&[], None));
    let bob = redial(&mut stage, phone);
    assert!(stage.is_muted(bob));
    // Who was no more than a visitor of the chat calls when he has left it.
    stage.room(|room| room.configure(&MODERATED, None));
    stage.room(|room| room.join("Carol", "carol@example.test/x", "visitor"));
    stage.room(|room| room.leave("Carol"));
    stage.room(|room| room.configure(&[], None));
    let (_, carol) = stage.enter("carol");
    assert!(stage.is_muted(carol));
    stage.orders();
    stage.room(|room| room.join("Carol", "carol@example.test/x", "participant"));
    assert_eq!(stage.orders(), ["Carol visitor"]);
    stage.room(|room| room.role("Carol", "participant", ""));
    assert!(!stage.is_muted(carol));
}

#[test]
fn who_was_never_in_a_moderated_room_is_as_silent_as_its_newcomers() {
    let mut stage = moderated(Flavour::Prosody);
    let (phone, bob) = stage.enter("bob");
    assert!(stage.is_muted(bob));
    assert_eq!(stage.kept(), [""; 0], "nobody decided anything about him");
    let bob = redial(&mut stage, phone);
    assert!(stage.is_muted(bob));
    stage.room(|room| room.affiliate("bob@example.test", "member", ""));
    assert!(!stage.is_muted(bob), "members have a voice");
    let (_, carol) = stage.enter("carol");
    stage.room(|room| room.configure(&[], None));
    assert!(!stage.is_muted(carol), "the room gives newcomers a voice now");
    // With a server that has a setting of its own for that.
    for (by_default, silent) in [(true, false), (false, true)] {
        let mut stage = Stage::new(Flavour::Ejabberd);
        stage.rooms.get_mut(ROOM).unwrap().voice_by_default = Some(by_default);
        stage.room(|room| room.configure(&MODERATED, None));
        let (_, bob) = stage.enter("bob");
        assert_eq!(stage.is_muted(bob), silent, "{by_default}");
    }
}

/// Bob, who was muted, comes back to a service that is slow to do what the focus asks.
fn muted_bob_comes_back() -> (Stage, LegId) {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Bob", BOB, "participant"));
    let (_, bob) = stage.enter("bob");
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.room(|room| room.leave("Bob"));
    stage.orders();
    stage.moderated();
    stage.slow = true;
    stage.room(|room| room.join("Bobby", BOB, "participant"));
    (stage, bob)
}

#[test]
fn another_nick_does_not_escape_a_mute_nor_does_it_cost_the_next_grant() {
    let (mut stage, bob) = muted_bob_comes_back();
    stage.room(|room| room.rename("Bobby", "Rob"));
    stage.slow = false;
    stage.serve(usize::MAX);
    assert_eq!(stage.orders(), ["Bobby visitor", "Rob visitor"]);
    assert_eq!(stage.rooms[ROOM].occupants["Rob"].role, "visitor");
    stage.moderated();
    for _ in 0..2 {
        stage.room(|room| room.role("Rob", "participant", ""));
        assert!(!stage.is_muted(bob));
        stage.room(|room| room.role("Rob", "visitor", ""));
        assert!(stage.is_muted(bob));
    }
    assert_eq!((stage.moderated().len(), stage.orders()), (4, vec![]));
}

#[test]
fn an_order_that_gets_lost_is_given_again() {
    let (mut stage, bob) = muted_bob_comes_back();
    assert_eq!(stage.backlog.len(), 1);
    stage.backlog.clear();
    stage.slow = false;
    stage.orders();
    stage.pass(Duration::from_secs(14));
    assert_eq!(stage.orders(), [""; 0]);
    assert_eq!(stage.moderated(), ["mute rejected reconcile room1@conference.example.test/Bobby"]);
    stage.pass(Duration::from_secs(2));
    assert_eq!(stage.orders(), ["Bobby visitor"]);
    assert!(stage.is_muted(bob) && stage.rooms[ROOM].occupants["Bobby"].role == "visitor");
    // A service that never answers is not asked for ever.
    stage.slow = true;
    stage.room(|room| room.join("Bob (tablet)", "bob@example.test/tablet", "participant"));
    stage.pass(Duration::from_secs(600));
    assert_eq!(stage.backlog.iter().filter(|stanza| stanza.attr("type") == Some("set")).count(), 5);
}

#[test]
fn who_is_granted_voice_keeps_it_though_another_occupant_of_his_goes_before_he_has_it() {
    let mut stage = Stage::new(Flavour::Prosody);
    stage.room(|room| room.join("Bob", BOB, "participant"));
    stage.room(|room| room.join("Tablet", "bob@example.test/tablet", "participant"));
    let (_, bob) = stage.enter("bob");
    stage.room(|room| room.role("Bob", "visitor", ""));
    assert_eq!(stage.orders(), ["Tablet visitor"]);
    stage.slow = true;
    stage.room(|room| room.role("Bob", "participant", ""));
    assert!(!stage.is_muted(bob) && stage.backlog.len() == 1);
    stage.room(|room| room.leave("Tablet"));
    stage.slow = false;
    stage.serve(1);
    assert!(!stage.is_muted(bob));
    assert_eq!(stage.kept().last().map(String::as_str), Some("no Mute bob@example.test"));
}
