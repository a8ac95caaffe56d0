//! Reliable provisional responses (RFC 3262).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::draft::{Body, Draft, borrowed, finish};
use super::request::Purpose;
use super::{Alarm, EndReason, UserAgent};
use crate::method::Method;
use crate::name::Name;
use crate::transaction::{ServerId, T1, T64};
use crate::{Compose, Flow, Message};

/// The reliable provisional responses of a call: the first waits for its PRACK, the others for their turn (§3).
#[derive(Debug)]
pub(super) struct Reliable {
    rseq: u32,
    interval: Duration,
    waiting: VecDeque<(u16, Bytes)>,
}

impl UserAgent {
    /// Sends a provisional response with RSeq, or keeps it until the one before is acknowledged.
    pub(super) fn progress_reliably(
        &mut self,
        key: u64,
        status: u16,
        compose: Compose,
        body: Option<&Body>,
        now: Instant,
    ) {
        // §3: RSeq begins between 1 and 2^31 - 1.
        let first = u32::try_from(self.tokens.number() & 0x3fff_ffff).unwrap_or(0) + 1;
        let Some(call) = self.calls.get_mut(key) else { return };
        let reliable =
            call.reliable.get_or_insert_with(|| Reliable { rseq: first, interval: T1, waiting: VecDeque::new() });
        if reliable.waiting.len() >= MAX_WAITING {
            return;
        }
        let ahead = u32::try_from(reliable.waiting.len()).unwrap_or(0);
        let number = reliable.rseq + ahead;
        let compose = compose.header("Require", "100rel").header("RSeq", &number.to_string());
        reliable.waiting.push_back((status, finish(compose, body)));
        if reliable.waiting.len() == 1 {
            self.send_provisional(key, now);
        }
    }

    fn send_provisional(&mut self, key: u64, now: Instant) {
        let Some(rseq) = self.repeat_provisional(key, now) else { return };
        self.timers.arm(T1, Alarm::ResendProvisional(key, rseq), now);
        self.timers.arm(T64, Alarm::Unpracked(key, rseq), now);
    }

    fn repeat_provisional(&mut self, key: u64, now: Instant) -> Option<u32> {
        let call = self.calls.get(key)?;
        let (server, reliable) = (call.invite.as_ref()?.0, call.reliable.as_ref()?);
        let (status, bytes) = reliable.waiting.front()?;
        let rseq = reliable.rseq;
        self.layer.respond(server, *status, bytes.clone(), now);
        Some(rseq)
    }

    pub(super) fn resend_provisional(&mut self, key: u64, rseq: u32, now: Instant) {
        let Some(reliable) = self.waiting_for_prack(key, rseq) else { return };
        reliable.interval *= 2;
        let interval = reliable.interval;
        self.repeat_provisional(key, now);
        self.timers.arm(interval, Alarm::ResendProvisional(key, rseq), now);
    }

    /// §3: without a PRACK in 64·T1 the INVITE is refused with 5xx.
    pub(super) fn unpracked(&mut self, key: u64, rseq: u32, now: Instant) {
        if self.waiting_for_prack(key, rseq).is_some() {
            self.refuse(key, 504, &[], now);
            self.end(key, EndReason::Unpracked, None, now);
        }
    }

    fn waiting_for_prack(&mut self, key: u64, rseq: u32) -> Option<&mut Reliable> {
        let call = self.calls.get_mut(key).filter(|call| call.invite.is_some())?;
        call.reliable.as_mut().filter(|reliable| reliable.rseq == rseq && !reliable.waiting.is_empty())
    }

    /// A PRACK: 200 where it names the response that waits for it, else 481.
    pub(super) fn pracked(&mut self, key: u64, server: ServerId, message: &Arc<Message>, now: Instant) {
        let rack: Vec<_> = message.first(Name::RAck).unwrap_or("").split_whitespace().collect();
        let invite = self
            .calls
            .get(key)
            .and_then(|call| call.invite.as_ref())
            .and_then(|(_, invite)| invite.cseq().map(|(number, _)| number));
        let rseq = match rack[..] {
            [rseq, cseq, "INVITE"] if cseq.parse().ok() == invite && invite.is_some() => rseq.parse().ok(),
            _ => None,
        };
        let Some(reliable) = rseq.and_then(|rseq| self.waiting_for_prack(key, rseq)) else {
            return self.refuse_inside(key, server, message, 481, &[], now);
        };
        reliable.waiting.pop_front();
        reliable.rseq += 1;
        reliable.interval = T1;
        let response = self.compose_for(key, message, 200);
        self.layer.respond(server, 200, response.empty(), now);
        self.send_provisional(key, now);
    }

    /// Acknowledges a reliable provisional response (§4); false where it is a repeated one, or one that is out of
    /// order.
    pub(super) fn acknowledge_provisional(&mut self, key: u64, message: &Message, cseq: u32, now: Instant) -> bool {
        let rseq = message.first(Name::RSeq).and_then(|rseq| rseq.parse::<u32>().ok());
        let Some(rseq) = rseq.filter(|_| message.has_option(Name::Require, "100rel")) else { return true };
        let Some(call) = self.calls.get_mut(key) else { return false };
        let headers = call.signed(&[]);
        let (flow, login): (Flow, _) = (call.flow, call.login.clone());
        let Some(early) = call.early.iter_mut().find(|early| early.dialog.remote_tag() == message.to_tag()) else {
            return false;
        };
        if early.rseq.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return false;
        }
        early.rseq = Some(rseq);
        early.dialog.refresh_target(message);
        let mut draft = Draft::within(&mut early.dialog, Method::Prack.as_str(), &borrowed(&headers), None);
        draft.headers.push(("RAck".to_owned(), format!("{rseq} {cseq} INVITE")));
        let flow = draft.flow(flow);
        self.open(draft, flow, login, Purpose::Silent, now);
        true
    }
}

/// Provisional responses that wait for the PRACK of one before them.
const MAX_WAITING: usize = 8;
