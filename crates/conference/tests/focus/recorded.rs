//! Calls under what real servers sent, as recorded.

use cusax_event::LegId;

use crate::service::{FOCUS, Flavour, parse};
use crate::stage::{Stage, URI};
use cusax_xmpp::{Element, ns};

const PROSODY: &str = include_str!("../../../../tests/corpora/xmpp/prosody-0.12.3.log");
const EJABBERD: &str = include_str!("../../../../tests/corpora/xmpp/ejabberd-23.01.log");

/// What the focus received in a section of a log, but answers: those are to what the recording asked.
fn section(log: &str, number: &str) -> Vec<Element> {
    let section = log.split("===== ").find(|section| section.split([' ', '\n']).next() == Some(number)).unwrap();
    let received = section.lines().filter_map(|line| line.strip_prefix("COMP << "));
    let received = received.filter(|line| line.starts_with('<') && !line.starts_with("<?"));
    received.flat_map(parse).filter(|stanza| stanza.name() != "iq" && stanza.attr("to") == Some(FOCUS)).collect()
}

fn play(stage: &mut Stage, log: &str, number: &str) -> Vec<String> {
    for stanza in section(log, number) {
        stage.stanza(&stanza.to_xml(ns::COMPONENT));
    }
    stage.moderated()
}

/// Alice, bob and carol in the call of a room that the recording then enters.
fn meeting(log: &str, flavour: Flavour) -> (Stage, LegId) {
    let mut stage = Stage::new(flavour);
    stage.room(|room| room.join("Alice", "alice@example.test/desk", "moderator"));
    stage.enter("alice");
    let (_, bob) = stage.enter("bob");
    stage.enter("carol");
    assert_eq!(play(&mut stage, log, "4."), [""; 0]);
    stage.sent.clear();
    (stage, bob)
}

#[test]
fn moderation_as_prosody_and_ejabberd_tell_it() {
    for (log, flavour) in [(PROSODY, Flavour::Prosody), (EJABBERD, Flavour::Ejabberd)] {
        let (mut stage, bob) = meeting(log, flavour);
        assert_eq!(play(&mut stage, log, "9."), ["mute applied muc bob@example.test leg"]);
        assert!(stage.is_muted(bob));
        assert_eq!(play(&mut stage, log, "9c."), [""; 0], "he asks for voice");
        assert_eq!(play(&mut stage, log, "10."), ["unmute applied muc bob@example.test leg"]);
        assert!(!stage.is_muted(bob));
        assert_eq!(play(&mut stage, log, "10b."), [""; 0], "moderator and back");
        assert_eq!(play(&mut stage, log, "13."), [""; 0], "another nick");
        assert_eq!(play(&mut stage, log, "15."), ["kick applied muc bob@example.test leg"]);
        let byes = stage.byes();
        assert_eq!(byes.len(), 1);
        assert_eq!(byes[0].1, "SIP;cause=403;text=\"Kicked: kicked for a test\"");
        play(&mut stage, log, "15b.");
        let (phone, _) = stage.enter("bob");
        stage.sent.clear();
        assert_eq!(play(&mut stage, log, "16."), ["ban applied muc bob@example.test leg"]);
        assert_eq!(stage.byes(), [(phone.call_id(), "SIP;cause=403;text=\"Banned: banned\"".to_owned())]);
        let mut phone = stage.phone("bob");
        assert_eq!(stage.dial(&mut phone).status(), Some(403));
        assert_eq!(play(&mut stage, log, "17."), ["unban noop muc bob@example.test"]);
        stage.enter("bob");
        // The room is destroyed; ejabberd says so from the bare room as well.
        let ends = play(&mut stage, log, "24.");
        assert_eq!(ends.iter().filter(|line| line.starts_with("end applied")).count(), 3);
        assert!(stage.muted.is_empty());
        stage.rooms.clear();
        let mut phone = stage.phone("bob");
        let invite = phone.invite(URI, "");
        stage.sip(invite);
        assert!(stage.sent.iter().any(|message| message.status() == Some(404)));
    }
}
