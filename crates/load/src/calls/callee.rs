//! Those who are called: 180, the final response, and 200 to BYE (RFC 3261 §13.3, §15.1.2).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use cusax_sip::{Flow, Message, Name as Header};

use super::common::{Common, has_session};
use super::number::{Number, Purpose};
use super::response::{self, Response};
use super::tally::Failure;
use super::timers::{Due, Pace, Timer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Ringing,
    /// The final response waits for its ACK.
    Answered,
    /// It has come.
    Up,
}

#[derive(Debug)]
struct Call {
    serial: u64,
    state: State,
    status: u16,
    /// What its INVITE is known by.
    key: u64,
    flaw: Option<Failure>,
    response: Response,
    flow: Flow,
}

#[derive(Debug, Default)]
pub(super) struct Callee {
    calls: Vec<Call>,
    free: Vec<u32>,
    live: usize,
    serial: u64,
    /// Where the call of an INVITE is; [`OVER`] where there was one.
    known: HashMap<u64, u32, BuildHasherDefault<DefaultHasher>>,
    /// What is over, and until when its INVITE may come again.
    over: VecDeque<(Instant, u64)>,
}

impl Callee {
    /// How many calls are not over.
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Takes an INVITE. What is wrong with one of our own callers' is told.
    pub(super) fn handle_invite(
        &mut self,
        request: &Message,
        flow: Flow,
        common: &mut Common,
        now: Instant,
    ) -> Option<(Number, Failure)> {
        let way = response::way(request, flow);
        let Some((sequence, _)) = request.cseq().filter(|_| request.to_tag().is_empty()) else {
            common.tally.unmatched += 1;
            respond(481, request, flow, common);
            return None;
        };
        let key = key(request.call_id(), sequence);
        if let Some(slot) = self.known.get(&key).copied() {
            common.tally.repeated += 1;
            self.repeat(slot, common);
            return None;
        }
        common.tally.arrived += 1;
        if !common.plan.role.calls() {
            common.tally.calls += 1;
        }
        if self.live >= common.plan.concurrency {
            common.tally.capped += 1;
            respond(503, request, flow, common);
            return None;
        }
        let flaw = flaw(request, common);
        let caller = common.names.read(request.call_id().as_bytes()).filter(|name| name.purpose == Purpose::Call);
        let status = common.plan.answer;
        let serial = self.serial;
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            let response = Response::default();
            self.calls.push(Call { serial, state: State::Free, status, key, flaw, response, flow: way });
            u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX)
        });
        let number = Number { slot, serial };
        let call = &mut self.calls[slot as usize];
        (call.serial, call.state, call.status) = (serial, State::Ringing, status);
        (call.key, call.flaw, call.flow) = (key, flaw, way);
        call.response.make(status, request, flow, number, common);
        self.known.insert(key, slot);
        self.live += 1;
        common.send(|_, out| {
            call.response.write_other(180, out);
            way
        });
        if common.plan.ring.is_zero() {
            self.pick_up(number, common, now);
        } else {
            common.timers.ring(Timer { at: now, due: Due::PickUp, number, round: 0 });
        }
        match (caller, flaw) {
            (Some(caller), Some(flaw)) => Some((caller.number, flaw)),
            (None, Some(flaw)) if common.plan.role.calls() => {
                // Somebody in between has given the call another Call-ID.
                common.tally.fail(&flaw);
                None
            }
            _ => None,
        }
    }

    fn call(&mut self, number: Number) -> Option<&mut Call> {
        let call = self.calls.get_mut(number.slot as usize)?;
        (call.serial == number.serial && call.state != State::Free).then_some(call)
    }

    /// An INVITE that came again: so does what it was answered with.
    fn repeat(&self, slot: u32, common: &mut Common) {
        let Some(call) = self.calls.get(slot as usize) else { return };
        match call.state {
            State::Ringing => common.send(|_, out| {
                call.response.write_other(180, out);
                call.flow
            }),
            State::Answered => {
                common.tally.retransmissions.response += 1;
                send_final(call, common);
            }
            State::Free | State::Up => {}
        }
    }

    fn pick_up(&mut self, number: Number, common: &mut Common, now: Instant) {
        let Some(call) = self.call(number).filter(|call| call.state == State::Ringing) else { return };
        call.state = State::Answered;
        send_final(call, common);
        common.timers.wait(Pace::Other, Timer { at: now, due: Due::Ack, number, round: 0 });
    }

    pub(super) fn handle_timer(&mut self, timer: Timer, common: &mut Common, now: Instant) {
        let Some(call) = self.call(timer.number) else { return };
        let again = Timer { at: timer.at, round: timer.round + 1, ..timer };
        match (timer.due, call.state) {
            (Due::PickUp, State::Ringing) => self.pick_up(timer.number, common, now),
            (Due::Ack, State::Answered) => {
                if !common.timers.wait(Pace::Other, again) {
                    self.end(timer.number, Some(Failure::NoAck), common, now);
                } else if timer.round < 10 && (call.status < 300 || !common.is_reliable()) {
                    // RFC 3261 §13.3.1.4: a 2xx over connections as well, for there may be hops that have none.
                    common.tally.retransmissions.response += 1;
                    send_final(call, common);
                }
            }
            (Due::Answer | Due::HangUp | Due::Ended | Due::Cancelled | Due::PickUp | Due::Ack | Due::Registered, _) => {
            }
        }
    }

    pub(super) fn handle_ack(&mut self, number: Number, common: &mut Common, now: Instant) {
        match self.call(number).map(|call| (call.state, call.status)) {
            Some((State::Answered, 300..)) => self.end(number, None, common, now),
            Some((State::Answered, _)) => {
                if let Some(call) = self.call(number) {
                    call.state = State::Up;
                }
            }
            Some(_) => common.tally.repeated += 1,
            None => common.tally.after_end += 1,
        }
    }

    /// Takes a BYE with a tag of ours; one that comes again needs no memory of the call.
    pub(super) fn handle_bye(
        &mut self,
        number: Number,
        request: &Message,
        flow: Flow,
        common: &mut Common,
        now: Instant,
    ) {
        respond(200, request, flow, common);
        match self.call(number) {
            Some(_) => self.end(number, None, common, now),
            None => common.tally.after_end += 1,
        }
    }

    pub(super) fn handle_cancel(&mut self, request: &Message, flow: Flow, common: &mut Common, now: Instant) {
        let slot = request.cseq().and_then(|(sequence, _)| self.known.get(&key(request.call_id(), sequence)).copied());
        let Some(slot) = slot else {
            common.tally.unmatched += 1;
            respond(481, request, flow, common);
            return;
        };
        respond(200, request, flow, common);
        let Some(call) = self.calls.get_mut(slot as usize).filter(|call| call.state == State::Ringing) else { return };
        call.status = 487;
        let mut refusal = Vec::new();
        call.response.write_other(487, &mut refusal);
        call.response.bytes = refusal;
        let number = Number { slot, serial: call.serial };
        self.pick_up(number, common, now);
    }

    /// Forgets what is over for long enough.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some((_, key)) = self.over.pop_front_if(|(until, _)| *until <= now) {
            self.known.remove(&key);
        }
    }

    /// Gives up what is not over.
    pub(super) fn abandon(&mut self, common: &mut Common) {
        if !common.plan.role.calls() {
            common.tally.abandoned += self.live as u64;
        }
        self.calls.iter_mut().for_each(|call| call.state = State::Free);
        self.live = 0;
    }

    fn end(&mut self, number: Number, failure: Option<Failure>, common: &mut Common, now: Instant) {
        let Some(call) = self.call(number) else { return };
        if !common.plan.role.calls() {
            match failure.or(call.flaw) {
                Some(failure) => common.tally.fail(&failure),
                None => common.tally.succeeded += 1,
            }
        }
        let key = call.key;
        call.state = State::Free;
        self.live -= 1;
        self.free.push(number.slot);
        self.known.insert(key, OVER);
        self.over.push_back((now + T4, key));
    }
}

/// Answers a request without a memory of it.
pub(super) fn respond(status: u16, request: &Message, flow: Flow, common: &mut Common) {
    common.send(|_, out| {
        response::write(status, request, flow, out);
        response::way(request, flow)
    });
}

fn send_final(call: &Call, common: &mut Common) {
    common.send(|_, out| {
        out.extend_from_slice(&call.response.bytes);
        call.flow
    });
}

/// What is missing in an INVITE that arrives.
fn flaw(request: &Message, common: &Common) -> Option<Failure> {
    let expect = &common.plan.expect;
    if let Some(expected) = &expect.call_info {
        let user = request.address(Header::From).and_then(|from| from.uri()).and_then(|uri| uri.user).unwrap_or("");
        if !request.values(Header::CallInfo).any(|value| expected.is_in(value, user)) {
            return Some(Failure::CallInfo);
        }
    }
    (expect.session_id && !has_session(request)).then_some(Failure::SessionId)
}

fn key(call_id: &str, sequence: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(call_id.as_bytes());
    hasher.write_u32(sequence);
    hasher.finish()
}

const OVER: u32 = u32::MAX;
/// RFC 3261 §17.1.2.2: how long a message may be under way.
const T4: Duration = Duration::from_secs(5);
