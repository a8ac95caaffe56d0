//! What was counted and timed in a run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Times of one kind, to three digits.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are those of a histogram"))
    }
}

impl Latency {
    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1));
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of all took at most; `None` where there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_micros(self.0.value_at_quantile(share)))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_micros(self.0.max()))
    }
}

/// What was sent again, for nothing had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retransmissions {
    /// INVITE.
    pub invite: u64,
    /// BYE and CANCEL.
    pub bye: u64,
    /// REGISTER.
    pub register: u64,
    /// Final responses to INVITE.
    pub response: u64,
}

impl Retransmissions {
    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.invite + self.bye + self.register + self.response
    }
}

/// Counts and times of a run. Of calls, those of our callers are meant; where none are ours, those that were answered.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Begun.
    pub calls: u64,
    /// Ended as expected.
    pub succeeded: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Neither, when the run was broken off.
    pub abandoned: u64,
    /// Why calls failed.
    pub failures: BTreeMap<String, u64>,
    /// Not begun, for there were as many as allowed.
    pub capped: u64,
    /// Begun later after their time than the plan has it.
    pub late: u64,
    /// The latest.
    pub latest: Duration,
    /// INVITEs that our callees got, without repeated ones.
    pub arrived: u64,
    /// Challenges that were answered.
    pub challenges: u64,
    /// What we sent again.
    pub retransmissions: Retransmissions,
    /// What came again.
    pub repeated: u64,
    /// What belongs to a call that is over.
    pub after_end: u64,
    /// What belongs to no call.
    pub unmatched: u64,
    /// What is no SIP message, or one that cannot be relied upon.
    pub malformed: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// From the time at which the INVITE was to be sent to the final response that was expected.
    pub setup: Latency,
    /// The same to the first provisional response other than 100.
    pub ringing: Latency,
    /// From BYE to its response.
    pub bye: Latency,
    /// Registrations that succeeded, from the time at which the first REGISTER was to be sent to its 2xx.
    pub register: Latency,
    /// Why registrations failed.
    pub unregistered: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn fail(&mut self, why: &Failure) {
        self.failed += 1;
        *self.failures.entry(why.label()).or_default() += 1;
    }

    pub(super) fn late_by(&mut self, late: Duration, tolerance: Duration) {
        self.latest = self.latest.max(late);
        self.late += u64::from(late > tolerance);
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another final response than expected.
    Status(u16),
    /// No final response in 32 s.
    NoAnswer,
    /// A final response to BYE that is no 2xx.
    ByeStatus(u16),
    /// None in 32 s.
    ByeNoAnswer,
    /// The other side hung up first.
    HungUp,
    /// A callee waited 32 s for an ACK.
    NoAck,
    /// A check.
    CallInfo,
    /// A check.
    SessionId,
    /// There was no connection.
    Connection,
}

impl Failure {
    fn label(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::NoAnswer => "no_answer".to_owned(),
            Self::ByeStatus(status) => format!("bye_{status}"),
            Self::ByeNoAnswer => "bye_no_answer".to_owned(),
            Self::HungUp => "hung_up".to_owned(),
            Self::NoAck => "no_ack".to_owned(),
            Self::CallInfo => "call_info".to_owned(),
            Self::SessionId => "session_id".to_owned(),
            Self::Connection => "connection".to_owned(),
        }
    }
}

/// In microseconds; all that is waited for takes less.
const LONGEST: u64 = 600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_to_three_digits_and_none_where_nothing_was_timed() {
        let mut latency = Latency::default();
        assert_eq!((latency.quantile(0.5), latency.max()), (None, None));
        (1..=1_000).for_each(|number| latency.record(Duration::from_micros(number * 100)));
        let median = latency.quantile(0.5).unwrap();
        assert!(median.abs_diff(Duration::from_millis(50)) < Duration::from_micros(100), "{median:?}");
        assert!(latency.max().unwrap() >= Duration::from_millis(100));
        latency.record(Duration::MAX);
        assert_eq!(latency.count(), 1_001);
    }
}
