//! Families of legs, RTP and the mixer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cusax_event::media::{Codec, DropReason, Dropped, LegState, ParticipantState, PortState, Report};
use cusax_event::sip::Direction;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::children::{Children, Families, label};
use super::collector::TickHistogram;

pub(super) struct Media {
    legs: Children<IntCounter, 1>,
    conferences: Children<IntCounter, 1>,
    active_conferences: IntGauge,
    participants: Children<IntGauge, 1>,
    ports: Children<IntGauge, 1>,
    packets: Children<IntCounter, 2>,
    bytes: Children<IntCounter, 1>,
    dropped: Children<IntCounter, 1>,
    lost: IntCounter,
    reordered: IntCounter,
    concealed: IntCounter,
    tick: TickHistogram,
    lag: TickHistogram,
    overruns: IntCounter,
    longest_tick: Gauge,
    /// What is true now, of each media thread: the gauges show the sum.
    now: Mutex<BTreeMap<u8, Now>>,
}

#[derive(Clone, Copy, Default)]
struct Now {
    conferences: u64,
    participants: [u64; ParticipantState::ALL.len()],
    ports: [u64; PortState::ALL.len()],
    longest_tick: f64,
}

impl Media {
    pub(super) fn new(families: &Families<'_>) -> Self {
        Self {
            legs: families.counters(
                "conference_legs_total",
                "Legs of conferences by how they came or went.",
                &[label!("state", LegState)],
            ),
            conferences: families.counters(
                "conferences_total",
                "Conferences that began and ended.",
                &[("state", vec!["ended", "began"])],
            ),
            active_conferences: families.gauge("mixer_conferences", "Conferences that are mixed now."),
            participants: families.gauges(
                "mixer_participants",
                "Participants of all conferences by what they do now.",
                &[label!("state", ParticipantState)],
            ),
            ports: families.gauges(
                "mixer_ports",
                "RTP ports, each shared by many legs, by whether any leg has them now.",
                &[label!("state", PortState)],
            ),
            packets: families.counters(
                "mixer_rtp_packets_total",
                "RTP packets.",
                &[label!("dir", Direction), label!("codec", Codec)],
            ),
            bytes: families.counters("mixer_rtp_bytes_total", "Bytes of RTP packets.", &[label!("dir", Direction)]),
            dropped: families.counters(
                "rtp_dropped_total",
                "RTP packets that were dropped.",
                &[label!("reason", DropReason)],
            ),
            lost: families.counter("mixer_rtp_lost_total", "RTP packets that never came."),
            reordered: families.counter("mixer_rtp_reordered_total", "RTP packets out of order and in time."),
            concealed: families.counter("mixer_concealed_frames_total", "Frames made up for packets that never came."),
            tick: families.register(TickHistogram::new("mixer_tick_seconds", "How long a media thread's tick took.")),
            lag: families
                .register(TickHistogram::new("mixer_tick_lag_seconds", "How late a media thread's tick began.")),
            overruns: families.counter("mixer_tick_overruns_total", "Ticks that took longer than a tick."),
            longest_tick: families
                .float_gauge("mixer_tick_longest_seconds", "The longest tick of any media thread in its last report."),
            now: Mutex::default(),
        }
    }

    pub(super) fn leg(&self, state: LegState) {
        self.legs.at([state as usize]).inc();
    }

    pub(super) fn conference(&self, active: bool) {
        self.conferences.at([usize::from(active)]).inc();
    }

    pub(super) fn dropped(&self, dropped: &Dropped) {
        self.dropped.at([dropped.reason as usize]).inc_by(dropped.packets);
    }

    pub(super) fn report(&self, report: &Report) {
        for (dir, (packets, bytes)) in [
            (Direction::Received, (report.received, report.received_bytes)),
            (Direction::Sent, (report.sent, report.sent_bytes)),
        ] {
            for (codec, count) in packets.into_iter().enumerate() {
                self.packets.at([dir as usize, codec]).inc_by(count);
            }
            self.bytes.at([dir as usize]).inc_by(bytes);
        }
        for (reason, count) in report.dropped.into_iter().enumerate() {
            self.dropped.at([reason]).inc_by(count);
        }
        self.lost.inc_by(report.lost);
        self.reordered.inc_by(report.reordered);
        self.concealed.inc_by(report.concealed);
        self.tick.add(&report.ticks.took, report.ticks.busy);
        self.lag.add(&report.ticks.lagged, report.ticks.lag);
        self.overruns.inc_by(report.ticks.overran);
        self.now_of(report);
    }

    fn now_of(&self, report: &Report) {
        let mut threads = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        threads.insert(
            report.thread,
            Now {
                conferences: report.conferences,
                participants: report.participants,
                ports: report.ports,
                longest_tick: report.ticks.longest.as_secs_f64(),
            },
        );
        self.active_conferences.set(threads.values().map(|now| gauge(now.conferences)).sum());
        for (state, _) in ParticipantState::ALL.iter().enumerate() {
            self.participants.at([state]).set(threads.values().map(|now| gauge(now.participants[state])).sum());
        }
        for (state, _) in PortState::ALL.iter().enumerate() {
            self.ports.at([state]).set(threads.values().map(|now| gauge(now.ports[state])).sum());
        }
        self.longest_tick.set(threads.values().map(|now| now.longest_tick).fold(0.0, f64::max));
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
