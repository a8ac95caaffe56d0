use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use cusax_event::Event;
use cusax_event::media::{Report, TickTimes};
use cusax_event::sip::{Upstream, UpstreamResult};
use cusax_event::xmpp::{Link, LinkState};
use cusax_telemetry::Telemetry;
use cusax_telemetry::metrics::FamilyKind;

use crate::samples::{Captured, config, every_event, invite};

fn telemetry() -> Telemetry {
    Telemetry::new(config(&Captured::default())).0
}

/// Every sample of `/metrics`.
fn samples(telemetry: &Telemetry) -> BTreeMap<String, f64> {
    let text = telemetry.metrics_text();
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

/// The samples of ours that an event changes, without those of histograms.
fn changed(telemetry: &Telemetry, event: &Event) -> Vec<(String, f64)> {
    let before = samples(telemetry);
    telemetry.emit(event);
    let after = samples(telemetry);
    assert_eq!(before.len(), after.len(), "an event made a child: {event:?}");
    let differ = after.into_iter().filter(|(name, value)| name.starts_with("cusax_") && before[name] != *value);
    differ.filter(|(name, _)| !name.contains("_bucket{")).collect()
}

#[test]
fn every_event_changes_a_metric_and_makes_no_child() {
    let telemetry = telemetry();
    for event in every_event() {
        assert!(!changed(&telemetry, &event).is_empty(), "{event:?}");
    }
}

#[test]
fn a_message_is_a_request_a_response_or_a_retransmission() {
    let telemetry = telemetry();
    let mut message = invite();
    let labels = r#"{dir="received",leg="client",method="INVITE",transport="udp"}"#;
    let request = changed(&telemetry, &Event::SipMessage(message.clone()));
    assert_eq!(request, [(format!("cusax_sip_requests_total{labels}"), 1.0)]);
    message.status = Some(183);
    let response = changed(&telemetry, &Event::SipMessage(message.clone()));
    assert_eq!(response, [(r#"cusax_sip_responses_total{class="1xx",dir="received",leg="client"}"#.to_owned(), 1.0)]);
    message.retransmission = true;
    let again = changed(&telemetry, &Event::SipMessage(message));
    let name = r#"cusax_sip_retransmissions_total{dir="received",kind="response",leg="client"}"#;
    assert_eq!(again, [(name.to_owned(), 1.0)]);
}

#[test]
fn final_responses_are_counted_by_code_or_as_others_of_their_class() {
    let telemetry = telemetry();
    let Event::SipTransaction(mut ended) = every_event().swap_remove(2) else { panic!("the third is a transaction") };
    for (status, code) in
        [(200, "200"), (608, "608"), (499, "other_4xx"), (299, "other_2xx"), (699, "other_6xx"), (65_535, "other_6xx")]
    {
        ended.status = status;
        let changes = changed(&telemetry, &Event::SipTransaction(ended.clone()));
        let name = format!(r#"cusax_sip_final_responses_total{{code="{code}",method="INVITE"}}"#);
        assert!(changes.iter().any(|(changed, _)| *changed == name), "{status}: {changes:?}");
    }
}

#[test]
fn gauges_follow_the_last_state() {
    let telemetry = telemetry();
    let link = |state| Event::XmppLink(Link { component: String::new(), state, detail: String::new(), retry_in: None });
    let upstream = |result| Event::SipUpstream(Upstream { upstream: "sip:127.0.0.1:5080".into(), result });
    let up = r#"cusax_sip_upstream_up{upstream="sip:127.0.0.1:5080"}"#;
    for (event, gauge, value) in [
        (link(LinkState::Connected), "cusax_xmpp_connected", 1.0),
        (link(LinkState::Lost), "cusax_xmpp_connected", 0.0),
        (upstream(UpstreamResult::Ok), up, 1.0),
        (upstream(UpstreamResult::Timeout), up, 0.0),
    ] {
        telemetry.emit(&event);
        assert_eq!(samples(&telemetry)[gauge], value, "{event:?}");
    }
}

#[test]
fn an_upstream_that_is_not_configured_makes_no_series() {
    let telemetry = telemetry();
    let event = Event::SipUpstream(Upstream { upstream: "sip:elsewhere".into(), result: UpstreamResult::Ok });
    assert_eq!(changed(&telemetry, &event), []);
}

#[test]
fn what_is_true_now_is_summed_over_media_threads() {
    let telemetry = telemetry();
    let report = |thread, conferences, speaking| {
        let participants = [speaking, 0, 0, 0];
        Event::MixerReport(Report { thread, conferences, participants, ..Report::default() })
    };
    for event in [report(0, 2, 5), report(1, 1, 3), report(0, 1, 4)] {
        telemetry.emit(&event);
    }
    let samples = samples(&telemetry);
    assert_eq!(samples["cusax_mixer_conferences"], 2.0);
    assert_eq!(samples[r#"cusax_mixer_participants{state="speaking"}"#], 7.0);
}

#[test]
fn ticks_keep_their_distribution() {
    let telemetry = telemetry();
    let mut ticks = TickTimes::default();
    ticks.record(std::time::Duration::from_millis(4), std::time::Duration::ZERO);
    ticks.record(std::time::Duration::from_millis(60), std::time::Duration::from_millis(40));
    telemetry.emit(&Event::MixerReport(Report { ticks, ..Report::default() }));
    let samples = samples(&telemetry);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.0025"}"#], 0.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.005"}"#], 1.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.05"}"#], 1.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="+Inf"}"#], 2.0);
    assert_eq!(samples["cusax_mixer_tick_seconds_sum"], 0.064);
    assert_eq!(samples["cusax_mixer_tick_seconds_count"], 2.0);
    assert_eq!(samples["cusax_mixer_tick_overruns_total"], 1.0);
}

#[test]
fn a_node_has_at_most_3000_series() {
    let mut config = config(&Captured::default());
    config.upstreams = (0..16).map(|n| format!("sip:core-{n}.example.com")).collect();
    let (telemetry, _guard) = Telemetry::new(config);
    let listed: usize = telemetry.families().iter().map(|family| family.series).sum();
    assert_eq!(listed, samples(&telemetry).len(), "the list and the text agree");
    assert!(listed <= 3_000, "{listed} series");
}

#[test]
fn families_say_what_they_are_and_label_nobody() {
    for family in telemetry().families() {
        let name = &family.name;
        assert!(name.starts_with("cusax_") || name.starts_with("process_"), "{name}");
        assert!(family.help.ends_with('.'), "{name}: {}", family.help);
        if name.starts_with("cusax_") {
            assert_eq!(name.ends_with("_total"), family.kind == FamilyKind::Counter, "{name}");
        }
        for label in &family.labels {
            let closed = [
                "action",
                "algorithm",
                "class",
                "code",
                "codec",
                "condition",
                "dir",
                "kind",
                "leg",
                "method",
                "origin",
                "outcome",
                "reason",
                "result",
                "stage",
                "state",
                "timer",
                "transport",
                "upstream",
                "version",
            ];
            assert!(closed.contains(&label.as_str()), "{name} has the label {label}");
        }
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let telemetry = telemetry();
    every_event().iter().for_each(|event| telemetry.emit(event));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        let required = std::env::var("CUSAX_INTEROP").is_ok_and(|interop| interop == "required");
        assert!(!required, "promtool is not installed: apt-get install prometheus");
        eprintln!("skipped: promtool is not installed");
        return;
    };
    promtool.stdin.take().unwrap().write_all(telemetry.metrics_text().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
