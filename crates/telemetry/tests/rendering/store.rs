//! What is on the disk: whose it is, how much, and what becomes of it when the disk does not do what it should.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cusax_event::Event;
use cusax_telemetry::trace::{Error, Store, Story, find};
use cusax_telemetry::{Config, Telemetry};

use crate::samples::{Captured, clock, config, invite, mute};
use crate::trace::{message, metric, start, store};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The files of a store, the oldest first.
fn files(store: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(store).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_store_is_private_even_where_it_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    store(&path, &[Event::Moderation(mute())]);
    assert_eq!(mode(&path), 0o700);
    assert_eq!(files(&path).iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);
}

static NOW: AtomicU64 = AtomicU64::new(1_000_000);

fn moving_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
}

#[test]
fn records_that_are_too_old_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let captured = Captured::default();
    let bounds = Store { max_age: Duration::from_secs(60), ..Store::new(&path) };
    for (at, left) in [(1_000_000, 1), (1_000_060, 2), (1_000_061, 2), (1_000_200, 1)] {
        NOW.store(at, Ordering::Relaxed);
        let (telemetry, guard) =
            Telemetry::new(Config { clock: moving_clock, trace: Some(bounds.clone()), ..config(&captured) });
        telemetry.emit(&Event::Moderation(mute()));
        guard.flush();
        assert_eq!(find(&path, &["bob@example.com"]).unwrap().len(), left, "at {at}");
    }
}

#[test]
fn the_store_stays_within_its_size_and_keeps_what_is_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let max_bytes = 4 << 20;
    let (telemetry, guard, _) = start(Store { max_bytes, ..Store::new(&path) });
    let size = || files(&path).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum::<u64>();
    let calls = 40_000;
    for sent in 1..=calls {
        telemetry.emit(&message(&format!("call-{sent}"), ('1', '2'), "sip:alice@example.com", "sip:bob@example.com"));
        if sent % 10_000 == 0 {
            while metric(&telemetry, "cusax_trace_records_total") < sent {
                std::thread::yield_now();
            }
            assert!(size() <= max_bytes, "{}", size());
            assert_eq!(metric(&telemetry, "cusax_trace_store_bytes"), size());
        }
    }
    guard.flush();
    assert!(size() > max_bytes / 4 * 3, "{}", size());
    assert_eq!(metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}"), 0);
    assert_ne!(find(&path, &[format!("call-{calls}")]).unwrap(), []);
    let kept = find(&path, &["alice@example.com"]).unwrap();
    assert_eq!(kept.len(), 10_000, "the newest of them");
    let names: Vec<_> = kept.iter().map(|record| record.entry.call_id.clone().unwrap()).collect();
    assert_eq!(names, (calls - 9_999..=calls).map(|call| format!("call-{call}")).collect::<Vec<_>>());
    assert!(names.iter().all(|call| call != "call-1"));
}

#[test]
fn what_a_writer_left_unfinished_is_passed_over_and_written_on_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let event = |call| [message(call, ('1', '2'), "sip:alice@example.com", "sip:bob@example.com")];
    let calls = || {
        let found = find(&path, &["alice@example.com"]).unwrap();
        found.into_iter().filter_map(|record| record.entry.call_id).collect::<Vec<_>>()
    };
    store(&path, &event("one"));
    let whole = std::fs::metadata(&files(&path)[0]).unwrap().len();
    store(&path, &event("two"));
    assert_eq!(calls(), ["one", "two"]);
    // Killed in the middle of the second record.
    let torn = std::fs::OpenOptions::new().write(true).open(&files(&path)[0]).unwrap();
    torn.set_len(whole + 40).unwrap();
    assert_eq!(calls(), ["one"]);
    let mut followed = Story::new(&path, &["alice@example.com"]);
    assert_eq!(followed.read().unwrap().len(), 1);
    store(&path, &event("three"));
    assert_eq!(calls(), ["one", "three"]);
    assert_eq!(followed.read().unwrap().len(), 1);
    // Killed before there was a head.
    std::fs::write(path.join("00000000000000999999.trace"), "cusax").unwrap();
    assert_eq!(calls(), ["one", "three"]);
    store(&path, &event("four"));
    assert_eq!(calls(), ["one", "three", "four"]);
}

#[test]
fn a_reader_beside_the_writer_sees_whole_records_in_order_and_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let (telemetry, guard, _) = start(Store::new(&path));
    let mut followed = Story::new(&path, &["alice@example.com"]);
    let calls = 5_000;
    let writing = std::thread::spawn(move || {
        for call in 0..calls {
            let event = message(&format!("{call}"), ('1', '2'), "sip:alice@example.com", "sip:bob@example.com");
            telemetry.emit(&event);
        }
        guard.flush();
    });
    let mut seen: Vec<u32> = Vec::new();
    while seen.len() < calls {
        let new = followed.read().unwrap();
        assert!(new.iter().all(|record| record.entry.text == "INVITE sip:bob@example.com SIP/2.0"));
        seen.extend(new.iter().map(|record| record.entry.call_id.as_ref().unwrap().parse::<u32>().unwrap()));
    }
    writing.join().unwrap();
    assert!(seen.iter().copied().eq(0..5_000));
}

#[test]
fn two_processes_do_not_write_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let (_first, first_guard, _) = start(Store::new(&path));
    let (second, second_guard, log) = start(Store::new(&path));
    second.emit(&Event::Moderation(mute()));
    while metric(&second, "cusax_trace_dropped_total{reason=\"store\"}") < 1 {
        std::thread::yield_now();
    }
    first_guard.flush();
    second.emit(&Event::Moderation(mute()));
    second_guard.flush();
    assert_eq!(metric(&second, "cusax_trace_records_total"), 1);
    assert!(log.text().contains("another process writes this trace store"), "{}", log.text());
}

#[test]
fn an_older_versions_database_is_deleted_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for path in [at("old.db"), at("new")] {
        let old = if path == at("new") { at("new.db") } else { path.clone() };
        let log = old.with_extension("db-wal");
        std::fs::write(&old, b"SQLite format 3\0\x10\0 ... CREATE TABLE mention (value TEXT NOT NULL, ...").unwrap();
        std::fs::write(&log, "alice").unwrap();
        store(&path, &[Event::Moderation(mute())]);
        assert_eq!(find(&path, &["bob@example.com"]).unwrap().len(), 1);
        assert!(!old.is_file() && !log.exists());
    }
    // Somebody else's: a database, and a folder.
    for (name, holds) in
        [("accounts.db", &b"SQLite format 3\0\x10\0 ... CREATE TABLE cusax_account ("[..]), ("etc/passwd", b"root")]
    {
        let strange = folder.path().join(name);
        let parent = strange.parent().unwrap();
        std::fs::create_dir_all(parent).unwrap();
        std::fs::set_permissions(parent, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(&strange, holds).unwrap();
        let path = if name.contains('/') { parent } else { &strange };
        let (telemetry, guard, log) = start(Store::new(path));
        telemetry.emit(&Event::Moderation(mute()));
        guard.flush();
        assert_eq!(metric(&telemetry, "cusax_trace_records_total"), 0);
        assert!(log.text().contains(r#""stage":"degraded""#), "{}", log.text());
        assert_eq!(std::fs::read(&strange).unwrap(), holds);
        assert_eq!(mode(parent), 0o755);
    }
}

/// Runs a test of this program once more, in a process whose files cannot be larger than 4 KiB: what a full disk is to
/// one of 64 GiB.
fn again_without_room(test: &str) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    let limited = r#"trap "" XFSZ; ulimit -S -f 8; exec "$0" --exact "$1" --nocapture"#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", limited]).arg(program).arg(test).env(WITHOUT_ROOM, "1").output().unwrap()
}

const WITHOUT_ROOM: &str = "CUSAX_TEST_WITHOUT_ROOM";

#[test]
fn a_store_without_room_loses_records_counts_them_says_so_once_and_goes_on() {
    if std::env::var_os(WITHOUT_ROOM).is_none() {
        let test = "store::a_store_without_room_loses_records_counts_them_says_so_once_and_goes_on";
        let output = again_without_room(test);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let (telemetry, guard, log) = start(Store::new(&path));
    let done = || {
        metric(&telemetry, "cusax_trace_records_total")
            + metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}")
    };
    let event = Event::Moderation(mute());
    for sent in 1..=30 {
        telemetry.emit(&event);
        while done() < sent {
            std::thread::yield_now();
        }
    }
    let stored = metric(&telemetry, "cusax_trace_records_total");
    assert!((1..30).contains(&stored), "{stored}");
    assert_eq!(find(&path, &["bob@example.com"]).unwrap().len() as u64, stored);
    assert_eq!(log.text().matches("degraded").count(), 1, "{}", log.text());
    let room = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, room).unwrap();
    telemetry.emit(&event);
    guard.flush();
    assert_eq!(find(&path, &["bob@example.com"]).unwrap().len() as u64, stored + 1);
    assert_eq!(log.text().matches("recovered").count(), 1, "{}", log.text());
}

#[test]
fn what_is_very_long_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let mut large = invite();
    let summary = large.summary.as_mut().unwrap();
    summary.first_line = "ä".repeat(1 << 20).into();
    summary.notes = vec!["x".repeat(1 << 20).into(); 1_000];
    store(&path, &[Event::SipMessage(large), Event::Moderation(mute())]);
    let found = find(&path, &["bob@example.com"]).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].entry.text, "ä".repeat(2_048));
    assert_eq!(found[0].entry.notes, vec!["x".repeat(4_096); 32]);
}

#[test]
fn a_store_that_cannot_be_opened_costs_records_and_one_line_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not-yet");
    let path = missing.join("trace");
    let (telemetry, guard, captured) = start(Store::new(&path));
    for lost in 1..=3 {
        telemetry.emit(&Event::Moderation(mute()));
        while metric(&telemetry, "cusax_trace_dropped_total{reason=\"store\"}") < lost {
            std::thread::yield_now();
        }
    }
    let error = find(&path, &["bob@example.com"]).unwrap_err();
    assert!(matches!(error, Error::File { .. }) && std::error::Error::source(&error).is_none(), "{error}");
    std::fs::create_dir(&missing).unwrap();
    telemetry.emit(&Event::Moderation(mute()));
    guard.flush();
    assert_eq!(find(&path, &["bob@example.com"]).unwrap().len(), 1);
    let log = captured.text();
    assert_eq!(log.matches("degraded").count(), 1, "{log}");
    assert_eq!(log.matches("recovered").count(), 1, "{log}");
    assert_eq!(log.matches("moderation.mirrored").count(), 4, "{log}");
}

static HELD: Mutex<()> = Mutex::new(());

/// A clock that the thread which writes waits for, as it may for a disk.
fn held_clock() -> SystemTime {
    if std::thread::current().name() == Some("trace") {
        drop(HELD.lock());
    }
    clock()
}

#[test]
fn a_full_queue_loses_records_and_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let captured = Captured::default();
    let trace = Some(Store::new(folder.path().join("trace")));
    let (telemetry, guard) = Telemetry::new(Config { clock: held_clock, trace, ..config(&captured) });
    let held = HELD.lock();
    let sent = 60_000;
    for _ in 0..sent {
        telemetry.emit(&Event::SipMessage(invite()));
    }
    let dropped = metric(&telemetry, "cusax_trace_dropped_total{reason=\"queue_full\"}");
    drop(held);
    guard.flush();
    assert_eq!(dropped + metric(&telemetry, "cusax_trace_records_total"), sent);
    assert!(dropped > 0);
    telemetry.emit(&Event::Moderation(mute()));
    assert_eq!(metric(&telemetry, "cusax_trace_dropped_total{reason=\"closed\"}"), 1);
}
