use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use cusax_event::Event;
use cusax_event::media::{Report, TickTimes};
use cusax_event::service::{ConfigReload, Directory, DirectoryState, ReloadResult};
use cusax_event::sip::{Connection, ConnectionResult, Forwarded, Leg, Report as SipReport};
use cusax_event::sip::{
    ProbeResult, Transport, Upstream, UpstreamChanged, UpstreamProbed, UpstreamResult, UpstreamState,
};
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
    let component = || "cusax.example.com".to_owned();
    let link = |state| Event::XmppLink(Link { component: component(), state, detail: String::new(), retry_in: None });
    let connected = r#"cusax_xmpp_connected{component="cusax.example.com"}"#;
    let upstream = |result| Event::SipUpstream(Upstream { upstream: "sip:127.0.0.1:5080".into(), result });
    let probed = |result| {
        let duration = Duration::from_millis(3);
        Event::SipUpstreamProbed(UpstreamProbed { upstream: "sip:127.0.0.1:5080".into(), result, duration })
    };
    let changed = |state| Event::SipUpstreamChanged(UpstreamChanged { upstream: "sip:127.0.0.1:5080".into(), state });
    let up = r#"cusax_sip_upstream_up{upstream="sip:127.0.0.1:5080"}"#;
    for (event, gauge, value) in [
        (link(LinkState::Connected), connected, 1.0),
        (link(LinkState::Lost), connected, 0.0),
        (probed(ProbeResult::Ok), up, 1.0),
        (upstream(UpstreamResult::Timeout), up, 1.0),
        (changed(UpstreamState::Down), up, 0.0),
        (probed(ProbeResult::Failed), up, 0.0),
        (changed(UpstreamState::Up), up, 1.0),
        (changed(UpstreamState::Draining), up, 0.0),
    ] {
        telemetry.emit(&event);
        assert_eq!(samples(&telemetry)[gauge], value, "{event:?}");
    }
}

#[test]
fn what_is_not_about_accounts_leaves_their_number_as_it_was() {
    let telemetry = telemetry();
    let tell = |state, accounts| {
        telemetry.emit(&Event::Directory(Directory { state, accounts, detail: String::new() }));
        samples(&telemetry)["cusax_directory_accounts"]
    };
    assert_eq!(tell(DirectoryState::Loaded, Some(3)), 3.0);
    assert_eq!(tell(DirectoryState::WriteFailed, None), 3.0);
    assert_eq!(tell(DirectoryState::StateReadOnly, None), 3.0);
    assert_eq!(tell(DirectoryState::ReadOnly, Some(4)), 4.0);
    assert_eq!(samples(&telemetry)[r#"cusax_directory_snapshots_total{state="write_failed"}"#], 1.0);
}

#[test]
fn a_reload_that_was_refused_leaves_the_time_of_the_last_good_one() {
    let telemetry = telemetry();
    let tell = |result, at| {
        let (needs_restart, detail) = (Vec::new(), String::new());
        telemetry.emit(&Event::ConfigReload(ConfigReload { result, at, needs_restart, detail }));
        let samples = samples(&telemetry);
        ["successful", "success_timestamp_seconds"].map(|name| samples[&format!("cusax_config_last_reload_{name}")])
    };
    let started = samples(&telemetry)["cusax_config_last_reload_success_timestamp_seconds"];
    assert_eq!(started, 1_798_761_599.0, "the start is the first reading");
    assert_eq!(tell(ReloadResult::Refused, 1_800_000_000), [0.0, started]);
    assert_eq!(tell(ReloadResult::Applied, 1_800_000_001), [1.0, 1_800_000_001.0]);
    assert_eq!(samples(&telemetry)[r#"cusax_config_reloads_total{result="refused"}"#], 1.0);
}

#[test]
fn upstreams_that_stay_count_on_and_those_that_left_are_gone() {
    let captured = Captured::default();
    let with = |names: &[&str]| {
        let mut config = config(&captured);
        config.upstreams = names.iter().map(ToString::to_string).collect();
        config
    };
    let (telemetry, _guard) = Telemetry::new(with(&["sip:a", "sip:b"]));
    let probed = |name: &str| {
        let (upstream, duration) = (name.into(), Duration::from_millis(1));
        telemetry.emit(&Event::SipUpstreamProbed(UpstreamProbed { upstream, result: ProbeResult::Ok, duration }));
    };
    ["sip:a", "sip:b"].into_iter().for_each(probed);
    let count = |name: &str| {
        samples(&telemetry).get(&format!("cusax_sip_upstream_probe_seconds_count{{upstream={name:?}}}")).copied()
    };
    telemetry.reconfigure(with(&["sip:b", "sip:c"]));
    ["sip:a", "sip:b", "sip:c"].into_iter().for_each(probed);
    assert_eq!(["sip:a", "sip:b", "sip:c"].map(count), [None, Some(2.0), Some(1.0)]);
    assert!(!telemetry.metrics_text().contains("sip:a"));
}

#[test]
fn an_upstream_that_is_not_configured_makes_no_series() {
    let telemetry = telemetry();
    let event = Event::SipUpstream(Upstream { upstream: "sip:elsewhere".into(), result: UpstreamResult::Ok });
    assert_eq!(changed(&telemetry, &event), []);
}

#[test]
fn without_a_component_its_stream_has_no_series() {
    let mut config = config(&Captured::default());
    config.component = None;
    let (telemetry, _guard) = Telemetry::new(config);
    every_event().iter().for_each(|event| telemetry.emit(event));
    assert!(!telemetry.metrics_text().contains("component="), "{}", telemetry.metrics_text());
}

#[test]
fn open_connections_are_those_that_came_and_did_not_go() {
    let telemetry = telemetry();
    let remote = "192.0.2.7:5060".parse().unwrap();
    let open = |leg, result| {
        telemetry.emit(&Event::SipConnection(Connection { leg, transport: Transport::Tcp, result, remote }));
        samples(&telemetry)[&format!(r#"cusax_sip_connections{{leg="{leg}",transport="tcp"}}"#)]
    };
    assert_eq!(open(Leg::Client, ConnectionResult::Accepted), 1.0);
    assert_eq!(open(Leg::Client, ConnectionResult::Refused), 1.0);
    assert_eq!(open(Leg::Upstream, ConnectionResult::Failed), 0.0);
    assert_eq!(open(Leg::Upstream, ConnectionResult::Connected), 1.0);
    assert_eq!(open(Leg::Client, ConnectionResult::Closed), 0.0);
    let total = r#"cusax_sip_connections_total{leg="client",result="refused",transport="tcp"}"#;
    assert_eq!(samples(&telemetry)[total], 1.0);
    assert_eq!(open(Leg::Upstream, ConnectionResult::Closed), 0.0);
}

#[test]
fn each_request_that_was_sent_on_has_its_delay() {
    let telemetry = telemetry();
    telemetry.emit(&Event::SipForwarded(Forwarded { requests: 3, delay: Duration::from_micros(80) }));
    telemetry.emit(&Event::SipForwarded(Forwarded { requests: 1, delay: Duration::from_secs(1) }));
    let samples = samples(&telemetry);
    assert_eq!(samples[r#"cusax_sip_proxy_delay_seconds_bucket{le="0.00005"}"#], 0.0);
    assert_eq!(samples[r#"cusax_sip_proxy_delay_seconds_bucket{le="0.0001"}"#], 3.0);
    assert_eq!(samples[r#"cusax_sip_proxy_delay_seconds_bucket{le="0.5"}"#], 3.0);
    assert_eq!(samples["cusax_sip_proxy_delay_seconds_count"], 4.0);
}

#[test]
fn transactions_are_told_by_role_and_kind() {
    let telemetry = telemetry();
    telemetry.emit(&Event::SipReport(SipReport { transactions: [[1, 2], [3, 4]] }));
    let samples = samples(&telemetry);
    for (labels, value) in [
        (r#"kind="invite",role="server""#, 1.0),
        (r#"kind="non_invite",role="server""#, 2.0),
        (r#"kind="invite",role="client""#, 3.0),
        (r#"kind="non_invite",role="client""#, 4.0),
    ] {
        assert_eq!(samples[&format!("cusax_sip_transactions{{{labels}}}")], value, "{labels}");
    }
}

#[test]
fn what_is_true_now_is_summed_over_media_threads() {
    let telemetry = telemetry();
    let report = |thread, conferences, speaking| {
        let participants = [speaking, 0, 0, 0];
        let ports = [1, 31];
        Event::MixerReport(Report { thread, conferences, participants, ports, ..Report::default() })
    };
    for event in [report(0, 2, 5), report(1, 1, 3), report(0, 1, 4)] {
        telemetry.emit(&event);
    }
    let samples = samples(&telemetry);
    assert_eq!(samples["cusax_mixer_conferences"], 2.0);
    assert_eq!(samples[r#"cusax_mixer_participants{state="speaking"}"#], 7.0);
    assert_eq!(samples[r#"cusax_mixer_ports{state="used"}"#], 2.0);
    assert_eq!(samples[r#"cusax_mixer_ports{state="free"}"#], 62.0);
}

#[test]
fn ticks_keep_their_distribution() {
    let telemetry = telemetry();
    let mut ticks = TickTimes::default();
    // Late, and no overrun: how late is another histogram's business.
    ticks.record(Duration::from_millis(4), Duration::from_millis(15));
    ticks.record(Duration::from_millis(60), Duration::from_millis(40));
    telemetry.emit(&Event::MixerReport(Report { ticks, ..Report::default() }));
    let samples = samples(&telemetry);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.0025"}"#], 0.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.005"}"#], 1.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="0.05"}"#], 1.0);
    assert_eq!(samples[r#"cusax_mixer_tick_seconds_bucket{le="+Inf"}"#], 2.0);
    assert_eq!(samples["cusax_mixer_tick_seconds_sum"], 0.064);
    assert_eq!(samples["cusax_mixer_tick_seconds_count"], 2.0);
    assert_eq!(samples["cusax_mixer_tick_overruns_total"], 1.0);
    assert_eq!(samples[r#"cusax_mixer_tick_lag_seconds_bucket{le="0.015"}"#], 1.0);
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
                "aspect",
                "cause",
                "class",
                "code",
                "codec",
                "component",
                "condition",
                "dir",
                "kind",
                "leg",
                "method",
                "origin",
                "outcome",
                "reason",
                "result",
                "revision",
                "role",
                "side",
                "stage",
                "state",
                "timer",
                "transport",
                "upstream",
                "urgency",
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
