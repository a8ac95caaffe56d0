//! What is looked at while a run goes on: its progress on a terminal, and what it takes of the processor.

use std::time::{Duration, Instant};

use cusax_net::clock;
use cusax_net::processor::{self, Usage};
use cusax_sip::Transport;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::calls::report::{Processor, Report};
use crate::calls::requirement::Requirement;
use crate::calls::{Calls, Phase};

pub(super) struct Watch {
    line: ProgressBar,
    next: Instant,
    phase: Phase,
    /// What had been used when calls began, by the process and by this thread, and when that was.
    process: Usage,
    thread: Usage,
    since: Instant,
    /// Of one core, while calls were begun.
    share: Option<f64>,
    /// Calls that had begun when it was last looked.
    calls: u64,
    looked: Instant,
}

/// What the driver counted itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) kernel_drops: u64,
    pub(super) unsent: u64,
    pub(super) lost_connections: u64,
}

impl Watch {
    pub(super) fn new(calls: &Calls) -> Self {
        let plan = calls.plan();
        let expected = plan.calls.or_else(|| {
            let seconds = plan.duration?.as_secs_f64() - plan.ramp.as_secs_f64() / 2.0;
            plan.role.calls().then_some((seconds * plan.rate).max(0.0) as u64)
        });
        // Hidden where standard error is no terminal.
        let line = ProgressBar::with_draw_target(expected, ProgressDrawTarget::stderr());
        let template =
            if expected.is_some() { "{elapsed} {bar:16} {pos}/{len} {wide_msg}" } else { "{elapsed} {pos} {wide_msg}" };
        line.set_style(ProgressStyle::with_template(template).expect("the template is one"));
        let now = clock::now();
        Self {
            line,
            next: now,
            phase: calls.phase(),
            process: used(processor::process()),
            thread: used(processor::thread()),
            since: now,
            share: None,
            calls: 0,
            looked: now,
        }
    }

    /// When it is to be looked again.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn look(&mut self, calls: &Calls, now: Instant) {
        if calls.phase() != self.phase {
            self.enter(calls, now);
        }
        if now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        if self.line.is_hidden() {
            return;
        }
        let tally = calls.tally();
        let begun = tally.calls - self.calls;
        let rate = begun as f64 / now.duration_since(self.looked).as_secs_f64().max(1e-3);
        (self.calls, self.looked) = (tally.calls, now);
        let p99 =
            tally.setup.quantile(0.99).map_or(String::new(), |p99| format!(" · p99 {:.1} ms", p99.as_secs_f64() * 1e3));
        self.line.set_position(tally.calls);
        self.line.set_message(match self.phase {
            Phase::Registering => {
                format!("registering {}/{}", tally.register.count(), calls.plan().users.callers.len())
            }
            Phase::Calling | Phase::Ending | Phase::Over => format!(
                "{rate:.0}/s · {} live · {} failed · {} again · {} late{p99}",
                calls.live(),
                tally.failed,
                tally.retransmissions.sum(),
                tally.late
            ),
        });
    }

    /// Takes note that the run has come to its next part.
    fn enter(&mut self, calls: &Calls, now: Instant) {
        let thread = used(processor::thread());
        if self.phase == Phase::Calling && now.duration_since(self.since) >= SHORTEST {
            let time = now.duration_since(self.since).as_secs_f64();
            self.share = Some(thread.since(self.thread).sum().as_secs_f64() / time);
        }
        self.phase = calls.phase();
        if self.phase == Phase::Calling && calls.plan().calls != Some(0) {
            (self.process, self.thread, self.since) = (used(processor::process()), thread, now);
        }
    }

    pub(super) fn report(mut self, calls: &Calls, losses: Losses, interrupted: bool, all: Vec<Requirement>) -> Report {
        let now = clock::now();
        self.enter(calls, now);
        self.line.finish_and_clear();
        let used = used(processor::process()).since(self.process);
        let (plan, (begun, ended)) = (calls.plan(), calls.times());
        Report {
            tally: calls.tally().clone(),
            asked: plan.rate,
            tolerance: plan.late,
            time: ended.unwrap_or(now).saturating_duration_since(begun),
            role: plan.role,
            transport: match plan.transport {
                Transport::Tcp => "tcp",
                Transport::Tls => "tls",
                Transport::Udp | Transport::Ws | Transport::Wss | Transport::Internal => "udp",
            },
            seed: plan.seed,
            users: plan.users.callers.len() + plan.users.callees.len(),
            hold: plan.hold,
            digest: plan.users.callers.iter().any(|user| user.login.is_some()),
            interrupted,
            processor: Processor { user: used.user, system: used.system, share: self.share },
            kernel_drops: losses.kernel_drops,
            unsent: losses.unsent,
            lost_connections: losses.lost_connections,
            requirements: all,
        }
    }
}

/// Where the system does not say, nothing was used.
fn used(usage: std::io::Result<Usage>) -> Usage {
    usage.unwrap_or_default()
}

const INTERVAL: Duration = Duration::from_millis(250);
/// The shortest time of which a share means something.
const SHORTEST: Duration = Duration::from_millis(500);
