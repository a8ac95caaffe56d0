use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::samples::{Captured, clock, config, every_event, invite, mute};
use cusax_event::sip::{self, Direction};
use cusax_event::{Correlation, Event, Identity};
use cusax_telemetry::trace::{Error, Lane, Record, Store, find, find_after, ladder};
use cusax_telemetry::{Config, Guard, Telemetry};

fn start(store: Store) -> (Telemetry, Guard, Captured) {
    let captured = Captured::default();
    let (telemetry, guard) = Telemetry::new(Config { trace: Some(store), ..config(&captured) });
    (telemetry, guard, captured)
}

/// Stores these events and ends.
async fn store(path: &Path, events: &[Event]) {
    let (telemetry, guard, _) = start(Store::new(path));
    events.iter().for_each(|event| telemetry.emit(event));
    guard.flush().await;
}

fn metric(telemetry: &Telemetry, name: &str) -> u64 {
    let text = telemetry.metrics_text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn session(digit: char) -> Option<cusax_event::SessionId> {
    digit.to_string().repeat(32).parse().ok()
}

/// A message of a call between two people.
fn message(call: &str, halves: (char, char), from: &str, to: &str) -> Event {
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

#[tokio::test]
async fn an_id_of_any_kind_finds_the_whole_story_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let (alice, bob, carol) = ("sip:alice@example.com", "sip:bob@example.com", "sip:carol@example.com");
    let story = [
        message("a-leg", ('1', '0'), alice, bob),
        message("b-leg", ('1', '0'), alice, bob),
        message("b-leg", ('2', '1'), alice, bob),
        message("a-leg", ('1', '2'), "sip:gateway@example.com", "sip:+14045551234@example.com;user=phone"),
    ];
    let other = [message("other", ('3', '4'), carol, "sip:dave@example.com")];
    store(&path, &[story.as_slice(), &other].concat()).await;
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
        assert_eq!(find(&path, id).await.unwrap().len(), story.len(), "{id}");
    }
    assert_eq!(find(&path, carol).await.unwrap().len(), 1);
    let nil = "0".repeat(32);
    for nobody in ["eve@example.com", "", &nil, "%", "a-le"] {
        assert_eq!(find(&path, nobody).await.unwrap(), [], "{nobody}");
    }
}

#[tokio::test]
async fn a_room_finds_its_moderation_and_the_calls_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    store(&path, &every_event()).await;
    let records = find(&path, "standup@conference.example.com").await.unwrap();
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

#[tokio::test]
async fn following_shows_what_is_new_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    store(&path, &[message("a-leg", ('1', '2'), "sip:alice@example.com", "sip:bob@example.com")]).await;
    let seen = find(&path, "alice@example.com").await.unwrap();
    let last = seen.last().unwrap().row;
    assert_eq!(find_after(&path, "alice@example.com", last).await.unwrap(), []);
    store(&path, &[message("a-leg", ('1', '2'), "sip:alice@example.com", "sip:bob@example.com")]).await;
    let new = find_after(&path, "alice@example.com", last).await.unwrap();
    assert_eq!(new.iter().map(|record| record.row).collect::<Vec<_>>(), [last + 1]);
}

#[tokio::test]
async fn a_running_store_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let (telemetry, guard, _) = start(Store::new(&path));
    telemetry.emit(&Event::Moderation(mute()));
    while metric(&telemetry, "cusax_trace_records_total") < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(find(&path, "bob@example.com").await.unwrap().len(), 1);
    guard.flush().await;
}

#[tokio::test]
async fn the_file_is_private_even_where_it_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let (telemetry, guard, _) = start(Store::new(&path));
    telemetry.emit(&Event::Moderation(mute()));
    while metric(&telemetry, "cusax_trace_records_total") < 1 {
        tokio::task::yield_now().await;
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    guard.flush().await;
}

#[tokio::test]
async fn credentials_are_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let mut message = invite();
    let summary = message.summary.as_mut().unwrap();
    summary.notes = ["Authorization: Digest response=\"5ecret\"", "proxy-authorization : x", "Reason: Q.850;cause=16"]
        .map(Into::into)
        .to_vec();
    store(&path, &[Event::SipMessage(message)]).await;
    let records = find(&path, "alice@example.com").await.unwrap();
    assert_eq!(records[0].entry.notes, ["Reason: Q.850;cause=16"]);
}

static NOW: AtomicU64 = AtomicU64::new(1_000_000);

fn moving_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
}

#[tokio::test]
async fn records_that_are_too_old_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let captured = Captured::default();
    let bounds = Store { max_age: Duration::from_secs(60), ..Store::new(&path) };
    for (at, left) in [(1_000_000, 1), (1_000_060, 2), (1_000_061, 2), (1_000_200, 1)] {
        NOW.store(at, Ordering::Relaxed);
        let (telemetry, guard) =
            Telemetry::new(Config { clock: moving_clock, trace: Some(bounds.clone()), ..config(&captured) });
        telemetry.emit(&Event::Moderation(mute()));
        guard.flush().await;
        assert_eq!(find(&path, "bob@example.com").await.unwrap().len(), left, "at {at}");
    }
}

#[tokio::test]
async fn the_file_stays_within_its_size_and_keeps_what_is_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let max_bytes = 1 << 20;
    let (telemetry, guard, _) = start(Store { max_bytes, ..Store::new(&path) });
    let mut sent = 0;
    while sent < 4_000 {
        telemetry.emit(&message(&format!("call-{sent}"), ('1', '2'), "sip:alice@example.com", "sip:bob@example.com"));
        sent += 1;
        if sent % 100 == 0 {
            while metric(&telemetry, "cusax_trace_records_total") < sent {
                tokio::task::yield_now().await;
            }
        }
    }
    guard.flush().await;
    assert!(std::fs::metadata(&path).unwrap().len() <= max_bytes);
    assert_eq!(metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}"), 0);
    assert_ne!(find(&path, "call-3999").await.unwrap(), []);
    let kept = find(&path, "alice@example.com").await.unwrap();
    assert!(kept.len() > 100, "{}", kept.len());
    assert!(kept.iter().all(|record| record.entry.call_id.as_deref() != Some("call-0")));
}

#[tokio::test]
async fn a_store_without_space_loses_records_counts_them_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
    let (telemetry, guard, captured) = start(Store { max_bytes: 1, ..Store::new(&path) });
    let mut large = invite();
    large.summary.as_mut().unwrap().notes = vec!["x".repeat(1 << 20).into()];
    telemetry.emit(&Event::SipMessage(large));
    while metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}") < 1 {
        tokio::task::yield_now().await;
    }
    telemetry.emit(&Event::Moderation(mute()));
    guard.flush().await;
    assert_eq!(metric(&telemetry, "cusax_trace_records_total"), 1);
    let log = captured.text();
    assert!(log.contains(r#""stage":"degraded""#) && log.contains("full"), "{log}");
    assert!(log.contains(r#""stage":"recovered""#), "{log}");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_costs_records_and_one_line_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not-yet");
    let path = missing.join("trace.db");
    let (telemetry, guard, captured) = start(Store::new(&path));
    for lost in 1..=3 {
        telemetry.emit(&Event::Moderation(mute()));
        while metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}") < lost {
            tokio::task::yield_now().await;
        }
    }
    let error = find(&path, "bob@example.com").await.unwrap_err();
    assert!(matches!(error, Error::File { .. }) && std::error::Error::source(&error).is_none(), "{error}");
    std::fs::create_dir(&missing).unwrap();
    telemetry.emit(&Event::Moderation(mute()));
    guard.flush().await;
    assert_eq!(find(&path, "bob@example.com").await.unwrap().len(), 1);
    let log = captured.text();
    assert_eq!(log.matches("degraded").count(), 1, "{log}");
    assert_eq!(log.matches("recovered").count(), 1, "{log}");
    assert_eq!(log.matches("moderation.mirrored").count(), 4, "{log}");
}

#[tokio::test]
async fn a_full_queue_loses_records_and_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (telemetry, guard, _) = start(Store::new(folder.path().join("trace.db")));
    for _ in 0..10_000 {
        telemetry.emit(&Event::Moderation(mute())); // the writer has had no turn yet
    }
    let dropped = metric(&telemetry, "cusax_trace_dropped_total{reason=\"queue_full\"}");
    guard.flush().await;
    assert_eq!(dropped + metric(&telemetry, "cusax_trace_records_total"), 10_000);
    assert!(dropped > 0);
    telemetry.emit(&Event::Moderation(mute()));
    assert_eq!(metric(&telemetry, "cusax_trace_dropped_total{reason=\"closed\"}"), 1);
}

/// A call through the core, a room and a mute, as records.
async fn story() -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.db");
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
    store(&path, &events).await;
    find(&path, "alice@example.com").await.unwrap()
}

#[tokio::test]
async fn a_ladder_reads_in_100_columns() {
    let drawn = ladder(&story().await, 100, false);
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

#[tokio::test]
async fn colours_add_nothing_but_colours() {
    let story = story().await;
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
