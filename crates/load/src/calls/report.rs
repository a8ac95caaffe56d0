//! What a run came to: the verdict, a table for reading, JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Role;
use super::requirement::{QUANTILES, Requirement};
use super::tally::{Latency, Tally};

/// Processor time that a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processor {
    /// Of the whole process, from the first registration or call to the last.
    pub user: Duration,
    /// The same, in the kernel.
    pub system: Duration,
    /// Of the thread that does the work while calls were begun, as a share of that time; `None` where that was too short
    /// to tell.
    pub share: Option<f64>,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// Counts and times.
    pub tally: Tally,
    /// The calls a second that were asked for.
    pub asked: f64,
    /// How late a call may begin.
    pub tolerance: Duration,
    /// For how long calls were begun.
    pub time: Duration,
    /// Which sides were ours.
    pub role: Role,
    /// The transport as metrics name it.
    pub transport: &'static str,
    /// What decided who called whom.
    pub seed: u64,
    /// How many users there were.
    pub users: usize,
    /// How long calls were held.
    pub hold: Duration,
    /// Whether users had credentials.
    pub digest: bool,
    /// True where it was broken off.
    pub interrupted: bool,
    /// Processor time.
    pub processor: Processor,
    /// Datagrams that the kernel dropped at our sockets.
    pub kernel_drops: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Connections of callers that were lost.
    pub lost_connections: u64,
    /// What it must come to.
    pub requirements: Vec<Requirement>,
}

/// What is said of a run in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that was required was met.
    Pass,
    /// Not all was.
    Missed,
    /// The generator itself was too slow: nothing is said of the server.
    Invalid,
}

impl Verdict {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Missed => 1,
            Self::Invalid => 3,
        }
    }

    /// The verdict as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Missed => "missed",
            Self::Invalid => "invalid",
        }
    }
}

impl Report {
    /// Calls that were begun a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.tally.calls as f64 / seconds } else { 0.0 }
    }

    /// Why nothing is to be concluded from the run; empty where it is valid.
    #[must_use]
    pub fn invalid(&self) -> Vec<String> {
        let tally = &self.tally;
        let mut reasons = Vec::new();
        let begun = tally.calls + tally.capped;
        if tally.late as f64 > begun as f64 * LATE_SHARE {
            reasons.push(format!(
                "{} of {begun} calls began more than {:?} late, the latest by {:.1} ms: this generator is too slow",
                tally.late,
                self.tolerance,
                tally.latest.as_secs_f64() * 1e3
            ));
        }
        if tally.capped > 0 {
            reasons.push(format!("{} calls were not begun, for --concurrency was reached", tally.capped));
        }
        if self.kernel_drops > 0 {
            reasons.push(format!(
                "the kernel dropped {} datagrams at this generator's sockets (it keeps more where net.core.rmem_max is larger)",
                self.kernel_drops
            ));
        }
        if self.unsent > 0 {
            reasons.push(format!("{} messages could not be sent", self.unsent));
        }
        if let Some(share) = self.processor.share.filter(|share| *share > BUSY) {
            reasons.push(format!("this generator took {:.0} % of its core", share * 100.0));
        }
        reasons
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.invalid().is_empty() {
            return Verdict::Invalid;
        }
        let met = self.requirements.iter().all(|requirement| requirement.look(self).1);
        if met && self.tally.unregistered.is_empty() { Verdict::Pass } else { Verdict::Missed }
    }

    /// Processor time for each call.
    #[must_use]
    pub fn per_call(&self) -> Option<Duration> {
        let calls = u32::try_from(self.tally.calls).ok().filter(|calls| *calls > 0)?;
        Some((self.processor.user + self.processor.system) / calls)
    }

    /// The report as JSON; fields are added, never taken away, within a `version`.
    #[must_use]
    pub fn json(&self) -> Value {
        let tally = &self.tally;
        let requirements = self.requirements.iter().map(|requirement| {
            let (found, met) = requirement.look(self);
            json!({ "text": requirement.to_string(), "found": found, "met": met })
        });
        json!({
            "version": 1,
            "verdict": self.verdict().as_str(),
            "invalid": self.invalid(),
            "requirements": requirements.collect::<Vec<_>>(),
            "interrupted": self.interrupted,
            "plan": {
                "role": self.role.as_str(),
                "transport": self.transport,
                "rate": self.asked,
                "hold_s": self.hold.as_secs_f64(),
                "users": self.users,
                "digest": self.digest,
                "seed": self.seed,
            },
            "seconds": self.time.as_secs_f64(),
            "rate": self.rate(),
            "calls": tally.calls,
            "succeeded": tally.succeeded,
            "failed": tally.failed,
            "abandoned": tally.abandoned,
            "failures": tally.failures,
            "arrived": tally.arrived,
            "capped": tally.capped,
            "late": tally.late,
            "latest_ms": millis(tally.latest),
            "challenges": tally.challenges,
            "retransmissions": tally.retransmissions.sum(),
            "retransmitted": {
                "invite": tally.retransmissions.invite,
                "bye": tally.retransmissions.bye,
                "register": tally.retransmissions.register,
                "response": tally.retransmissions.response,
            },
            "repeated": tally.repeated,
            "after_end": tally.after_end,
            "unmatched": tally.unmatched,
            "malformed": tally.malformed,
            "sent": tally.sent,
            "received": tally.received,
            "kernel_drops": self.kernel_drops,
            "unsent": self.unsent,
            "lost_connections": self.lost_connections,
            "unregistered": tally.unregistered,
            "setup_ms": latency(&tally.setup),
            "ringing_ms": latency(&tally.ringing),
            "bye_ms": latency(&tally.bye),
            "register_ms": latency(&tally.register),
            "cpu": {
                "user_s": self.processor.user.as_secs_f64(),
                "system_s": self.processor.system.as_secs_f64(),
                "per_call_us": self.per_call().map(|time| time.as_secs_f64() * 1e6),
                "share": self.processor.share,
            },
        })
    }
}

fn latency(latency: &Latency) -> Value {
    let mut fields = serde_json::Map::new();
    fields.insert("count".to_owned(), latency.count().into());
    for (name, share) in QUANTILES {
        fields.insert(name.to_owned(), latency.quantile(share).map(millis).into());
    }
    fields.insert("max".to_owned(), latency.max().map(millis).into());
    Value::Object(fields)
}

/// To the microsecond, which is all that is known.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let why = |failures: &BTreeMap<String, u64>| {
            let causes: Vec<_> = failures.iter().map(|(cause, count)| format!("{count} × {cause}")).collect();
            if causes.is_empty() { String::new() } else { format!("  ({})", causes.join(", ")) }
        };
        writeln!(f, "calls            {:>10}  {:.1} a second, {:.1} asked for", tally.calls, self.rate(), self.asked)?;
        writeln!(f, "succeeded        {:>10}", tally.succeeded)?;
        writeln!(f, "failed           {:>10}{}", tally.failed, why(&tally.failures))?;
        let seldom = [
            ("abandoned", tally.abandoned),
            ("not begun", tally.capped),
            ("repeated", tally.repeated),
            ("after the end", tally.after_end),
            ("of no call", tally.unmatched),
            ("malformed", tally.malformed),
            ("challenges", tally.challenges),
            ("connections lost", self.lost_connections),
        ];
        for (name, count) in seldom.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "{name:<17}{count:>10}")?;
        }
        let sent = &tally.retransmissions;
        writeln!(
            f,
            "retransmissions  {:>10}  INVITE {}, BYE {}, REGISTER {}, responses {}",
            sent.sum(),
            sent.invite,
            sent.bye,
            sent.register,
            sent.response
        )?;
        writeln!(f, "late             {:>10}  by at most {:.3} ms", tally.late, millis(tally.latest))?;
        if !tally.unregistered.is_empty() {
            writeln!(
                f,
                "not registered   {:>10}{}",
                tally.unregistered.values().sum::<u64>(),
                why(&tally.unregistered)
            )?;
        }
        let times =
            [("setup", &tally.setup), ("ringing", &tally.ringing), ("bye", &tally.bye), ("register", &tally.register)];
        write!(f, "\n{:<17}{:>10}", "ms", "count")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
        writeln!(f, "{:>10}", "max")?;
        for (name, latency) in times.into_iter().filter(|(_, latency)| latency.count() > 0) {
            write!(f, "{name:<17}{:>10}", latency.count())?;
            for time in QUANTILES.iter().map(|(_, share)| latency.quantile(*share)).chain([latency.max()]) {
                write!(f, "{:>10.3}", time.map_or(0.0, millis))?;
            }
            writeln!(f)?;
        }
        if let Some(time) = self.per_call() {
            let share =
                self.processor.share.map_or(String::new(), |share| format!(", {:.0} % of a core", share * 100.0));
            writeln!(f, "\nthis generator took {:.1} µs a call{share}", time.as_secs_f64() * 1e6)?;
        }
        writeln!(f)?;
        for requirement in &self.requirements {
            let (found, met) = requirement.look(self);
            writeln!(f, "{} {requirement}  ({found})", if met { '✓' } else { '✗' })?;
        }
        self.invalid().iter().try_for_each(|reason| writeln!(f, "! {reason}"))?;
        write!(f, "{}{}", self.verdict().as_str(), if self.interrupted { ", interrupted" } else { "" })
    }
}

/// As long as fewer calls than this begin late, they say nothing of the others.
const LATE_SHARE: f64 = 0.01;
/// A generator that is busier than this waits for its core, and so do the times that it takes.
const BUSY: f64 = 0.97;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::calls) fn report() -> Report {
        Report {
            tally: Tally { calls: 1_000, succeeded: 1_000, ..Tally::default() },
            asked: 100.0,
            tolerance: Duration::from_millis(2),
            time: Duration::from_secs(10),
            role: Role::Both,
            transport: "udp",
            seed: 1,
            users: 2,
            hold: Duration::ZERO,
            digest: false,
            interrupted: false,
            processor: Processor {
                user: Duration::from_millis(30),
                system: Duration::from_millis(20),
                share: Some(0.5),
            },
            kernel_drops: 0,
            unsent: 0,
            lost_connections: 0,
            requirements: vec![Requirement::parse("failed==0").unwrap()],
        }
    }

    #[test]
    fn verdicts_are_about_the_server_only_where_the_generator_was_good() {
        let good = report();
        assert_eq!(good.verdict(), Verdict::Pass);
        let mut missed = report();
        missed.tally.failed = 1;
        assert_eq!(missed.verdict(), Verdict::Missed);
        let unregistered =
            Report { tally: Tally { unregistered: [("403".to_owned(), 1)].into(), ..Tally::default() }, ..report() };
        assert_eq!(unregistered.verdict(), Verdict::Missed);

        let mut some_late = missed.clone();
        some_late.tally.late = 10;
        assert_eq!(some_late.verdict(), Verdict::Missed, "one in a hundred");
        some_late.tally.late = 11;
        let capped = Report { tally: Tally { capped: 1, ..missed.tally.clone() }, ..missed.clone() };
        let dropped = Report { kernel_drops: 1, ..missed.clone() };
        let unsent = Report { unsent: 1, ..missed.clone() };
        let busy = Report { processor: Processor { share: Some(0.98), ..good.processor }, ..missed };
        for invalid in [some_late, capped, dropped, unsent, busy] {
            assert_eq!((invalid.verdict(), invalid.invalid().len()), (Verdict::Invalid, 1));
            assert_eq!(invalid.json()["verdict"], "invalid");
        }
    }

    #[test]
    fn prints_what_was_required_and_what_was_found() {
        let mut report = report();
        report.tally.failed = 2;
        report.tally.failures = [("486".to_owned(), 2)].into();
        report.tally.setup.record(Duration::from_micros(1_500));
        let text = report.to_string();
        assert!(text.contains("failed                    2  (2 × 486)"), "{text}");
        assert!(text.contains("✗ failed==0  (2)") && text.ends_with("missed"), "{text}");
        let json = report.json();
        assert_eq!(json["cpu"]["per_call_us"], 50.0);
        assert_eq!((json["rate"].as_f64(), json["setup_ms"]["p99"].as_f64()), (Some(100.0), Some(1.5)));
        assert!(json["bye_ms"]["p99"].is_null());
    }
}
