//! Many calls at a given rate, without IO: callers and callees in one, and what became of each call.
//!
//! Calls begin by the clock alone, whatever became of earlier ones (an open loop), and times are counted from when a call
//! was *to* begin. All that a message must say of its call is in its Call-ID, tags and branch (`number`), so that none
//! is looked up by a text; memory is used again and again.

mod callee;
mod caller;
mod common;
mod credentials;
pub mod driver;
mod number;
mod outbox;
mod plan;
mod registrations;
pub mod report;
mod request;
pub mod requirement;
mod response;
mod schedule;
mod tally;
mod timers;
mod users;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_sip::{ConnectionId, Flow, Message, Method};

pub use outbox::Transmit;
pub use plan::{CallInfo, End, Ends, Expect, Plan, Register, Role};
pub use tally::{Latency, Retransmissions, Tally};
pub use users::{AccountsError, Pattern, PatternError, User, Users, account, accounts};

use callee::{Callee, respond};
use caller::Caller;
use common::Common;
use number::{Name, Purpose};
use registrations::Registrations;
use schedule::Schedule;
use timers::Due;

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Users register.
    Registering,
    /// Calls are begun, or taken.
    Calling,
    /// No more are; those that are not over go on.
    Ending,
    /// All is over.
    Over,
}

/// A run.
#[derive(Debug)]
pub struct Calls {
    common: Common,
    caller: Caller,
    callee: Callee,
    registrations: Registrations,
    /// When users register, and then when calls begin.
    schedule: Schedule,
    phase: Phase,
    /// When the first call was to begin, and when no more were begun.
    begun: Instant,
    ended: Option<Instant>,
    /// When what is not over then is given up.
    patience: Option<Instant>,
}

impl Calls {
    /// Begins a run on these ends. `run` is in the names of all its calls: another run's messages are not taken for its own.
    #[must_use]
    pub fn new(plan: Plan, ends: &Ends, run: u32, now: Instant) -> Self {
        let common = Common::new(plan, ends, run);
        let users = common.plan.users.callers.len() as u64;
        let (phase, schedule) = match common.plan.register {
            Some(register) => {
                (Phase::Registering, Schedule::new(now, register.rate, Duration::ZERO, Some(users), None))
            }
            None => (Phase::Calling, calling(&common.plan, now)),
        };
        Self {
            common,
            caller: Caller::default(),
            callee: Callee::default(),
            registrations: Registrations::default(),
            schedule,
            phase,
            begun: now,
            ended: None,
            patience: None,
        }
    }

    /// Takes a message that came on a way.
    pub fn handle_message(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        // Keep-alives.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        self.common.tally.received += 1;
        match Message::parse(bytes) {
            Ok(message) if message.defect().is_none() => match message.status() {
                Some(status) => self.handle_response(status, &message, now),
                None => self.handle_request(&message, flow, now),
            },
            Ok(_) | Err(_) => self.common.tally.malformed += 1,
        }
    }

    fn handle_response(&mut self, status: u16, message: &Message, now: Instant) {
        let name = message.top_via().and_then(|via| self.common.names.read_branch(via.branch()));
        match name {
            Some(name) if name.purpose == Purpose::Register => {
                self.registrations.handle_response(name, status, message, &mut self.common, now);
            }
            Some(name) if self.common.plan.role.calls() => {
                self.caller.handle_response(name, status, message, &mut self.common, now);
            }
            Some(_) | None => self.common.tally.unmatched += 1,
        }
    }

    fn handle_request(&mut self, message: &Message, flow: Flow, now: Instant) {
        let common = &mut self.common;
        let name = common.names.read(message.to_tag().as_bytes());
        match (message.method(), name) {
            // The other side wants to change a call that is up; it stays as it is (RFC 3261 §14.2).
            (Method::Invite, Some(_)) => respond(488, message, flow, common),
            (Method::Invite, None) if common.plan.role.answers() => {
                if let Some((number, flaw)) = self.callee.handle_invite(message, flow, common, now) {
                    self.caller.mark(number, flaw);
                }
            }
            (Method::Ack, Some(Name { purpose: Purpose::Answer, number, .. })) => {
                self.callee.handle_ack(number, common, now);
            }
            (Method::Bye, Some(Name { purpose: Purpose::Answer, number, .. })) => {
                self.callee.handle_bye(number, message, flow, common, now);
            }
            (Method::Bye, Some(Name { purpose: Purpose::Call, number, .. })) => {
                respond(200, message, flow, common);
                self.caller.handle_bye(number, common);
            }
            (Method::Cancel, _) => self.callee.handle_cancel(message, flow, common, now),
            (Method::Ack, _) => common.tally.unmatched += 1,
            // Servers ask whether somebody is there.
            (Method::Options, _) => stray(200, message, flow, common),
            (Method::Bye, _) => stray(481, message, flow, common),
            (Method::Invite, _) => stray(480, message, flow, common),
            _ => stray(501, message, flow, common),
        }
    }

    /// Begins what is to begin, and does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.common.timers.pop(now) {
            match timer.due {
                Due::Answer | Due::HangUp | Due::Ended | Due::Cancelled => {
                    self.caller.handle_timer(timer, &mut self.common, now)
                }
                Due::PickUp | Due::Ack => self.callee.handle_timer(timer, &mut self.common, now),
                Due::Registered => self.registrations.handle_timer(timer, &mut self.common),
            }
        }
        self.callee.forget(now);
        for _ in 0..BURST {
            let Some((serial, intended)) = self.schedule.take(now) else { break };
            match self.phase {
                Phase::Registering => self.registrations.begin(intended, &mut self.common, now),
                Phase::Calling if self.common.plan.role.calls() => {
                    let late = now.saturating_duration_since(intended);
                    self.common.tally.late_by(late, self.common.plan.late);
                    self.caller.begin(serial, intended, &mut self.common, now);
                }
                Phase::Calling | Phase::Ending | Phase::Over => {}
            }
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        let idle = self.schedule.next().is_none();
        if self.phase == Phase::Registering && idle && self.registrations.live() == 0 {
            (self.phase, self.begun) = (Phase::Calling, now);
            self.schedule = calling(&self.common.plan, now);
            if !self.common.tally.unregistered.is_empty() {
                self.schedule.stop();
            }
        }
        let done = match self.common.plan.role {
            Role::Both | Role::Caller => self.schedule.next().is_none(),
            Role::Callee => {
                let plan = &self.common.plan;
                let enough = plan.calls.is_some_and(|calls| self.common.tally.arrived >= calls);
                enough || plan.duration.is_some_and(|duration| now >= self.begun + duration)
            }
        };
        if self.phase == Phase::Calling && (done || !self.common.tally.unregistered.is_empty()) {
            (self.phase, self.ended) = (Phase::Ending, Some(now));
        }
        let live = if self.common.plan.role.calls() { self.caller.live() } else { self.callee.live() };
        let given_up = self.patience.is_some_and(|patience| patience <= now);
        if (self.phase == Phase::Ending && live == 0) || given_up {
            self.caller.abandon(&mut self.common);
            self.callee.abandon(&mut self.common);
            self.phase = Phase::Over;
        }
    }

    /// Begins no more, hangs up what is up, and gives what is not over two seconds.
    pub fn stop(&mut self, now: Instant) {
        if self.patience.is_none() {
            self.schedule.stop();
            self.patience = Some(now + PATIENCE);
            self.caller.hang_up_all(&mut self.common, now);
            if self.phase != Phase::Over {
                (self.phase, self.ended) = (Phase::Ending, self.ended.or(Some(now)));
            }
        }
    }

    /// The connection of one of the callers' ends is gone: the calls on it fail, and so do those that begin before there
    /// [is another](Self::handle_opened).
    pub fn handle_closed(&mut self, end: usize) {
        let connection = self.common.callers.get_mut(end).and_then(|draft| draft.flow.connection.take());
        if let Some(connection) = connection {
            self.caller.handle_closed(connection, &mut self.common);
        }
    }

    /// Calls that begin on this end from now on use this connection.
    pub fn handle_opened(&mut self, end: usize, connection: ConnectionId) {
        if let Some(draft) = self.common.callers.get_mut(end) {
            draft.flow.connection = Some(connection);
        }
    }

    /// The next message to send; after each `handle_*`, and [`stop`](Self::stop), all are to be taken.
    pub fn poll_output(&mut self) -> Option<Transmit<'_>> {
        self.common.outbox.poll()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let end = match (self.phase, self.common.plan.role, self.common.plan.duration) {
            (Phase::Calling, Role::Callee, Some(duration)) => Some(self.begun + duration),
            _ => None,
        };
        [self.schedule.next(), self.common.timers.next(), self.patience, end].into_iter().flatten().min()
    }

    /// What the run is at.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// When the first call was to begin, and when no more were begun.
    #[must_use]
    pub const fn times(&self) -> (Instant, Option<Instant>) {
        (self.begun, self.ended)
    }

    /// Calls that are not over.
    #[must_use]
    pub const fn live(&self) -> usize {
        if self.common.plan.role.calls() { self.caller.live() } else { self.callee.live() }
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.common.plan
    }

    /// What was counted and timed so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.common.tally
    }
}

/// Answers a request that belongs to no call.
fn stray(status: u16, request: &Message, flow: Flow, common: &mut Common) {
    common.tally.unmatched += 1;
    respond(status, request, flow, common);
}

fn calling(plan: &Plan, now: Instant) -> Schedule {
    let count = if plan.role.calls() { plan.calls } else { Some(0) };
    Schedule::new(now, plan.rate, plan.ramp, count, plan.duration)
}

/// Calls that are begun before it is looked again what has come: each brings three messages to either side, and a batch of
/// 64 must hold them, or a generator that was held up would drown in what it makes up for.
const BURST: usize = 16;
/// How long what is not over may go on once a run is broken off.
const PATIENCE: Duration = Duration::from_secs(2);
