//! Those who call: INVITE, ACK, hold, BYE (RFC 3261 §13.2, §15.1.1).

use std::time::Instant;

use cusax_sip::{ConnectionId, Flow, Message};

use super::common::{Common, has_session, put};
use super::number::{ATTEMPTS, COOKIE, Name, Number, Purpose};
use super::request::{Dialled, EMPTY};
use super::tally::Failure;
use super::timers::{Due, Pace, Timer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Nothing has come for the INVITE.
    Calling,
    /// A provisional response has.
    Proceeding,
    /// Answered.
    Up,
    /// The BYE waits for its response.
    Leaving,
    /// The CANCEL was sent; the INVITE waits for its final response.
    Cancelling,
}

#[derive(Debug)]
struct Call {
    serial: u64,
    state: State,
    /// How often the INVITE, and later the BYE, was made anew.
    attempt: u8,
    rang: bool,
    /// What is wrong with it already.
    flaw: Option<Failure>,
    /// True where it has failed, and is only seen to its end.
    counted: bool,
    /// When it was to begin.
    intended: Instant,
    /// When its BYE was sent.
    left: Instant,
    /// The INVITE where it has credentials; from the answer on, the BYE.
    stored: Vec<u8>,
    flow: Flow,
}

#[derive(Debug, Default)]
pub(super) struct Caller {
    calls: Vec<Call>,
    free: Vec<u32>,
    live: usize,
}

impl Caller {
    /// How many calls are not over.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    pub(super) fn begin(&mut self, serial: u64, intended: Instant, common: &mut Common, now: Instant) {
        if self.live >= common.plan.concurrency {
            common.tally.capped += 1;
            return;
        }
        common.tally.calls += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            let flow = common.callers[0].flow;
            let state = State::Free;
            let call = Call {
                serial,
                state,
                attempt: 0,
                rang: false,
                flaw: None,
                counted: false,
                intended,
                left: intended,
                stored: Vec::new(),
                flow,
            };
            self.calls.push(call);
            u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX)
        });
        self.live += 1;
        let number = Number { slot, serial };
        let call = &mut self.calls[slot as usize];
        (call.serial, call.state, call.attempt, call.intended) = (serial, State::Calling, 0, intended);
        (call.rang, call.flaw, call.counted) = (false, None, false);
        let dialled = common.dialled(number);
        call.flow = common.callers[dialled.end].flow;
        if common.is_reliable() && call.flow.connection.is_none() {
            self.end(number, Some(Failure::Connection), common);
            return;
        }
        common.send(|common, out| {
            common.invite(dialled, 0, "", out);
            common.callers[dialled.end].flow
        });
        common.timers.wait(Pace::Invite, Timer { at: now, due: Due::Answer, number, round: 0 });
    }

    fn call(&mut self, number: Number) -> Option<&mut Call> {
        let call = self.calls.get_mut(number.slot as usize)?;
        (call.serial == number.serial && call.state != State::Free).then_some(call)
    }

    /// Takes a response to an INVITE, a CANCEL or a BYE of ours.
    pub(super) fn handle_response(
        &mut self,
        name: Name,
        status: u16,
        response: &Message,
        common: &mut Common,
        now: Instant,
    ) {
        match name.purpose {
            Purpose::Bye => self.handle_bye_response(name, status, response, common, now),
            _ if response.method() == cusax_sip::Method::Cancel => {}
            Purpose::Invite => self.handle_invite_response(name, status, response, common, now),
            Purpose::Call | Purpose::Answer | Purpose::Ack | Purpose::Register => common.tally.unmatched += 1,
        }
    }

    fn handle_invite_response(
        &mut self,
        name: Name,
        status: u16,
        response: &Message,
        common: &mut Common,
        now: Instant,
    ) {
        let dialled = common.dialled(name.number);
        // A final response is acknowledged whatever became of the call, or it would be sent again and again.
        match status {
            200..300 => common.send(|common, out| common.in_dialog(dialled, Purpose::Ack, name.attempt, response, out)),
            300.. => common.send(|common, out| {
                common.ack_refusal(dialled, name.attempt, response, out);
                common.callers[dialled.end].flow
            }),
            _ => {}
        }
        let Some(call) = self.call(name.number) else {
            common.tally.after_end += 1;
            return;
        };
        let waits = matches!(call.state, State::Calling | State::Proceeding | State::Cancelling);
        if !waits || call.attempt != name.attempt {
            common.tally.repeated += u64::from(status >= 200);
            return;
        }
        let cancelling = call.state == State::Cancelling;
        match status {
            ..200 => {
                if call.state == State::Calling {
                    call.state = State::Proceeding;
                }
                if status > 100 && !call.rang {
                    call.rang = true;
                    common.tally.ringing.record(now.saturating_duration_since(call.intended));
                }
            }
            401 | 407 if !cancelling && status != common.plan.expect.status => {
                self.answer_challenge(dialled, status, response, common);
            }
            200..300 => {
                if !cancelling {
                    common.tally.setup.record(now.saturating_duration_since(call.intended));
                    if status != common.plan.expect.status {
                        call.flaw.get_or_insert(Failure::Status(status));
                    }
                    if common.plan.expect.session_id && !has_session(response) {
                        call.flaw.get_or_insert(Failure::SessionId);
                    }
                }
                call.stored.clear();
                call.attempt = 0;
                call.flow = common.in_dialog(dialled, Purpose::Bye, 0, response, &mut call.stored);
                call.state = State::Up;
                if cancelling || common.plan.hold.is_zero() {
                    self.hang_up(name.number, common, now);
                } else {
                    common.timers.hold(Timer { at: now, due: Due::HangUp, number: name.number, round: 0 });
                }
            }
            _ => {
                let expected = status == common.plan.expect.status;
                if expected && !cancelling {
                    common.tally.setup.record(now.saturating_duration_since(call.intended));
                }
                self.end(name.number, (!expected).then_some(Failure::Status(status)), common);
            }
        }
    }

    /// Sends the INVITE again, with credentials; the call ends where that is not possible.
    fn answer_challenge(&mut self, dialled: Dialled, status: u16, response: &Message, common: &mut Common) {
        let Some(call) = self.call(dialled.number) else { return };
        // A second challenge is a refusal, but for one that says that the nonce was too old.
        let again = call.attempt == 0 || (call.attempt + 1 < ATTEMPTS && is_stale(response));
        let line = again.then(|| credentials(common, dialled, "INVITE", None, response)).flatten();
        let Some(line) = line else {
            self.end(dialled.number, Some(Failure::Status(status)), common);
            return;
        };
        call.attempt += 1;
        call.state = State::Calling;
        call.stored.clear();
        common.invite(dialled, call.attempt, &line, &mut call.stored);
        common.tally.challenges += 1;
        // The timer that runs from the first INVITE goes on: 32 s are the caller's patience for all of it.
        send_stored(call, common);
    }

    /// Sends the BYE.
    fn hang_up(&mut self, number: Number, common: &mut Common, now: Instant) {
        let Some(call) = self.call(number).filter(|call| call.state == State::Up) else { return };
        (call.state, call.left) = (State::Leaving, now);
        send_stored(call, common);
        common.timers.wait(Pace::Other, Timer { at: now, due: Due::Ended, number, round: 0 });
    }

    fn handle_bye_response(&mut self, name: Name, status: u16, response: &Message, common: &mut Common, now: Instant) {
        let Some(call) = self.call(name.number).filter(|call| call.state == State::Leaving) else {
            common.tally.after_end += 1;
            return;
        };
        if call.attempt != name.attempt {
            common.tally.repeated += 1;
            return;
        }
        let left = call.left;
        match status {
            ..200 => {}
            200..300 => {
                common.tally.bye.record(now.saturating_duration_since(left));
                self.end(name.number, None, common);
            }
            401 | 407 if name.attempt == 0 => {
                let dialled = common.dialled(name.number);
                let target = request_uri(&call.stored);
                let line = credentials(common, dialled, "BYE", target.as_deref(), response);
                match line.and_then(|line| with_credentials(&call.stored, &line)) {
                    Some(bye) => {
                        (call.stored, call.attempt) = (bye, 1);
                        common.tally.challenges += 1;
                        send_stored(call, common);
                    }
                    None => self.end(name.number, Some(Failure::ByeStatus(status)), common),
                }
            }
            _ => self.end(name.number, Some(Failure::ByeStatus(status)), common),
        }
    }

    pub(super) fn handle_timer(&mut self, timer: Timer, common: &mut Common, now: Instant) {
        let Some(call) = self.call(timer.number) else { return };
        let again = Timer { at: timer.at, round: timer.round + 1, ..timer };
        match (timer.due, call.state) {
            (Due::Answer, State::Calling | State::Proceeding) => {
                if common.timers.wait(Pace::Invite, again) {
                    if call.state == State::Calling && !common.is_reliable() && timer.round < 6 {
                        common.tally.retransmissions.invite += 1;
                        self.send_invite(timer.number, common);
                    }
                } else if call.state == State::Calling {
                    self.end(timer.number, Some(Failure::NoAnswer), common);
                } else {
                    call.state = State::Cancelling;
                    call.counted = true;
                    common.tally.fail(&Failure::NoAnswer);
                    self.send_cancel(timer.number, common);
                    common.timers.wait(Pace::Other, Timer { at: now, due: Due::Cancelled, round: 0, ..timer });
                }
            }
            (Due::HangUp, State::Up) => self.hang_up(timer.number, common, now),
            (Due::Ended, State::Leaving) | (Due::Cancelled, State::Cancelling) => {
                if !common.timers.wait(Pace::Other, again) {
                    self.end(timer.number, Some(Failure::ByeNoAnswer), common);
                } else if !common.is_reliable() && timer.round < 10 {
                    common.tally.retransmissions.bye += 1;
                    if timer.due == Due::Ended {
                        send_stored(call, common);
                    } else {
                        self.send_cancel(timer.number, common);
                    }
                }
            }
            (Due::Answer | Due::HangUp | Due::Ended | Due::Cancelled | Due::PickUp | Due::Ack | Due::Registered, _) => {
            }
        }
    }

    fn send_invite(&mut self, number: Number, common: &mut Common) {
        let Some(call) = self.call(number) else { return };
        if call.attempt > 0 {
            send_stored(call, common);
            return;
        }
        let dialled = common.dialled(number);
        common.send(|common, out| {
            common.invite(dialled, 0, "", out);
            common.callers[dialled.end].flow
        });
    }

    fn send_cancel(&mut self, number: Number, common: &mut Common) {
        let Some(call) = self.call(number) else { return };
        let (dialled, attempt) = (common.dialled(number), call.attempt);
        common.send(|common, out| {
            common.cancel(dialled, attempt, out);
            common.callers[dialled.end].flow
        });
    }

    /// Takes note that something is wrong with a call; it goes on.
    pub(super) fn mark(&mut self, number: Number, flaw: Failure) {
        if let Some(call) = self.call(number) {
            call.flaw.get_or_insert(flaw);
        }
    }

    /// The other side has hung up.
    pub(super) fn handle_bye(&mut self, number: Number, common: &mut Common) {
        match self.call(number).map(|call| call.state) {
            Some(State::Up) => self.end(number, Some(Failure::HungUp), common),
            Some(_) | None => common.tally.after_end += 1,
        }
    }

    /// A connection is gone, and with it the calls that were begun on it.
    pub(super) fn handle_closed(&mut self, connection: ConnectionId, common: &mut Common) {
        let lost = self.each(|call| call.flow.connection == Some(connection));
        lost.into_iter().for_each(|number| self.end(number, Some(Failure::Connection), common));
    }

    /// Hangs up what is up.
    pub(super) fn hang_up_all(&mut self, common: &mut Common, now: Instant) {
        let up = self.each(|call| call.state == State::Up);
        up.into_iter().for_each(|number| self.hang_up(number, common, now));
    }

    /// Gives up what is not over.
    pub(super) fn abandon(&mut self, common: &mut Common) {
        let left = self.calls.iter_mut().filter(|call| call.state != State::Free);
        for call in left {
            common.tally.abandoned += u64::from(!call.counted);
            call.state = State::Free;
        }
        self.live = 0;
    }

    fn each(&self, wanted: impl Fn(&Call) -> bool) -> Vec<Number> {
        let live = (0..).zip(&self.calls).filter(|(_, call)| call.state != State::Free && wanted(call));
        live.map(|(slot, call)| Number { slot, serial: call.serial }).collect()
    }

    fn end(&mut self, number: Number, failure: Option<Failure>, common: &mut Common) {
        let Some(call) = self.call(number) else { return };
        match failure.or(call.flaw) {
            _ if call.counted => {}
            Some(failure) => common.tally.fail(&failure),
            None => common.tally.succeeded += 1,
        }
        call.state = State::Free;
        self.live -= 1;
        self.free.push(number.slot);
    }
}

fn send_stored(call: &Call, common: &mut Common) {
    common.send(|_, out| {
        out.extend_from_slice(&call.stored);
        call.flow
    });
}

/// The line that answers a challenge; of an INVITE where no other URI is given.
fn credentials(
    common: &mut Common,
    dialled: Dialled,
    method: &str,
    uri: Option<&str>,
    response: &Message,
) -> Option<String> {
    let mut cnonce = Vec::new();
    common.names.write(Name { purpose: Purpose::Call, attempt: 0, number: dialled.number }, &mut cnonce);
    let cnonce = std::str::from_utf8(&cnonce).ok()?;
    let login = common.plan.users.callers[dialled.caller].login.as_ref()?;
    let uri = uri.unwrap_or(&common.plan.users.callee(dialled.callee).uri);
    common.keys.answer(dialled.caller, login, response, method, uri, cnonce)
}

fn is_stale(response: &Message) -> bool {
    let names = [cusax_sip::Name::ProxyAuthenticate, cusax_sip::Name::WwwAuthenticate];
    let challenges = names.into_iter().flat_map(|name| response.values(name));
    challenges.filter_map(cusax_sip::digest::Challenge::parse).any(|challenge| challenge.stale)
}

fn request_uri(request: &[u8]) -> Option<String> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    Some(std::str::from_utf8(line).ok()?.split(' ').nth(1)?.to_owned())
}

/// The same BYE anew: the next CSeq, another branch, and credentials.
fn with_credentials(bye: &[u8], line: &str) -> Option<Vec<u8>> {
    let find = |text: &[u8]| bye.windows(text.len()).position(|window| window == text).map(|at| at + text.len());
    let branch = find(&[COOKIE, b"b"].concat())?;
    let sequence = find(b"CSeq: 1")?;
    let head = bye.strip_suffix(EMPTY)?.len();
    let mut anew = Vec::with_capacity(bye.len() + line.len());
    put(&mut anew, &[&bye[..head], line.as_bytes(), EMPTY]);
    (anew[branch], anew[sequence]) = (b'1', b'2');
    Some(anew)
}
