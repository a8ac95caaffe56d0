//! What a run must come to: `setup_p99<50ms`, `failed==0`.

use std::fmt;
use std::time::Duration;

use super::report::Report;
use super::tally::Latency;

/// A figure of the report, a comparison and a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    text: String,
    figure: Figure,
    comparison: Comparison,
    /// Seconds, where the figure is a time.
    value: f64,
}

/// Why text is no requirement, with its place under a caret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  {text}\n  {:at$}^", "")]
pub struct RequirementError {
    what: String,
    text: String,
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Time(Kind, Statistic),
    Count(Count),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Setup,
    Ringing,
    Bye,
    Register,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Quantile(f64),
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Calls,
    Succeeded,
    Failed,
    Abandoned,
    Late,
    Retransmissions,
    Repeated,
    AfterEnd,
    Unmatched,
    Malformed,
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

const KINDS: [(&str, Kind); 4] =
    [("setup", Kind::Setup), ("ringing", Kind::Ringing), ("bye", Kind::Bye), ("register", Kind::Register)];

/// The shares that reports tell, too.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

const COUNTS: [(&str, Count); 11] = [
    ("calls", Count::Calls),
    ("succeeded", Count::Succeeded),
    ("failed", Count::Failed),
    ("abandoned", Count::Abandoned),
    ("late", Count::Late),
    ("retransmissions", Count::Retransmissions),
    ("repeated", Count::Repeated),
    ("after_end", Count::AfterEnd),
    ("unmatched", Count::Unmatched),
    ("malformed", Count::Malformed),
    ("rate", Count::Rate),
];

/// Longer ones first: each is the beginning of another.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

impl Requirement {
    /// Reads one.
    ///
    /// # Errors
    /// [`RequirementError`].
    pub fn parse(text: &str) -> Result<Self, RequirementError> {
        let error = |at: usize, what: &str| RequirementError {
            what: what.to_owned(),
            text: text.to_owned(),
            at: text.get(..at).map_or(at, |before| before.chars().count()),
        };
        let at =
            text.find(['<', '>', '=']).ok_or_else(|| error(text.len(), "a comparison is missing: < <= == >= >"))?;
        let name = text[..at].trim();
        let figure = figure(name)
            .ok_or_else(|| error(text.len() - text.trim_start().len(), &format!("{name:?} is none of {}", names())))?;
        let known = COMPARISONS.into_iter().find(|(sign, _)| text[at..].starts_with(sign));
        let (sign, comparison) = known.ok_or_else(|| error(at, "this is none of < <= == >= >"))?;
        let rest = &text[at + sign.len()..];
        let value_at = text.len() - rest.trim_start().len();
        let written = rest.trim();
        let unit_at = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
        let (number, unit) = written.split_at(unit_at);
        let number: f64 = number.parse().map_err(|_| error(value_at, "a number is missing"))?;
        let value = match figure {
            Figure::Time(..) => {
                let scale = seconds(unit.trim_start());
                number * scale.ok_or_else(|| error(value_at + unit_at, "a time needs a unit: us, ms or s"))?
            }
            Figure::Count(_) if unit.is_empty() => number,
            Figure::Count(_) => return Err(error(value_at + unit_at, "this is counted: it has no unit")),
        };
        Ok(Self { text: text.trim().to_owned(), figure, comparison, value })
    }

    /// What it is about in this report, as it is printed, and whether it is met; what was never timed meets nothing.
    #[must_use]
    pub fn look(&self, report: &Report) -> (String, bool) {
        let tally = &report.tally;
        let found = match self.figure {
            Figure::Time(kind, statistic) => {
                let latency = match kind {
                    Kind::Setup => &tally.setup,
                    Kind::Ringing => &tally.ringing,
                    Kind::Bye => &tally.bye,
                    Kind::Register => &tally.register,
                };
                statistic.of(latency).map(|time| (format!("{:.3} ms", time.as_secs_f64() * 1e3), time.as_secs_f64()))
            }
            Figure::Count(Count::Rate) => Some((format!("{:.1}", report.rate()), report.rate())),
            Figure::Count(count) => {
                let count = match count {
                    Count::Calls | Count::Rate => tally.calls,
                    Count::Succeeded => tally.succeeded,
                    Count::Failed => tally.failed,
                    Count::Abandoned => tally.abandoned,
                    Count::Late => tally.late,
                    Count::Retransmissions => tally.retransmissions.sum(),
                    Count::Repeated => tally.repeated,
                    Count::AfterEnd => tally.after_end,
                    Count::Unmatched => tally.unmatched,
                    Count::Malformed => tally.malformed,
                };
                Some((count.to_string(), count as f64))
            }
        };
        let Some((text, found)) = found else { return ("none".to_owned(), false) };
        let met = match self.comparison {
            Comparison::Less => found < self.value,
            Comparison::AtMost => found <= self.value,
            Comparison::Equal => (found - self.value).abs() < f64::EPSILON,
            Comparison::AtLeast => found >= self.value,
            Comparison::More => found > self.value,
        };
        (text, met)
    }
}

impl Statistic {
    fn of(self, latency: &Latency) -> Option<Duration> {
        match self {
            Self::Quantile(share) => latency.quantile(share),
            Self::Max => latency.max(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn figure(name: &str) -> Option<Figure> {
    if let Some((_, count)) = COUNTS.into_iter().find(|(known, _)| *known == name) {
        return Some(Figure::Count(count));
    }
    let (kind, statistic) = name.rsplit_once('_')?;
    let (_, kind) = KINDS.into_iter().find(|(known, _)| *known == kind)?;
    let quantile = QUANTILES.into_iter().find(|(known, _)| *known == statistic);
    let statistic = match quantile {
        Some((_, share)) => Statistic::Quantile(share),
        None => (statistic == "max").then_some(Statistic::Max)?,
    };
    Some(Figure::Time(kind, statistic))
}

/// All figures, for whoever looks for one.
#[must_use]
pub fn names() -> String {
    let kinds = KINDS.map(|(kind, _)| kind).join("|");
    let quantiles = QUANTILES.map(|(quantile, _)| quantile).join("|");
    format!("{kinds}_{quantiles}|max, {}", COUNTS.map(|(count, _)| count).join(", "))
}

/// Reads a time, such as `50ms`; without a unit it is seconds.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = if unit.is_empty() { "s" } else { unit };
    let (number, scale) = (number.parse::<f64>().ok(), seconds(unit));
    let seconds = number.zip(scale).map(|(number, scale)| number * scale).filter(|seconds| *seconds <= DAY);
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "write a time of at most a day, such as 50ms, 1.5s or 2m".to_owned())
}

fn seconds(unit: &str) -> Option<f64> {
    match unit {
        "us" | "µs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3_600.0),
        _ => None,
    }
}

const DAY: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::report::tests::report;

    fn met(text: &str, report: &Report) -> bool {
        Requirement::parse(text).unwrap().look(report).1
    }

    #[test]
    fn compares_times_and_counts() {
        let mut report = report();
        for millis in 1..=100 {
            report.tally.setup.record(Duration::from_millis(millis));
        }
        report.tally.failed = 3;
        for text in ["setup_p50<51ms", "setup_p50 <= 0.0501 s", "setup_max>=100ms", "failed==3", "failed > 2", "late<1"]
        {
            assert!(met(text, &report), "{text}");
        }
        for text in ["setup_p99<50ms", "setup_p999<99000us", "failed==0", "failed<3", "bye_p50<1s", "bye_p50>0s"] {
            assert!(!met(text, &report), "{text}");
        }
        assert_eq!(Requirement::parse("bye_max<1s").unwrap().look(&report).0, "none");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, at, what) in [
            ("setup_p99", 9, "comparison is missing"),
            ("setup_p98<1ms", 0, "\"setup_p98\" is none of setup|ringing"),
            (" fails==0", 1, "none of"),
            ("failed=0", 6, "none of <"),
            ("failed==", 8, "number is missing"),
            ("failed==-1", 8, "number is missing"),
            ("failed==1ms", 9, "no unit"),
            ("setup_p99<50", 12, "needs a unit"),
            ("setup_p99<50 msec", 12, "needs a unit"),
            ("setup_p99<1.2.3ms", 10, "number"),
        ] {
            let error = Requirement::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{error}");
            assert!(error.what.contains(what), "{error}");
        }
        let caret = Requirement::parse("failed==1ms").unwrap_err().to_string();
        assert_eq!(caret, "this is counted: it has no unit\n  failed==1ms\n           ^");
    }

    #[test]
    fn times_have_units_or_are_seconds() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1.5ms"), Ok(Duration::from_micros(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "ms", "1x", "-1s", "1e3", "25h", "1.1.1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
