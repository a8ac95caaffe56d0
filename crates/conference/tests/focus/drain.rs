//! Nothing is left behind, whatever happens in whatever order.

use std::time::Duration;

use cusax_event::LegId;

use crate::phone::Phone;
use crate::service::Flavour;
use crate::stage::{ROOM, Stage, URI};

/// SplitMix64: a seed names a run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)) >> 16) % bound
    }
}

#[test]
fn a_thousand_joins_and_leaves_drain_to_nothing() {
    let mut stage = Stage::new(Flavour::Prosody);
    let mut inside: Vec<Phone> = Vec::new();
    for turn in 0..1_000 {
        let user = ["alice", "bob", "carol", "dave"][turn % 4];
        inside.push(stage.enter(user).0);
        if inside.len() > 20 {
            let bye = inside.remove(turn % 20).request("BYE", URI, "", "");
            stage.sip(bye);
        }
        stage.pass(Duration::from_millis(500));
    }
    assert_eq!(stage.focus.counts().legs, inside.len());
    for mut phone in inside {
        let bye = phone.request("BYE", URI, "", "");
        stage.sip(bye);
    }
    stage.pass(Duration::from_secs(300));
    assert!(stage.focus.is_idle());
    assert!(stage.muted.is_empty() && !stage.rooms[ROOM].focus);
    assert_eq!(stage.focus.poll_timeout(), None);
}

/// The nick under which somebody is in the room.
fn nick_of(stage: &Stage, user: &str) -> Option<String> {
    let is_his = |jid: &str| jid.starts_with(&format!("{user}@"));
    stage.rooms[ROOM].occupants.iter().find(|(_, it)| is_his(&it.jid)).map(|(nick, _)| nick.clone())
}

/// Random deeds of callers, moderators and the network. Whenever the focus sees the room, who is in the call and who is
/// heard is what the room says; and nobody whose voice was seen to be gone is heard before it was seen to be granted.
fn run(seed: u64) {
    let users = ["alice", "bob", "carol", "dave"];
    let flavour = if seed.is_multiple_of(2) { Flavour::Prosody } else { Flavour::Ejabberd };
    let mut chance = Chance(seed);
    let mut stage = Stage::new(flavour);
    if seed % 3 == 1 {
        stage.rooms.get_mut(ROOM).unwrap().hidden = vec!["visitor"];
    }
    if seed % 4 > 1 {
        stage.room(|room| room.configure(&["muc_moderated"], None));
    }
    let mut inside: Vec<(Phone, LegId, usize)> = Vec::new();
    let mut revoked = std::collections::BTreeSet::new();
    let mut up = true;
    for turn in 0..150 {
        let who = usize::try_from(chance.below(4)).unwrap();
        let user = users[who];
        let address = format!("{user}@example.test");
        let nick = nick_of(&stage, user);
        let present = nick.is_some();
        let nick = nick.unwrap_or_else(|| user.to_uppercase());
        let banned = stage.rooms[ROOM].affiliations.get(&address) == Some(&"outcast");
        let seen = up && stage.rooms[ROOM].focus;
        match chance.below(16) {
            // Who calls a service that does not answer waits.
            0 | 1 if !stage.slow => {
                let mut phone = stage.phone(user);
                if stage.dial(&mut phone).status() == Some(200) {
                    let leg = stage.muted.keys().last().copied().unwrap();
                    inside.push((phone, leg, who));
                }
            }
            2 if !inside.is_empty() => {
                let at = usize::try_from(chance.below(inside.len() as u64)).unwrap();
                let bye = inside.remove(at).0.request("BYE", URI, "", "");
                stage.sip(bye);
            }
            3 if !present && !banned => stage.room(|room| room.join(&nick, &format!("{address}/x"), "participant")),
            4 if present => stage.room(|room| room.leave(&nick)),
            5 if present => {
                let before = stage.rooms[ROOM].occupants[&nick].role;
                stage.room(|room| room.role(&nick, "visitor", ""));
                if seen && before != "visitor" {
                    revoked.insert(user);
                }
            }
            6 if present => {
                let before = stage.rooms[ROOM].occupants[&nick].role;
                stage.room(|room| room.role(&nick, "participant", ""));
                if seen && before == "visitor" {
                    revoked.remove(user);
                    let room = &stage.rooms[ROOM];
                    let now = room.occupants[&nick].role;
                    // ejabberd names no actor, so that there who was hidden may as well have come just now.
                    let told = !stage.slow && (flavour == Flavour::Prosody || room.hidden.is_empty());
                    assert_eq!(
                        if told { now } else { "participant" },
                        "participant",
                        "seed {seed} turn {turn}: the grant is not taken back"
                    );
                }
            }
            7 if present => stage.room(|room| room.kick(&nick, "")),
            8 if !banned => stage.room(|room| room.affiliate(&address, "outcast", "")),
            8 => stage.room(|room| room.affiliate(&address, "none", "")),
            9 => {
                up = !up;
                stage.link(up);
            }
            10 if present => stage.room(|room| room.rename(&nick, &format!("{nick}{turn}"))),
            11 if !present && !banned => stage.room(|room| room.join(&nick, &format!("{address}/x"), "visitor")),
            12 if up => stage.slow = true,
            13 if stage.slow => stage.serve(usize::try_from(chance.below(4)).unwrap()),
            14 if stage.slow => {
                // What the focus asked as a moderator gets lost; it asks again.
                stage.backlog.retain(|stanza| stanza.attr("type") != Some("set"));
                stage.slow = false;
                stage.serve(usize::MAX);
                stage.pass(Duration::from_secs(20));
            }
            _ => stage.pass(Duration::from_millis(chance.below(3_000))),
        }
        inside.retain(|(_, leg, _)| stage.muted.contains_key(leg));
        assert_eq!(stage.focus.counts().legs, inside.len(), "seed {seed}");
        if stage.focus.counts().conferences == 0 {
            revoked.clear();
        }
        for (_, leg, who) in &inside {
            let user = users[*who];
            assert!(stage.is_muted(*leg) || !revoked.contains(user), "seed {seed}: {user}, whose voice was revoked");
        }
        if !up || stage.slow {
            continue;
        }
        for (_, leg, who) in &inside {
            let room = &stage.rooms[ROOM];
            let address = format!("{}@example.test", users[*who]);
            assert_ne!(room.affiliations.get(&address), Some(&"outcast"), "seed {seed}: {address} is banned");
            let role = nick_of(&stage, users[*who]).map(|nick| room.occupants[&nick].role);
            if let Some(role) = role.filter(|_| room.focus) {
                let unseen = role == "visitor" && room.hidden.contains(&"visitor");
                assert!(
                    stage.is_muted(*leg) == (role == "visitor") || unseen,
                    "seed {seed} turn {turn}: {address} is a {role}"
                );
            }
        }
    }
    stage.slow = false;
    stage.serve(usize::MAX);
    if !up {
        stage.link(true);
    }
    for (mut phone, ..) in inside {
        let bye = phone.request("BYE", URI, "", "");
        stage.sip(bye);
    }
    stage.pass(Duration::from_secs(200));
    assert!(stage.focus.is_idle(), "seed {seed}: {:?}", stage.focus.counts());
    assert!(stage.muted.is_empty(), "seed {seed}");
}

#[test]
fn the_call_is_what_the_room_says_in_any_order_of_events() {
    let seeds = if std::env::var_os("CUSAX_LONG").is_some() { 5_000 } else { 200 };
    (0..seeds).for_each(run);
}

/// Mutes are kept: whoever calls the next process is no louder than before.
#[test]
fn a_service_that_stops_says_so_and_leaves_its_rooms() {
    let (mut stage, _) = crate::moderation::meeting(Flavour::Prosody);
    stage.room(|room| room.role("Bob", "visitor", ""));
    stage.kept();
    stage.byes();
    stage.focus.handle_stop(stage.now);
    stage.pump();
    let byes = stage.byes();
    assert_eq!(byes.len(), 2);
    assert!(byes.iter().all(|(_, reason)| reason == "SIP;cause=503;text=\"The service stops\""), "{byes:?}");
    assert!(!stage.rooms[ROOM].focus, "the focus left the room");
    assert_eq!(stage.kept(), [""; 0]);
    assert_eq!(stage.focus.counts().legs, 0);
}
