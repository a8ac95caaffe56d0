//! The metrics: families `cusax_…`, fed by events, and `process_…`, as standard dashboards expect them.
//!
//! Labels are closed enums, never a user, room, address or Call-ID; the configured core targets and component are the
//! only names.
//! Every child is made at zero, so that `rate()` and `absent()` work from the first scrape on, and is found by an array
//! index, so that counting costs a few nanoseconds. A family exists only where an event feeds it.
//! [`Telemetry::families`](crate::Telemetry::families) lists them.

mod caller;
mod children;
mod collector;
mod media;
mod service;
mod sip;
mod status;
mod tls;
mod upstream;
mod xmpp;

use cusax_event::Event;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use children::Families;
pub(crate) use service::TraceDrop;

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution, with `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A family of metrics, for dashboards and the rules that check them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its full name.
    pub name: String,
    /// Its kind.
    pub kind: FamilyKind,
    /// What it says, in one sentence.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// How many series it has.
    pub series: usize,
}

/// Values of labels that are configured, or built in.
pub(crate) struct Configured {
    /// The core targets.
    pub(crate) upstreams: Vec<String>,
    /// The component's domain.
    pub(crate) component: Option<String>,
    /// The commit that the program is built from.
    pub(crate) revision: &'static str,
}

/// What other parts of telemetry count themselves.
pub(crate) struct Sampled {
    /// Log lines lost.
    pub(crate) log_dropped: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Counts events.
pub(crate) struct Metrics {
    process: Registry,
    cusax: Registry,
    sip: sip::Sip,
    upstreams: upstream::Upstreams,
    tls: tls::Tls,
    caller: caller::Caller,
    xmpp: xmpp::Xmpp,
    media: media::Media,
    service: service::Service,
}

impl Metrics {
    /// Makes every family.
    pub(crate) fn new(configured: Configured, sampled: Sampled) -> Self {
        let Configured { upstreams, component, revision } = configured;
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self())).expect("the registry is empty");
        let cusax = Registry::new_custom(Some("cusax".to_owned()), None).expect("the prefix is well-formed");
        let families = Families { registry: &cusax };
        Self {
            sip: sip::Sip::new(&families),
            upstreams: upstream::Upstreams::new(&families, upstreams),
            tls: tls::Tls::new(&families),
            caller: caller::Caller::new(&families),
            xmpp: xmpp::Xmpp::new(&families, component),
            media: media::Media::new(&families),
            service: service::Service::new(&families, revision, sampled),
            process,
            cusax,
        }
    }

    /// Counts one event.
    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::SipMessage(it) => self.sip.message(it),
            Event::SipDropped(it) => self.sip.dropped(it),
            Event::SipConnection(it) => self.sip.connection(it),
            Event::TlsHandshake(it) => self.tls.handshake(it),
            Event::SipForwarded(it) => self.sip.forwarded(it),
            Event::SipReport(it) => self.sip.report(it),
            Event::SipTransaction(it) => self.sip.transaction(it),
            Event::SipCall(it) => self.sip.call(it.outcome),
            Event::SipAuth(it) => self.sip.auth(it.result, it.algorithm),
            Event::SipTimeout(it) => self.sip.timeout(it.timer),
            Event::SipUpstream(it) => self.upstreams.asked(it),
            Event::SipUpstreamProbed(it) => self.upstreams.probed(it),
            Event::SipUpstreamChanged(it) => self.upstreams.changed(it),
            Event::SipShed(it) => self.sip.shed(it),
            Event::SipOverload(it) => self.sip.overload_changed(*it),
            Event::CallInfo(it) => self.caller.call_info(it.action, it.reason),
            Event::Classified(it) => self.caller.classified(it.class),
            Event::Cue(it) => self.caller.cue(it.kind, it.class),
            Event::XmppLink(it) => self.xmpp.link(it),
            Event::XmppStanza(it) => self.xmpp.stanza(it),
            Event::XmppDropped(it) => self.xmpp.dropped(it.reason),
            Event::Room(it) => self.xmpp.room(it.mirrored),
            Event::Moderation(it) => self.xmpp.moderation(it),
            Event::Reconcile(it) => self.xmpp.reconcile(it.result),
            Event::Leg(it) => self.media.leg(it.state),
            Event::Conference(it) => self.media.conference(it.active),
            Event::RtpDropped(it) => self.media.dropped(it),
            Event::MixerReport(it) => self.media.report(it),
            Event::Directory(it) => self.service.directory(it),
            Event::HttpDropped(it) => self.service.http_dropped(it.reason),
            Event::ConfigReload(it) => self.service.reload(it),
            Event::Lifecycle(it) => self.service.lifecycle(it.stage),
        }
    }

    /// Takes note that the configuration in force was read at a time in seconds since 1970.
    pub(crate) fn read(&self, at: u64) {
        self.service.read(at);
    }

    /// Takes other core targets.
    pub(crate) fn follow(&self, upstreams: Vec<String>) {
        self.upstreams.follow(upstreams);
    }

    /// What the trace store came to.
    pub(crate) fn trace(&self) -> &service::Trace {
        &self.service.trace
    }

    /// Both registries in the text format 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for registry in [&self.cusax, &self.process] {
            TextEncoder::new().encode_utf8(&registry.gather(), &mut text).expect("every family has samples");
        }
        text
    }

    /// Every family, in the order of their names.
    pub(crate) fn families(&self) -> Vec<Family> {
        [&self.cusax, &self.process].into_iter().flat_map(Registry::gather).map(|family| describe(&family)).collect()
    }
}

fn describe(family: &MetricFamily) -> Family {
    let metrics = family.get_metric();
    let kind = match family.get_field_type() {
        MetricType::GAUGE => FamilyKind::Gauge,
        MetricType::HISTOGRAM => FamilyKind::Histogram,
        MetricType::COUNTER | MetricType::SUMMARY | MetricType::UNTYPED => FamilyKind::Counter,
    };
    let labels = metrics.first().map(|metric| metric.get_label()).unwrap_or_default();
    Family {
        name: family.name().to_owned(),
        kind,
        help: family.help().to_owned(),
        labels: labels.iter().map(|label| label.name().to_owned()).collect(),
        series: match kind {
            FamilyKind::Histogram => {
                metrics.iter().map(|metric| metric.get_histogram().get_bucket().len() + INFINITE_SUM_COUNT).sum()
            }
            FamilyKind::Counter | FamilyKind::Gauge => metrics.len(),
        },
    }
}

/// The series of a histogram besides its finite buckets.
const INFINITE_SUM_COUNT: usize = 3;
