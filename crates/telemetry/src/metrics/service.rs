//! Families of the process, its stores and telemetry itself.

use cusax_event::closed_enum;
use cusax_event::service::{ConfigReload, Directory, DirectoryState, HttpDropReason, ReloadResult, Stage};
use prometheus::{IntCounter, IntGauge};

use super::Sampled;
use super::children::{Children, Families, label};
use super::collector;

pub(super) struct Service {
    accounts: IntGauge,
    directory: Children<IntCounter, 1>,
    http_dropped: Children<IntCounter, 1>,
    draining: IntGauge,
    reloads: Children<IntCounter, 1>,
    last_reload: IntGauge,
    last_good_reload: IntGauge,
    stages: Children<IntCounter, 1>,
    pub(super) trace: Trace,
}

impl Service {
    pub(super) fn new(families: &Families<'_>, revision: &str, sampled: Sampled) -> Self {
        let build = families.gauges(
            "build_info",
            "1; its labels say what runs here.",
            &[("version", vec![env!("CARGO_PKG_VERSION")]), ("revision", vec![revision])],
        );
        build.at([0, 0]).set(1);
        let log_dropped = "Log lines that were lost because their reader was slow.";
        families.register(collector::Sampled::new("log_events_dropped_total", log_dropped, sampled.log_dropped));
        Self {
            accounts: families.gauge("directory_accounts", "Accounts in the directory's snapshot."),
            directory: families.counters(
                "directory_snapshots_total",
                "Readings and writings of the directory and of our own state by how they came out.",
                &[label!("state", DirectoryState)],
            ),
            http_dropped: families.counters(
                "http_dropped_total",
                "HTTP connections that were closed without an answer.",
                &[label!("reason", HttpDropReason)],
            ),
            reloads: families.counters(
                "config_reloads_total",
                "Readings of the configuration after the start by what came of them.",
                &[label!("result", ReloadResult)],
            ),
            last_reload: families.gauge(
                "config_last_reload_successful",
                "1 where the configuration is in force as it was read last, 0 where that was refused.",
            ),
            last_good_reload: families.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration that is in force was read, in seconds since 1970.",
            ),
            draining: families.gauge("draining", "1 while no new calls are taken."),
            stages: families.counters(
                "lifecycle_total",
                "Stages of the life of the process and of its parts.",
                &[label!("stage", Stage)],
            ),
            trace: Trace {
                stored: families.counter("trace_records_total", "Trace records that were stored."),
                dropped: families.counters(
                    "trace_dropped_total",
                    "Trace records that were dropped.",
                    &[label!("reason", TraceDrop)],
                ),
                bytes: families.gauge("trace_store_bytes", "Size of the trace store."),
            },
        }
    }

    pub(super) fn directory(&self, directory: &Directory) {
        self.directory.at([directory.state as usize]).inc();
        if let Some(accounts) = directory.accounts {
            self.accounts.set(i64::try_from(accounts).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn http_dropped(&self, reason: HttpDropReason) {
        self.http_dropped.at([reason as usize]).inc();
    }

    pub(super) fn reload(&self, reload: &ConfigReload) {
        self.reloads.at([reload.result as usize]).inc();
        match reload.result {
            ReloadResult::Applied => self.read(reload.at),
            ReloadResult::Refused => self.last_reload.set(0),
        }
    }

    /// Takes note that the configuration in force was read then.
    pub(super) fn read(&self, at: u64) {
        self.last_reload.set(1);
        self.last_good_reload.set(i64::try_from(at).unwrap_or(i64::MAX));
    }

    pub(super) fn lifecycle(&self, stage: Stage) {
        self.stages.at([stage as usize]).inc();
        match stage {
            Stage::Draining => self.draining.set(1),
            Stage::Started => self.draining.set(0),
            Stage::Stopped | Stage::Degraded | Stage::Recovered => {}
        }
    }
}

closed_enum! {
    /// Why a trace record was dropped.
    TraceDrop {
        /// The queue to the store was full.
        QueueFull = "queue_full",
        /// The store could not be written: no permission, no space.
        Store = "store",
        /// It came after the end.
        Closed = "closed",
    }
}

/// What became of trace records.
pub(crate) struct Trace {
    pub(crate) stored: IntCounter,
    dropped: Children<IntCounter, 1>,
    pub(crate) bytes: IntGauge,
}

impl Trace {
    pub(crate) fn dropped(&self, reason: TraceDrop, records: u64) {
        self.dropped.at([reason as usize]).inc_by(records);
    }
}
