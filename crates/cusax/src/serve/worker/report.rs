//! What the SIP thread says of its own work: what lives in it, and how long a request stays.

use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::sip::{Direction, Forwarded, Leg, Method, Report};
use cusax_net::clock;

use super::{Core, Shared};

/// How often the thread says what lives in it.
const EVERY: Duration = Duration::from_secs(1);

/// Says once a second what lives in the thread.
pub(super) async fn tell(core: Shared) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let core = core.borrow();
        let transactions = core.edge.transactions().map(|kinds| kinds.map(|count| count as u64));
        core.telemetry.emit(&Event::SipReport(Report { transactions }));
    }
}

/// True for a request that leaves this process as the copy of one that came in.
pub(super) fn is_forwarded(event: &Event) -> bool {
    let Event::SipMessage(message) = event else { return false };
    let request = message.direction == Direction::Sent && message.status.is_none() && !message.retransmission;
    request && message.leg != Leg::Internal && !matches!(message.method, Method::Ack | Method::Cancel)
}

impl Core {
    /// Settles after messages that were received at that time, and says how long those that were sent on took.
    pub(super) fn settle_received(&mut self, received: Instant) {
        self.forwarded = 0;
        self.settle(received);
        if self.forwarded > 0 {
            let delay = clock::now().saturating_duration_since(received);
            self.telemetry.emit(&Event::SipForwarded(Forwarded { requests: self.forwarded, delay }));
        }
    }
}
