//! The only place that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Reads the wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Reads the wall clock, in microseconds since 1970; 0 where it stands before.
#[must_use]
pub fn unix_micros() -> u64 {
    wall().duration_since(UNIX_EPOCH).ok().and_then(|elapsed| u64::try_from(elapsed.as_micros()).ok()).unwrap_or(0)
}

/// Reads the wall clock, in seconds since 1970; 0 where it stands before.
#[must_use]
pub fn unix_seconds() -> u64 {
    unix_micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_counts_micros_of_the_same_second() {
        let seconds = unix_seconds();
        let micros = unix_micros();
        assert!(seconds > 1_700_000_000, "{seconds} is before 2023");
        assert!(micros / 1_000_000 - seconds <= 1);
    }

    #[test]
    fn monotonic_clock_never_goes_back() {
        let first = now();
        assert!(now() >= first);
    }
}
