use std::path::Path;

use crate::samples::{Captured, clock, config, every_event, invite, mute};
use cusax_event::sip::{self, Direction};
use cusax_event::{Correlation, Event, Identity};
use cusax_telemetry::trace::{Lane, Record, Store, Story, find, ladder};
use cusax_telemetry::{Config, Guard, Telemetry};

pub(crate) fn start(store: Store) -> (Telemetry, Guard, Captured) {
    let captured = Captured::default();
    let (telemetry, guard) = Telemetry::new(Config { trace: Some(store), ..config(&captured) });
    (telemetry, guard, captured)
}

/// Stores these events and ends.
pub(crate) fn store(path: &Path, events: &[Event]) {
    let (telemetry, guard, _) = start(Store::new(path));
    events.iter().for_each(|event| telemetry.emit(event));
    guard.flush();
}

pub(crate) fn metric(telemetry: &Telemetry, name: &str) -> u64 {
    let text = telemetry.metrics_text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn session(digit: char) -> Option<cusax_event::SessionId> {
    digit.to_string().repeat(32).parse().ok()
}

/// A message of a call between two people.
pub(crate) fn message(call: &str, halves: (char, char), from: &str, to: &str) -> Event {
    let mut message = invite();
    message.correlation = Correlation {
        call_id: Some(call.into()),
        session: session(halves.0),
        remote_session: session(halves.1),
        ..Correlation::default()
    };
    let summary = message.summary.as_mut().unwrap();
    summary.from = Identity::uri(from);
    summary.to = Identity::uri(to);
    Event::SipMessage(message)
}

#[test]
fn an_id_of_any_kind_finds_the_whole_story_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let (alice, bob, carol) = ("sip:alice@example.com", "sip:bob@example.com", "sip:carol@example.com");
    let story = [
        message("a-leg", ('1', '0'), alice, bob),
        message("b-leg", ('1', '0'), alice, bob),
        message("b-leg", ('2', '1'), alice, bob),
        message("a-leg", ('1', '2'), "sip:gateway@example.com", "sip:+14045551234@example.com;user=phone"),
    ];
    let other = [message("other", ('3', '4'), carol, "sip:dave@example.com")];
    store(&path, &[story.as_slice(), &other].concat());
    let ones = "1".repeat(32);
    let dashed = format!("{}-{}-{}-{}-{}", &ones[..8], &ones[..4], &ones[..4], &ones[..4], &ones[..12]);
    let both = format!("{ones};remote={}", "2".repeat(32));
    let twos = "2".repeat(32);
    for id in [
        "a-leg",
        "b-leg",
        &ones,
        &twos,
        &dashed,
        &both,
        alice,
        "alice@example.com",
        "xmpp:Bob@Example.com",
        "+14045551234",
        "<sip:alice@example.com:5060;transport=tcp>",
    ] {
        assert_eq!(find(&path, &[id]).unwrap().len(), story.len(), "{id}");
    }
    assert_eq!(find(&path, &[carol]).unwrap().len(), 1);
    let nil = "0".repeat(32);
    for nobody in ["eve@example.com", "", &nil, "%", "a-le"] {
        assert_eq!(find(&path, &[nobody]).unwrap(), [], "{nobody}");
    }
}

#[test]
fn a_room_finds_its_moderation_and_the_calls_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    store(&path, &every_event());
    let records = find(&path, &["standup@conference.example.com"]).unwrap();
    let names: Vec<&str> = records.iter().map(|record| record.entry.event.as_str()).collect();
    for name in ["sip.message", "sip.call", "number.cue", "xmpp.stanza", "muc.room", "moderation.mirrored", "media.leg"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let mute = records.iter().find(|record| record.entry.event == "moderation.mirrored").unwrap();
    assert_eq!((mute.entry.from, mute.entry.to), (Lane::Room, Lane::Mixer));
    assert_eq!(mute.entry.occupant.as_deref(), Some("bob@example.com"));
    assert_eq!(mute.at, clock());
    let json: serde_json::Value = serde_json::from_str(&mute.json()).unwrap();
    assert_eq!(json["time"], "2026-12-31T23:59:59.000007Z");
    assert_eq!(json["text"], "mute applied in 12.0 ms");
}

#[test]
fn following_shows_what_is_new_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    store(&path, &[message("a-leg", ('1', '2'), "sip:alice@example.com", "sip:bob@example.com")]);
    let mut followed = Story::new(&path, &["alice@example.com"]);
    let seen = followed.read().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(followed.read().unwrap(), []);
    // The second is found by what the first led to: it names nobody.
    let mut unnamed = invite();
    unnamed.summary = None;
    unnamed.correlation = Correlation { session: session('1'), ..Correlation::default() };
    store(
        &path,
        &[Event::SipMessage(unnamed), message("other", ('3', '4'), "sip:carol@example.com", "sip:dave@example.com")],
    );
    let new = followed.read().unwrap();
    assert_eq!(new.len(), 1);
    assert!(new[0].row > seen[0].row);
    assert_eq!(followed.read().unwrap(), []);
}

#[test]
fn a_running_store_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let (telemetry, guard, _) = start(Store::new(&path));
    telemetry.emit(&Event::Moderation(mute()));
    while metric(&telemetry, "cusax_trace_records_total") < 1 {
        std::thread::yield_now();
    }
    assert_eq!(find(&path, &["bob@example.com"]).unwrap().len(), 1);
    guard.flush();
}

#[test]
fn credentials_are_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let mut message = invite();
    let summary = message.summary.as_mut().unwrap();
    summary.notes = ["Authorization: Digest response=\"5ecret\"", "proxy-authorization : x", "Reason: Q.850;cause=16"]
        .map(Into::into)
        .to_vec();
    store(&path, &[Event::SipMessage(message)]);
    let records = find(&path, &["alice@example.com"]).unwrap();
    assert_eq!(records[0].entry.notes, ["Reason: Q.850;cause=16"]);
}

/// A call through the core, a room and a mute, as records.
fn story() -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let passed = |leg, direction, remote: &str, line: &str, status| {
        let mut message = invite();
        message.leg = leg;
        message.direction = direction;
        message.remote = remote.parse().unwrap();
        message.status = status;
        let summary = message.summary.as_mut().unwrap();
        summary.first_line = line.into();
        if status.is_some() {
            summary.notes.clear();
        }
        Event::SipMessage(message)
    };
    let (alice, bob, core) = ("192.0.2.7:5062", "192.0.2.8:5064", "127.0.0.1:5080");
    let invite = "INVITE sip:bob@example.com SIP/2.0";
    let (client, upstream) = (sip::Leg::Client, sip::Leg::Upstream);
    let mut events = vec![
        passed(client, Direction::Received, alice, invite, None),
        passed(upstream, Direction::Sent, core, invite, None),
        passed(upstream, Direction::Received, core, invite, None),
        passed(client, Direction::Sent, bob, invite, None),
        passed(client, Direction::Received, bob, "SIP/2.0 200 OK", Some(200)),
        passed(client, Direction::Sent, alice, "SIP/2.0 486 Busy \x1b[2JHere", Some(486)),
    ];
    events.extend(
        every_event().into_iter().filter(|event| {
            matches!(event, Event::Cue(_) | Event::XmppStanza(_) | Event::Moderation(_) | Event::Leg(_))
        }),
    );
    store(&path, &events);
    find(&path, &["alice@example.com"]).unwrap()
}

#[test]
fn a_ladder_reads_in_100_columns() {
    let drawn = ladder(&story(), 100, false);
    println!("{drawn}");
    for line in drawn.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(drawn.starts_with("2026-12-31\n"), "{drawn}");
    let titles = drawn.lines().find(|line| line.contains("edge ")).unwrap();
    let titles: Vec<&str> = titles.split_whitespace().collect();
    assert_eq!(titles, ["alice", "bob", "edge", "core", "focus", "mixer", "room"]);
    for part in [
        "23:59:59.000",
        "INVITE sip:bob@example.com",
        "200 OK (INVITE)",
        "mute applied in 12.0 ms",
        "by alice@example.com/phone",
        ";purpose=impp",
    ] {
        assert!(drawn.contains(part), "{part} is not in\n{drawn}");
    }
    assert!(!drawn.contains('\x1b'), "{drawn}");
}

#[test]
fn colours_add_nothing_but_colours() {
    let story = story();
    let mut coloured = ladder(&story, 100, true);
    assert!(coloured.contains("\x1b[0;36m"));
    while let Some(start) = coloured.find('\x1b') {
        let end = start + coloured[start..].find('m').unwrap();
        coloured.replace_range(start..=end, "");
    }
    assert_eq!(coloured, ladder(&story, 100, false));
}

#[test]
fn an_empty_story_draws_nothing() {
    assert_eq!(ladder(&[], 100, true), "");
}
