//! Families whose children are made at zero and found by the index of a closed enum.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// A label and all its values.
pub(super) type Label<'a> = (&'a str, Vec<&'a str>);

/// A label whose values are those of a closed enum.
macro_rules! label {
    ($name:literal, $closed:ty) => {
        ($name, <$closed>::ALL.iter().map(|value| value.as_str()).collect::<Vec<&str>>())
    };
}
pub(super) use label;

/// Every child of a family, in the order of its labels' values.
pub(super) struct Children<M, const LABELS: usize> {
    widths: [usize; LABELS],
    children: Box<[M]>,
}

impl<M, const LABELS: usize> Children<M, LABELS> {
    pub(super) fn new(labels: &[Label<'_>; LABELS], child: impl Fn(&[&str]) -> M) -> Self {
        let mut rows: Vec<Vec<&str>> = vec![Vec::new()];
        for (_, values) in labels {
            rows =
                rows.iter().flat_map(|row| values.iter().map(|value| [row.as_slice(), &[*value]].concat())).collect();
        }
        Self {
            widths: labels.each_ref().map(|(_, values)| values.len()),
            children: rows.iter().map(|row| child(row)).collect(),
        }
    }

    /// The child of these values, each given as its place among the values of its label.
    pub(super) fn at(&self, places: [usize; LABELS]) -> &M {
        let row = places.iter().zip(self.widths).fold(0, |row, (place, width)| row * width + place);
        &self.children[row]
    }
}

/// Makes families and registers them.
pub(super) struct Families<'a> {
    pub(super) registry: &'a Registry,
}

impl Families<'_> {
    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    pub(super) fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::new(name, help))
    }

    pub(super) fn counters<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: &[Label<'_>; N],
    ) -> Children<IntCounter, N> {
        let family = self.register(IntCounterVec::new(Opts::new(name, help), &names(labels)));
        Children::new(labels, |values| family.with_label_values(values))
    }

    pub(super) fn gauges<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: &[Label<'_>; N],
    ) -> Children<IntGauge, N> {
        let family = self.register(IntGaugeVec::new(Opts::new(name, help), &names(labels)));
        Children::new(labels, |values| family.with_label_values(values))
    }

    pub(super) fn histograms<const N: usize>(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: &[Label<'_>; N],
    ) -> Children<Histogram, N> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let family = self.register(HistogramVec::new(options, &names(labels)));
        Children::new(labels, |values| family.with_label_values(values))
    }

    /// Registers a family; its name, help and labels are constants of this crate, told apart by a test.
    pub(super) fn register<C: Collector + Clone + 'static>(&self, family: prometheus::Result<C>) -> C {
        let family = family.expect("names and labels are well-formed constants");
        self.registry.register(Box::new(family.clone())).expect("every family is registered once");
        family
    }
}

fn names<'a, const N: usize>(labels: &[Label<'a>; N]) -> [&'a str; N] {
    labels.each_ref().map(|(name, _)| *name)
}
