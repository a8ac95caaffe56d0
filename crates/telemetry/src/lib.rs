//! Renders events: log line, metric and trace; correlation and pseudonyms.
//!
//! Whoever runs a core hands each [`Event`] to [`Telemetry::emit`], from any thread. One event becomes the metric, the
//! log line and the trace record of what happened; none of them makes the caller wait, and what each loses is counted.

#![forbid(unsafe_code)]

mod backlog;
mod identities;
mod log;
pub mod metrics;
mod timestamp;
pub mod trace;

use std::sync::Arc;
use std::time::SystemTime;

use cusax_event::Event;
use tracing::level_filters::LevelFilter;

use backlog::Thread;
pub use identities::Identities;
pub use log::{EVENT_NAMES, Format, Output};
use metrics::{Configured, Family, Metrics, Sampled};

/// What telemetry needs to know.
pub struct Config {
    /// This node's name, in every log line and trace record.
    pub node: String,
    /// The key of pseudonyms: the same on every node whose logs are read together.
    pub pseudonym_key: [u8; 32],
    /// Tells the wall-clock time.
    pub clock: fn() -> SystemTime,
    /// The core targets as configured: the values of the label `upstream`.
    pub upstreams: Vec<String>,
    /// The component's domain, where there is one: the value of the label `component`.
    pub component: Option<String>,
    /// The commit that this program is built from.
    pub revision: &'static str,
    /// The format of log lines.
    pub log: Format,
    /// The least level that is logged.
    pub level: LevelFilter,
    /// Where log lines go.
    pub output: Output,
    /// How identities are shown above DEBUG.
    pub identities: Identities,
    /// Where the trace store is; without one there is no trace.
    pub trace: Option<trace::Store>,
}

impl Config {
    /// The defaults: JSON at INFO to standard output, pseudonyms, no trace store.
    #[must_use]
    pub fn new(node: impl Into<String>, pseudonym_key: [u8; 32], clock: fn() -> SystemTime) -> Self {
        Self {
            node: node.into(),
            pseudonym_key,
            clock,
            upstreams: Vec::new(),
            component: None,
            revision: "unknown",
            log: Format::default(),
            level: LevelFilter::INFO,
            output: Output::default(),
            identities: Identities::default(),
            trace: None,
        }
    }

    const fn style(&self) -> log::Style {
        log::Style { format: self.log, level: self.level, identities: self.identities }
    }
}

/// Renders events; a clone is one more handle to the same log, metrics and trace store.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    rendering: Arc<Rendering>,
    trace: Option<trace::Queue>,
}

/// Log and metrics, which the trace's writer reports to as well.
struct Rendering {
    metrics: Metrics,
    log: log::Log,
}

impl Rendering {
    fn render(&self, event: &Event) {
        self.metrics.count(event);
        self.log.write(event);
    }
}

impl Telemetry {
    /// Starts the log's thread and, where there is a trace store, the one that writes it.
    ///
    /// # Panics
    /// Where the system has no thread left.
    pub fn new(config: Config) -> (Self, Guard) {
        let (node, style) = (config.node.clone(), config.style());
        let (log, lines) = log::Log::new(config.node, config.pseudonym_key, style, config.output, config.clock);
        let log_dropped = log.dropped();
        let configured =
            Configured { upstreams: config.upstreams, component: config.component, revision: config.revision };
        let metrics = Metrics::new(configured, Sampled { log_dropped });
        let read = (config.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics.read(read.as_secs());
        let rendering = Arc::new(Rendering { metrics, log });
        let (trace, records) = match config.trace {
            None => (None, None),
            Some(store) => {
                let (queue, records) = trace::start(store, node, config.clock, Arc::clone(&rendering));
                (Some(queue), Some(records))
            }
        };
        (Self(Arc::new(Inner { rendering, trace })), Guard { _records: records, _lines: lines })
    }

    /// Takes from another configuration what may change: form and level of the log, identities, and core targets.
    pub fn reconfigure(&self, config: Config) {
        self.0.rendering.log.restyle(config.style());
        self.0.rendering.metrics.follow(config.upstreams);
    }

    /// Counts, logs and records one event; never waits.
    pub fn emit(&self, event: &Event) {
        self.0.rendering.render(event);
        if let Some(Err(reason)) = self.0.trace.as_ref().map(|trace| trace.offer(event)) {
            self.0.rendering.metrics.trace().dropped(reason, 1);
        }
    }

    /// The body of `/metrics`: text format 0.0.4.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.0.rendering.metrics.text()
    }

    /// Every family of metrics, for dashboards and the rules that check them.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.0.rendering.metrics.families()
    }
}

/// Keeps what was emitted from being lost at the end: dropping it writes out the trace, then the log.
#[must_use = "what is not flushed is lost"]
pub struct Guard {
    // In this order: the end of the trace may have something to log.
    _records: Option<Thread>,
    _lines: Thread,
}

impl Guard {
    /// Writes out the trace, then the log; waits no longer than a disk or reader that works may take.
    pub fn flush(self) {}
}
