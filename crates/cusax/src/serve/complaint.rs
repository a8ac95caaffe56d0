//! Saying that something fails without flooding the log.

use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use cusax_telemetry::Telemetry;

/// What fails a thousand times in this time is one fault: metrics count the thousand.
const QUIET: Duration = Duration::from_secs(60);

/// One thing that may fail again and again.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    said: Option<Instant>,
}

impl Complaint {
    /// Says that it failed, unless that was said less than a minute ago.
    pub(super) fn say(&mut self, telemetry: &Telemetry, detail: impl FnOnce() -> String, now: Instant) {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < QUIET) {
            return;
        }
        self.said = Some(now);
        telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail: detail() }));
    }
}

#[cfg(test)]
mod tests {
    use cusax_net::clock;
    use cusax_telemetry::{Config, Output};

    use super::*;

    #[tokio::test]
    async fn a_storm_is_one_line_a_minute() {
        let mut config = Config::new("edge-1", [7; 32], clock::wall);
        config.output = Output::Writer(Box::new(std::io::sink()));
        let (telemetry, _guard) = Telemetry::new(config);
        let mut complaint = Complaint::default();
        let (start, mut said) = (clock::now(), 0);
        for second in 0..125 {
            complaint.say(
                &telemetry,
                || {
                    said += 1;
                    String::new()
                },
                start + Duration::from_secs(second),
            );
        }
        assert_eq!(said, 3);
        assert!(telemetry.metrics_text().contains("cusax_lifecycle_total{stage=\"degraded\"} 3"));
    }
}
