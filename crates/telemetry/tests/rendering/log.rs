use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::mpsc;

use cusax_event::Event;
use cusax_event::service::{ConfigReload, ReloadResult};
use cusax_telemetry::{Config, EVENT_NAMES, Format, Identities, Output, Telemetry};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::samples::{CLEAR, Captured, config, every_event, mute};

/// What a log says of these events.
fn logged(events: &[Event], change: impl FnOnce(&mut Config)) -> String {
    let captured = Captured::default();
    let mut config = config(&captured);
    change(&mut config);
    let (telemetry, guard) = Telemetry::new(config);
    events.iter().for_each(|event| telemetry.emit(event));
    drop(guard);
    captured.text()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn no_format_shows_an_identity_above_debug() {
    for format in [Format::Json, Format::Logfmt, Format::Pretty] {
        for identities in [Identities::Pseudonym, Identities::Masked] {
            let text = logged(&every_event(), |config| {
                config.log = format;
                config.identities = identities;
            });
            assert!(text.lines().count() > 12, "{text}");
            for clear in CLEAR {
                let masked = identities == Identities::Masked && matches!(clear, "+1404555" | "192.0.2" | "2001:db8");
                assert!(masked || !text.contains(clear), "{format:?} {identities:?} shows {clear}:\n{text}");
            }
            for whole in ["+14045551234", "192.0.2.9", "2001:db8::7"] {
                assert!(!text.contains(whole), "{format:?} {identities:?} shows {whole}:\n{text}");
            }
        }
    }
}

#[test]
fn every_event_has_its_own_name_at_trace() {
    let text = logged(&every_event(), |config| config.level = LevelFilter::TRACE);
    let names: BTreeSet<String> = text.lines().map(|line| json(line)["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, EVENT_NAMES.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(text.lines().count(), EVENT_NAMES.len());
}

#[test]
fn another_style_is_that_of_the_next_line() {
    let captured = Captured::default();
    let (telemetry, guard) = Telemetry::new(config(&captured));
    let reload = Event::ConfigReload(ConfigReload {
        result: ReloadResult::Applied,
        at: 1_800_000_000,
        needs_restart: vec!["http.listen", "media.ports"],
        detail: "cusax.toml".to_owned(),
    });
    telemetry.emit(&reload);
    let mut other = config(&captured);
    (other.log, other.level) = (Format::Logfmt, LevelFilter::ERROR);
    telemetry.reconfigure(other);
    telemetry.emit(&reload);
    let Event::ConfigReload(refused) = reload else { unreachable!() };
    let (result, detail) = (ReloadResult::Refused, "cusax.toml:3:11: 192.0.2.9/28 is no range".to_owned());
    telemetry.emit(&Event::ConfigReload(ConfigReload { result, needs_restart: Vec::new(), detail, ..refused }));
    drop(guard);
    let text = captured.text();
    let [warned, failed] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let warned = json(warned);
    assert_eq!((&warned["level"], &warned["event"]), (&"WARN".into(), &"config.reload".into()));
    assert_eq!(warned["needs_restart"], "http.listen, media.ports");
    assert!(failed.contains("level=error") && failed.contains("3:11: 192.0.2.9/28 is no range"), "{failed}");
    assert!(!failed.contains("needs_restart"), "{failed}");
}

#[test]
fn a_moderation_is_one_flat_line_with_every_identifier() {
    let text = logged(&[Event::Moderation(mute())], |_| {});
    let line = json(text.trim());
    assert_eq!(line["timestamp"], "2026-12-31T23:59:59.000007Z");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["event"], "moderation.mirrored");
    assert_eq!(line["node"], "edge-1");
    assert_eq!(line["action"], "mute");
    assert_eq!(line["result"], "applied");
    assert_eq!(line["seconds"], 0.012);
    assert_eq!(line["account"], 7);
    assert_eq!(line["session"], "0123456789abcdef0123456789abcdef");
    assert_eq!(line["call_id"], "a84b4c76e66710");
    assert_eq!(line["leg"], 3);
    assert_eq!(line["ssrc"], 0x1234_5678);
    assert_eq!(line["conference"], line["room"]);
    assert!(line["occupant"].as_str().unwrap().starts_with("jid:"), "{line}");
}

#[test]
fn configured_clear_shows_identities_at_info() {
    let text = logged(&[Event::Moderation(mute())], |config| config.identities = Identities::Clear);
    assert_eq!(json(text.trim())["occupant"], "bob@example.com");
}

#[test]
fn messages_are_logged_at_debug_only_and_then_in_clear() {
    let message = [every_event().swap_remove(0)];
    assert_eq!(logged(&message, |_| {}), "");
    let line = json(logged(&message, |config| config.level = LevelFilter::DEBUG).trim());
    assert_eq!(line["remote"], "192.0.2.7:5062");
    assert_eq!(line["first_line"], "INVITE sip:bob@example.com SIP/2.0");
}

#[test]
fn pretty_and_logfmt_lines_read_as_documented() {
    let events = [Event::Moderation(mute())];
    let pretty = logged(&events, |config| config.log = Format::Pretty);
    assert!(pretty.starts_with("23:59:59.000007 INFO  moderation.mirrored   node=edge-1 action=mute"), "{pretty}");
    let logfmt = logged(&events, |config| config.log = Format::Logfmt);
    assert!(logfmt.contains("level=info event=moderation.mirrored node=edge-1 action=mute"), "{logfmt}");
}

#[test]
fn nothing_from_the_network_controls_a_terminal() {
    let mut moderation = mute();
    moderation.reason = Some("\x1b[2J\r\nlevel=error".to_owned());
    for format in [Format::Json, Format::Logfmt, Format::Pretty] {
        let text = logged(&[Event::Moderation(moderation.clone())], |config| config.log = format);
        assert!(!text.contains('\x1b'), "{format:?}: {text:?}");
        assert_eq!(text.lines().count(), 1, "{format:?}: {text:?}");
    }
}

/// A reader that takes nothing until it is told to.
struct Stalled(mpsc::Receiver<()>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _released = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stalls_loses_lines_and_delays_nobody() {
    let (release, stalled) = mpsc::channel();
    let captured = Captured::default();
    let (telemetry, guard) =
        Telemetry::new(Config { output: Output::Writer(Box::new(Stalled(stalled))), ..config(&captured) });
    let event = Event::Moderation(mute());
    for _ in 0..20_000 {
        telemetry.emit(&event);
    }
    let text = telemetry.metrics_text();
    let line = text.lines().find(|line| line.starts_with("cusax_log_events_dropped_total ")).unwrap();
    let dropped: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3_000..20_000).contains(&dropped), "{dropped}");
    drop(release);
    drop(guard);
}
