//! Users who register before they call (RFC 3261 §10.2).

use std::time::Instant;

use cusax_sip::Message;

use super::common::Common;
use super::number::{ATTEMPTS, Name, Number};
use super::timers::{Due, Pace, Timer};

#[derive(Debug)]
struct Registration {
    begun: Instant,
    attempt: u8,
    over: bool,
    /// The REGISTER with credentials.
    credentials: String,
}

/// One for each caller, in their order.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    all: Vec<Registration>,
    live: usize,
}

impl Registrations {
    /// How many are not over.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Registers the next user.
    pub(super) fn begin(&mut self, intended: Instant, common: &mut Common, now: Instant) {
        let user = self.all.len();
        self.all.push(Registration { begun: intended, attempt: 0, over: false, credentials: String::new() });
        self.live += 1;
        let number = number(user);
        self.send(number, common);
        common.timers.wait(Pace::Other, Timer { at: now, due: Due::Registered, number, round: 0 });
    }

    fn send(&self, number: Number, common: &mut Common) {
        let Some(registration) = self.all.get(number.slot as usize) else { return };
        let Some(flow) = common.registering(number.serial).map(|draft| draft.flow) else { return };
        common.send(|common, out| {
            common.register(number, number.slot as usize, registration.attempt, &registration.credentials, out);
            flow
        });
    }

    pub(super) fn handle_response(
        &mut self,
        name: Name,
        status: u16,
        response: &Message,
        common: &mut Common,
        now: Instant,
    ) {
        let user = name.number.slot as usize;
        let Some(registration) = self.all.get_mut(user).filter(|registration| !registration.over) else {
            common.tally.after_end += 1;
            return;
        };
        if registration.attempt != name.attempt {
            common.tally.repeated += 1;
            return;
        }
        match status {
            ..200 => {}
            200..300 => {
                common.tally.register.record(now.saturating_duration_since(registration.begun));
                registration.over = true;
                self.live -= 1;
            }
            401 | 407 if registration.attempt + 1 < ATTEMPTS => {
                let uri = common.registrar(user);
                let line = common.plan.users.callers[user]
                    .login
                    .as_ref()
                    .and_then(|login| common.keys.answer(user, login, response, "REGISTER", &uri, CNONCE));
                match line {
                    Some(line) => {
                        (registration.credentials, registration.attempt) = (line, name.attempt + 1);
                        common.tally.challenges += 1;
                        self.send(name.number, common);
                    }
                    None => self.fail(name.number, status.to_string(), common),
                }
            }
            _ => self.fail(name.number, status.to_string(), common),
        }
    }

    pub(super) fn handle_timer(&mut self, timer: Timer, common: &mut Common) {
        let open = self.all.get(timer.number.slot as usize).is_some_and(|registration| !registration.over);
        if !open {
            return;
        }
        if !common.timers.wait(Pace::Other, Timer { round: timer.round + 1, ..timer }) {
            self.fail(timer.number, "no_answer".to_owned(), common);
        } else if !common.is_reliable() && timer.round < 10 {
            common.tally.retransmissions.register += 1;
            self.send(timer.number, common);
        }
    }

    fn fail(&mut self, number: Number, why: String, common: &mut Common) {
        if let Some(registration) = self.all.get_mut(number.slot as usize) {
            registration.over = true;
            self.live -= 1;
            *common.tally.unregistered.entry(why).or_default() += 1;
        }
    }
}

fn number(user: usize) -> Number {
    Number { slot: u32::try_from(user).unwrap_or(u32::MAX), serial: user as u64 }
}

/// Each REGISTER has a nonce of the server's own; nothing is gained by another of ours.
const CNONCE: &str = "636c6f6164";
