//! Collectors for what the `prometheus` crate has no type for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cusax_event::media::TICK_BOUNDS;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, Metric, MetricFamily, MetricType};

/// A counter whose value something else keeps.
#[derive(Clone)]
pub(super) struct Sampled {
    desc: Desc,
    read: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Sampled {
    pub(super) fn new(
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> prometheus::Result<Self> {
        Ok(Self { desc: desc(name, help)?, read: Arc::new(read) })
    }
}

impl Collector for Sampled {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut counter = Counter::default();
        counter.set_value((self.read)() as f64);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        vec![family(&self.desc, MetricType::COUNTER, metric)]
    }
}

/// A histogram that takes whole distributions, as media threads report them.
#[derive(Clone)]
pub(super) struct TickHistogram {
    desc: Desc,
    counts: Arc<[AtomicU64; TICK_BOUNDS.len() + 1]>,
    nanos: Arc<AtomicU64>,
}

impl TickHistogram {
    pub(super) fn new(name: &str, help: &str) -> prometheus::Result<Self> {
        Ok(Self { desc: desc(name, help)?, counts: Arc::default(), nanos: Arc::default() })
    }

    pub(super) fn add(&self, counts: &[u64; TICK_BOUNDS.len() + 1], sum: Duration) {
        for (count, more) in self.counts.iter().zip(counts) {
            count.fetch_add(*more, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(sum.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Collector for TickHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut below = 0;
        let mut buckets = Vec::with_capacity(TICK_BOUNDS.len());
        for (place, count) in self.counts.iter().enumerate() {
            below += count.load(Ordering::Relaxed);
            if let Some(bound) = TICK_BOUNDS.get(place) {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound.as_secs_f64());
                bucket.set_cumulative_count(below);
                buckets.push(bucket);
            }
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(below);
        histogram.set_sample_sum(Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        vec![family(&self.desc, MetricType::HISTOGRAM, metric)]
    }
}

fn desc(name: &str, help: &str) -> prometheus::Result<Desc> {
    Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())
}

fn family(desc: &Desc, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}
