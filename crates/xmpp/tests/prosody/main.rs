//! Component, client and room view against a real Prosody 0.12, over blocking sockets:
//! `cargo test -p cusax-xmpp --test prosody -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod server;

use std::time::Duration;

use cusax_xmpp::muc::{self, Affiliation, Departure, Role, RoomEvent, admin, owner};
use cusax_xmpp::{BareJid, Element, ns};
use server::World;

const ROOM: &str = "standup@conference.example.test";

fn room() -> BareJid {
    ROOM.parse().unwrap()
}

/// Logs in and makes the user enter the room.
fn enter(world: &mut World, name: &str, resource: &str, nick: &str) -> usize {
    let user = world.log_in(name, resource, &format!("pw-{name}"));
    world.until("login", |world| world.users[user].jid.is_some());
    world.send(user, &muc::enter(&room().with_resource(nick).unwrap(), None));
    world.until("entered", |world| world.users[user].stanzas.iter().any(|stanza| stanza.name() == "presence"));
    user
}

fn has(world: &World, what: impl Fn(&RoomEvent) -> bool) -> bool {
    world.events.iter().any(what)
}

fn role(world: &World, jid: &str) -> Option<Role> {
    world.room.as_ref().unwrap().standing(&jid.parse().unwrap()).role
}

/// A world with alice's room, entered by the focus.
fn watched(name: &str) -> (World, usize) {
    let mut world = World::start(name);
    world.until("component", World::is_up);
    let alice = enter(&mut world, "alice", "desk", "Alice");
    world.send(alice, &owner::configure("c", &room(), &[]));
    world.until("configured", |world| world.users[alice].stanzas.iter().any(|stanza| stanza.attr("id") == Some("c")));
    world.watch(ROOM);
    world.until("ready", |world| has(world, |event| *event == RoomEvent::Ready));
    world.events.clear();
    (world, alice)
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn logs_in_by_scram_and_refuses_a_wrong_password() {
    let mut world = World::start("login");
    world.until("component", World::is_up);
    let right = world.log_in("alice", "desk", "pw-alice");
    let wrong = world.log_in("alice", "other", "nonsense");
    world.until("both", |world| world.users[right].jid.is_some() && world.users[wrong].failed.is_some());
    assert!(world.users[right].mechanism.unwrap().starts_with("SCRAM-SHA-"));
    assert_eq!(world.users[wrong].failed.as_deref(), Some("not-authorized"));
    eprintln!("{:?} {:?}", world.users[right].mechanism, world.links);
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn a_room_that_is_not_there_stays_so() {
    let mut world = World::start("absent");
    world.until("component", World::is_up);
    world.watch(ROOM);
    world.until("absent", |world| has(world, |event| *event == RoomEvent::Absent));
    world.events.clear();
    world.watch(ROOM);
    world.until("absent again: the first look did not create it", |world| {
        has(world, |event| *event == RoomEvent::Absent)
    });
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn sees_voice_kick_ban_and_unban_and_moderates_itself() {
    let (mut world, alice) = watched("moderation");
    let bob = enter(&mut world, "bob", "phone", "Bob");
    world.until("bob", |world| role(world, "bob@example.test") == Some(Role::Participant));
    world.send(alice, &admin::set_role("r", &room(), "Bob", Role::Visitor, Some("too noisy")));
    let time = world.until("muted", |world| role(world, "bob@example.test") == Some(Role::Visitor));
    eprintln!("voice revoked after {time:?}: {:?}", world.events);
    world.room.as_mut().unwrap().set_role("Bob", Role::Participant, None, server::now());
    world.until("unmuted by the focus", |world| role(world, "bob@example.test") == Some(Role::Participant));
    world.send(alice, &admin::set_role("k", &room(), "Bob", Role::None, None));
    world.until("kicked", |world| {
        has(world, |event| matches!(event, RoomEvent::OccupantLeft { departure: Departure::Kicked, .. }))
    });
    world.send(bob, &muc::enter(&room().with_resource("Bob").unwrap(), None));
    world.until("back", |world| role(world, "bob@example.test").is_some());
    let bob_bare: BareJid = "bob@example.test".parse().unwrap();
    world.send(alice, &admin::set_affiliation("b", &room(), &bob_bare, Affiliation::Outcast, Some("spam")));
    world.until("banned", |world| {
        has(world, |event| matches!(event, RoomEvent::AffiliationChanged { to: Affiliation::Outcast, .. }))
    });
    assert!(has(&world, |event| matches!(event, RoomEvent::OccupantLeft { departure: Departure::Banned, .. })));
    world.send(alice, &admin::set_affiliation("u", &room(), &bob_bare, Affiliation::None, None));
    world.until("unbanned", |world| {
        has(world, |event| matches!(event, RoomEvent::AffiliationChanged { from: Affiliation::Outcast, .. }))
    });
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn the_leave_of_one_session_is_not_the_leave_of_the_occupant() {
    let (mut world, _) = watched("sessions");
    let phone = enter(&mut world, "bob", "phone", "Bob");
    let tablet = enter(&mut world, "bob", "tablet", "Bob");
    world.until("two", |world| world.room.as_ref().unwrap().occupant("Bob").is_some_and(|bob| bob.sessions.len() == 2));
    world.send(phone, &muc::leave(&room().with_resource("Bob").unwrap()));
    world.run(Duration::from_millis(500));
    eprintln!("after one left: {:?} {:?}", world.room.as_ref().unwrap().occupant("Bob"), world.events);
    assert_eq!(role(&world, "bob@example.test"), Some(Role::Participant));
    world.send(tablet, &muc::leave(&room().with_resource("Bob").unwrap()));
    world.until("left", |world| role(world, "bob@example.test").is_none());
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn finds_evictions_that_prosody_tells_nobody_and_knows_the_password() {
    let (mut world, alice) = watched("members");
    enter(&mut world, "bob", "phone", "Bob");
    world.until("bob", |world| role(world, "bob@example.test").is_some());
    world.send(
        alice,
        &owner::configure("m", &room(), &[("muc#roomconfig_membersonly", "1"), ("muc#roomconfig_roomsecret", "4711")]),
    );
    let time = world.until("evicted", |world| has(world, |event| matches!(event, RoomEvent::OccupantLeft { .. })));
    eprintln!("{time:?} {:?}", world.events);
    world.until("reconciled", |world| has(world, |event| matches!(event, RoomEvent::Reconciled(_))));
    let room = world.room.as_ref().unwrap();
    assert!(room.configuration().members_only && room.configuration().password_protected);
    assert_eq!(room.password().map(cusax_xmpp::Secret::expose), Some("4711"));
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn a_mute_during_a_lost_link_is_found_and_a_restart_survived() {
    let (mut world, alice) = watched("link");
    enter(&mut world, "bob", "phone", "Bob");
    world.until("bob", |world| role(world, "bob@example.test").is_some());
    world.cut();
    world.send(alice, &admin::set_role("r", &room(), "Bob", Role::Visitor, None));
    let time = world.until("found", |world| has(world, |event| matches!(event, RoomEvent::Reconciled(_))));
    eprintln!("link back and reconciled after {time:?}: {:?} {:?}", world.links, world.events);
    assert_eq!(role(&world, "bob@example.test"), Some(Role::Visitor));
    world.events.clear();
    world.links.clear();
    world.prosody.restart();
    world.until("restarted", |world| has(world, |event| matches!(event, RoomEvent::Reconciled(_) | RoomEvent::Absent)));
    eprintln!("after a restart: {:?} {:?}", world.links, world.events);
    assert!(has(&world, |event| *event == RoomEvent::LinkLost));
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn a_destroyed_room_is_over() {
    let (mut world, alice) = watched("destroy");
    world.send(alice, &owner::destroy("d", &room(), Some("done")));
    world.until("destroyed", |world| has(world, |event| matches!(event, RoomEvent::Destroyed(_))));
    world.run(Duration::from_millis(200));
    assert!(world.room.as_ref().unwrap().is_over());
    let headline = Element::message("headline").with_attr("to", "alice@example.test/desk");
    world.send(alice, &headline);
    world.until("still served", |world| {
        world.users[alice].stanzas.iter().any(|stanza| stanza.attr("type") == Some("headline"))
    });
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn sees_occupants_whom_the_room_shows_to_nobody() {
    let (mut world, alice) = watched("hidden");
    let value = |text: &str| Element::new(ns::DATA, "value").with_text(text);
    let field = Element::new(ns::DATA, "field").with_attr("var", "muc#roomconfig_presencebroadcast");
    let form_type = Element::new(ns::DATA, "field").with_attr("var", "FORM_TYPE").with_child(value(ns::MUC_ROOMCONFIG));
    let form = Element::new(ns::DATA, "x").with_attr("type", "submit").with_child(form_type);
    let form = form.with_child(field.with_child(value("participant")).with_child(value("moderator")));
    let query = Element::new(ns::MUC_OWNER, "query").with_child(form);
    world.send(alice, &Element::iq("set", "h", query).with_attr("to", ROOM));
    world.until("configured", |world| world.room.as_ref().unwrap().configuration().hidden_roles == [Role::Visitor]);
    enter(&mut world, "bob", "phone", "Bob");
    world.until("bob", |world| role(world, "bob@example.test") == Some(Role::Participant));
    world.send(alice, &admin::set_role("r", &room(), "Bob", Role::Visitor, None));
    world.until("muted", |world| role(world, "bob@example.test") == Some(Role::Visitor));
    assert!(!has(&world, |event| matches!(event, RoomEvent::OccupantLeft { .. })), "{:?}", world.events);
    // Found again, though nothing but the list of visitors names him.
    world.events.clear();
    world.cut();
    world.until("found", |world| has(world, |event| matches!(event, RoomEvent::Reconciled(_))));
    assert_eq!(role(&world, "bob@example.test"), Some(Role::Visitor), "{:?}", world.events);
    world.send(alice, &admin::set_role("g", &room(), "Bob", Role::Participant, None));
    world.until("granted", |world| has(world, |event| matches!(event, RoomEvent::RoleChanged { .. })));
    assert_eq!(role(&world, "bob@example.test"), Some(Role::Participant));
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn a_banned_domain_is_told_from_bans_of_those_who_were_there() {
    let (mut world, alice) = watched("domain");
    enter(&mut world, "bob", "phone", "Bob");
    let bob: BareJid = "bob@example.test".parse().unwrap();
    world.until("bob", |world| role(world, "bob@example.test").is_some());
    world.events.clear();
    world.send(alice, &admin::set_affiliation("b", &room(), &bob.to_domain(), Affiliation::Outcast, None));
    world.until("read", |world| has(world, |event| matches!(event, RoomEvent::Reconciled(_))));
    eprintln!("{:?}", world.events);
    let room_view = world.room.as_ref().unwrap();
    assert_eq!(room_view.own_affiliation(&bob), Affiliation::None);
    assert_eq!(room_view.standing(&bob).affiliation, Affiliation::Outcast);
    assert_eq!(room_view.standing(&"alice@example.test".parse().unwrap()).affiliation, Affiliation::Owner);
    world.send(alice, &admin::set_affiliation("u", &room(), &bob.to_domain(), Affiliation::None, None));
    world.until("unbanned", |world| {
        world.room.as_ref().unwrap().standing(&"bob@example.test".parse().unwrap()).affiliation == Affiliation::None
    });
}

#[test]
#[ignore = "needs Prosody 0.12 on the PATH"]
fn a_focus_that_prosody_kept_over_a_lost_link_leaves_by_any_nick() {
    let (mut world, alice) = watched("ghost");
    world.cut();
    world.room = None;
    world.links.clear();
    world.until("back", |world| world.is_up());
    let gone = |world: &World| {
        let from = format!("{ROOM}/conference-bridge");
        let of_focus = |it: &&Element| it.attr("from") == Some(&from) && it.name() == "presence";
        world.users[alice].stanzas.iter().rfind(of_focus).is_some_and(|it| it.attr("type") == Some("unavailable"))
    };
    world.run(Duration::from_millis(300));
    assert!(!gone(&world), "it would need no leave");
    let leave = muc::leave(&room().with_resource("whatever").unwrap());
    world.say(leave.with_attr("from", "focus@cusax.example.test/mixer"));
    world.until("left", gone);
}
