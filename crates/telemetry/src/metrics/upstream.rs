//! Families of the core targets: the one label whose values are configured, and may be others after a reload.

use arc_swap::ArcSwap;
use cusax_event::sip::{ProbeResult, Upstream, UpstreamChanged, UpstreamProbed, UpstreamResult, UpstreamState};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::children::{Children, Families, label};

const LABEL: &str = "upstream";

pub(super) struct Upstreams {
    requests: IntCounterVec,
    up: IntGaugeVec,
    probes: HistogramVec,
    failed_probes: IntCounterVec,
    now: ArcSwap<Targets>,
}

/// The targets, and the children of each.
struct Targets {
    names: Vec<String>,
    requests: Children<IntCounter, 2>,
    up: Children<IntGauge, 1>,
    probes: Children<Histogram, 1>,
    failed_probes: Children<IntCounter, 1>,
}

impl Upstreams {
    pub(super) fn new(families: &Families<'_>, names: Vec<String>) -> Self {
        let requests = Opts::new("sip_upstream_requests_total", "Requests to core targets, by what they came to.");
        let up = Opts::new(
            "sip_upstream_up",
            "1 where a core target takes requests: at least one of its addresses answers, and not with 503.",
        );
        let probes = HistogramOpts::new(
            "sip_upstream_probe_seconds",
            "Time from an OPTIONS probe of a core target to its answer.",
        );
        let probes = probes.buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0]);
        let failed = Opts::new(
            "sip_upstream_failed_probes_total",
            "OPTIONS probes of a core target that were not answered, or with 503.",
        );
        let requests = families.register(IntCounterVec::new(requests, &[LABEL, "result"]));
        let up = families.register(IntGaugeVec::new(up, &[LABEL]));
        let probes = families.register(HistogramVec::new(probes, &[LABEL]));
        let failed_probes = families.register(IntCounterVec::new(failed, &[LABEL]));
        let now = ArcSwap::from_pointee(Targets::new(names, &requests, &up, &probes, &failed_probes));
        Self { requests, up, probes, failed_probes, now }
    }

    /// Takes other targets: those that stay go on counting, and those that left are not told of any more.
    pub(super) fn follow(&self, names: Vec<String>) {
        let next = Targets::new(names, &self.requests, &self.up, &self.probes, &self.failed_probes);
        let before = self.now.load_full();
        for name in before.names.iter().filter(|name| !next.names.contains(name)) {
            // Each has every child of its.
            for result in UpstreamResult::ALL {
                let _ = self.requests.remove_label_values(&[name, result.as_str()]);
            }
            let _ = self.up.remove_label_values(&[name]);
            let _ = self.probes.remove_label_values(&[name]);
            let _ = self.failed_probes.remove_label_values(&[name]);
        }
        self.now.store(next.into());
    }

    pub(super) fn asked(&self, upstream: &Upstream) {
        let now = self.now.load();
        if let Some(place) = now.place(&upstream.upstream) {
            now.requests.at([place, upstream.result as usize]).inc();
        }
    }

    pub(super) fn probed(&self, probed: &UpstreamProbed) {
        let now = self.now.load();
        let Some(place) = now.place(&probed.upstream) else { return };
        match probed.result {
            ProbeResult::Ok => {
                now.up.at([place]).set(1);
                now.probes.at([place]).observe(probed.duration.as_secs_f64());
            }
            ProbeResult::Unavailable | ProbeResult::Failed => now.failed_probes.at([place]).inc(),
        }
    }

    pub(super) fn changed(&self, changed: &UpstreamChanged) {
        let now = self.now.load();
        if let Some(place) = now.place(&changed.upstream) {
            now.up.at([place]).set(i64::from(changed.state == UpstreamState::Up));
        }
    }
}

impl Targets {
    fn new(
        names: Vec<String>,
        requests: &IntCounterVec,
        up: &IntGaugeVec,
        probes: &HistogramVec,
        failed_probes: &IntCounterVec,
    ) -> Self {
        let upstream = || (LABEL, names.iter().map(String::as_str).collect::<Vec<_>>());
        let result = label!("result", UpstreamResult);
        Self {
            requests: Children::new(&[upstream(), result], |values| requests.with_label_values(values)),
            up: Children::new(&[upstream()], |values| up.with_label_values(values)),
            probes: Children::new(&[upstream()], |values| probes.with_label_values(values)),
            failed_probes: Children::new(&[upstream()], |values| failed_probes.with_label_values(values)),
            names,
        }
    }

    /// A target that is not configured has no child: its name could be anything.
    fn place(&self, upstream: &str) -> Option<usize> {
        self.names.iter().position(|name| **name == *upstream)
    }
}
