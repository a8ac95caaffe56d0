//! When what is begun: by the clock alone, whatever became of what was begun before (an open loop).

use std::time::{Duration, Instant};

/// A rate that rises in a straight line from nothing, and then stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    rate: f64,
    ramp: f64,
    /// How many, and for how long.
    count: u64,
    duration: f64,
    next: u64,
}

impl Schedule {
    pub(super) fn new(
        begin: Instant,
        rate: f64,
        ramp: Duration,
        count: Option<u64>,
        duration: Option<Duration>,
    ) -> Self {
        let duration = duration.map_or(f64::INFINITY, |duration| duration.as_secs_f64());
        Self { begin, rate, ramp: ramp.as_secs_f64(), count: count.unwrap_or(u64::MAX), duration, next: 0 }
    }

    /// When the next is to begin; `None` after the last.
    pub(super) fn next(&self) -> Option<Instant> {
        let seconds = self.seconds(self.next);
        (self.next < self.count && seconds < self.duration).then(|| self.begin + Duration::from_secs_f64(seconds))
    }

    /// Takes the next: its number and when it was to begin, which is not after `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<(u64, Instant)> {
        let intended = self.next().filter(|intended| *intended <= now)?;
        self.next += 1;
        Some((self.next - 1, intended))
    }

    /// Begins no more.
    pub(super) fn stop(&mut self) {
        self.count = 0;
    }

    fn seconds(&self, number: u64) -> f64 {
        let number = number as f64;
        let in_ramp = self.rate * self.ramp / 2.0;
        if number < in_ramp {
            return (2.0 * self.ramp * number / self.rate).sqrt();
        }
        self.ramp + (number - in_ramp) / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        Instant::now()
    }

    fn all(mut schedule: Schedule, begin: Instant) -> Vec<f64> {
        let mut times = Vec::new();
        while let Some(at) = schedule.next() {
            assert!(schedule.take(at - Duration::from_micros(1)).is_none() || at == begin);
            let (number, intended) = schedule.take(at).unwrap();
            assert_eq!((number, intended), (times.len() as u64, at));
            times.push(at.duration_since(begin).as_secs_f64());
        }
        times
    }

    #[test]
    fn a_rate_is_evenly_spaced_for_its_time_or_its_count() {
        let begin = begin() + Duration::from_secs(1);
        let second = Duration::from_secs(1);
        let times = all(Schedule::new(begin, 4.0, Duration::ZERO, None, Some(second)), begin);
        assert_eq!(times, [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(all(Schedule::new(begin, 4.0, Duration::ZERO, Some(6), None), begin).len(), 6);
        assert_eq!(all(Schedule::new(begin, 4.0, Duration::ZERO, Some(0), None), begin).len(), 0);
    }

    #[test]
    fn a_ramp_begins_half_as_many_as_the_rate_it_leads_to() {
        let begin = begin() + Duration::from_secs(1);
        let times = all(Schedule::new(begin, 100.0, Duration::from_secs(2), None, Some(Duration::from_secs(3))), begin);
        assert_eq!(times.iter().filter(|time| **time < 1.0).count(), 25);
        assert_eq!(times.iter().filter(|time| **time < 2.0 - 1e-6).count(), 100);
        assert_eq!(times.len(), 200);
    }

    #[test]
    fn what_could_not_begin_in_time_keeps_its_time() {
        let begin = begin();
        let mut schedule = Schedule::new(begin, 1_000.0, Duration::ZERO, None, None);
        let late = begin + Duration::from_secs(1);
        let intended = std::iter::from_fn(|| schedule.take(late)).map(|(_, intended)| intended);
        assert_eq!(intended.take(3).last(), Some(begin + Duration::from_millis(2)));
        schedule.stop();
        assert_eq!(schedule.next(), None);
    }
}
